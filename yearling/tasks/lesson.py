"""Lessons: the four kinds of training example, their keys, and their lines in a lesson set.

This file does not know where lessons come from, how they are split, or what trains on them. `docs/lessons.md` describes the
format.
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

    Token ids come from a stored sample, exactly as the engine saw and emitted them, and are empty otherwise. They are valid only
    for the model with the hash `model_hash`, or for one with the same tokenizer. An edited answer has `prompt_ids` but no
    `answer_ids`.
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
    """The basis of the lesson (`consensus`, `word` or `edit`) and the ids of its judgements, separated by spaces."""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two answers to one prompt.

    `q` is the probability that the first is better, and `weight` the weight of the pair in the loss.
    """

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
    """An answer judged on its own: good if `up`, otherwise bad."""

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
    """A question whose answers an environment can grade. `task` is the data that the environment needs for grading."""

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
    """Return the identity of a lesson: a hash of its kind, its prompt, and its answers in any order.

    How good the answers are is not part of it, so a pair keeps its key when `q` changes or the other answer becomes the better
    one. For prompts, the answer is the name of the environment.
    """
    return sha256(canonical_json([kind, messages, sorted(answers)])).hexdigest()[:32]


def judgement_ids(lesson: Lesson) -> tuple[str, ...]:
    """Return the ids of the judgements that a lesson comes from."""
    return () if isinstance(lesson, Prompt) else tuple(lesson.source.split(" ")[1:])


def lesson_to_line(lesson: Lesson) -> bytes:
    """Return a lesson as one line: ASCII JSON without spaces, fields in alphabetical order, and a line feed.

    Keys inside messages and tasks keep their order, because chat templates print them in it. Raises BadInput for values that JSON
    cannot hold.
    """
    values = {"kind": lesson.kind} | {name: getattr(lesson, name) for name in _FIELDS_BY_KIND[lesson.kind]}
    try:
        return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise BadInput(f"The lesson {lesson.key} cannot be written: {error}.", advice="Use plain JSON values only.") from None


def lesson_from_dict(plain: Mapping[str, Any]) -> Lesson:
    """Return the lesson that `lesson_to_line` wrote, from parsed JSON. Raises BadInput for an unknown kind or wrong fields."""
    values = dict(plain)
    kind = str(values.pop("kind", ""))
    cls = LESSON_TYPES.get(kind)
    if cls is None:
        raise BadInput(f"There is no kind of lesson {kind!r}.", advice=f"Kinds: {', '.join(LESSON_TYPES)}.", param="kind")
    if set(values) != set(_FIELDS_BY_KIND[kind]):
        mismatched = sorted(set(values) ^ set(_FIELDS_BY_KIND[kind]))
        raise BadInput(f"The field {mismatched[0]!r} of a {kind} is unknown or missing.", param=mismatched[0])
    values["messages"] = tuple(values["messages"])
    for name in _TOKEN_ID_FIELDS:
        if name in values:
            values[name] = tuple(values[name])
    return cls(**values)
