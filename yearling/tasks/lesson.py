"""What a model can learn from: frozen lessons of four kinds, their keys, and their lines in a lesson set.

Knows nothing of where lessons come from, how they are split or what learns from them. `docs/lessons.md` has the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, ClassVar

from yearling.canonical import canonical_json
from yearling.errors import BadInput

LessonMessages = tuple[dict[str, Any], ...]
TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """An answer that is worth imitating.

    Token ids are there where a stored sample has them, exactly as the engine saw and emitted them; they mean something only to a
    model with the hash `model_hash`, or one with the same tokenizer. An edited answer has `prompt_ids` and no `answer_ids`.
    """

    kind: ClassVar[str] = "demonstration"
    key: str
    messages: LessonMessages
    answer: str
    weight: float = 1.0
    prompt_ids: TokenIds = ()
    answer_ids: TokenIds = ()
    model_hash: str = ""
    source: str = ""
    """How the lesson came about, then the ids of the judgements that it comes from, a space between them."""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two answers to one prompt. `q` is the probability that the first is better; `weight` how much the pair counts."""

    kind: ClassVar[str] = "pair"
    key: str
    messages: LessonMessages
    first: str
    second: str
    q: float
    weight: float
    prompt_ids: TokenIds = ()
    first_ids: TokenIds = ()
    second_ids: TokenIds = ()
    model_hash: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Thumb:
    """An answer that was found good (`up`) or bad by itself."""

    kind: ClassVar[str] = "thumb"
    key: str
    messages: LessonMessages
    answer: str
    up: bool
    weight: float = 1.0
    prompt_ids: TokenIds = ()
    answer_ids: TokenIds = ()
    model_hash: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question whose answers an environment can reward. `task` is what the environment needs for that."""

    kind: ClassVar[str] = "prompt"
    key: str
    messages: LessonMessages
    environment: str
    task: dict[str, Any]
    source: str = ""


Lesson = Demonstration | PreferencePair | Thumb | Prompt

LESSON_TYPES: dict[str, type[Lesson]] = {cls.kind: cls for cls in (Demonstration, PreferencePair, Thumb, Prompt)}
_FIELDS_BY_KIND = {kind: tuple(sorted(field.name for field in fields(cls))) for kind, cls in LESSON_TYPES.items()}
_TOKEN_ID_FIELDS = ("prompt_ids", "answer_ids", "first_ids", "second_ids")


def lesson_key(kind: str, messages: LessonMessages, *answers: str) -> str:
    """The identity of a lesson: its kind, its prompt and its answers in whatever order, and nothing of how good they are.

    So a pair whose `q` changed, or whose better answer is now the other one, keeps its key. For prompts the answer is the
    environment's name.
    """
    return sha256(canonical_json([kind, messages, sorted(answers)])).hexdigest()[:32]


def judgement_ids(lesson: Lesson) -> tuple[str, ...]:
    """The ids of the judgements that a lesson comes from."""
    return () if isinstance(lesson, Prompt) else tuple(lesson.source.split(" ")[1:])


def lesson_to_line(lesson: Lesson) -> bytes:
    """A lesson as one canonical line: ASCII JSON without spaces, fields by name, line feed.

    Keys inside messages and tasks stay in their order, since chat templates print them in it.
    """
    plain = {"kind": lesson.kind} | {name: getattr(lesson, name) for name in _FIELDS_BY_KIND[lesson.kind]}
    try:
        return json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise BadInput(f"The lesson {lesson.key} cannot be written: {error}.", advice="Use plain JSON values only.") from None


def lesson_from_dict(plain: Mapping[str, Any]) -> Lesson:
    """The lesson that `lesson_line` wrote, from parsed JSON. Raises BadInput for an unknown kind or field, or a missing one."""
    values = dict(plain)
    kind = str(values.pop("kind", ""))
    cls = LESSON_TYPES.get(kind)
    if cls is None:
        raise BadInput(f"There is no kind of lesson {kind!r}.", advice=f"Kinds: {', '.join(LESSON_TYPES)}.", param="kind")
    if set(values) != set(_FIELDS_BY_KIND[kind]):
        odd = sorted(set(values) ^ set(_FIELDS_BY_KIND[kind]))
        raise BadInput(f"A {kind} with a wrong set of fields: {odd[0]!r}.", param=odd[0])
    values["messages"] = tuple(values["messages"])
    for name in _TOKEN_ID_FIELDS:
        if name in values:
            values[name] = tuple(values[name])
    return cls(**values)
