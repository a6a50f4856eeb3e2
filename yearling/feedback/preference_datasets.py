"""Published sets of preferences, as comparisons: pairs of a chosen and a rejected answer, and pairs with several annotators.

Yields every judgement that a file holds, or why it cannot be used. Knows nothing of the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from yearling.errors import BadInput
from yearling.feedback.events import ComparisonOutcome

UNKNOWN_ANNOTATOR = "unknown annotator"
"""Who judged where a set does not say. All such judgements of a set are one voice: nobody can show that they are more."""

_TURN_PATTERN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_ANNOTATOR_PATTERN = re.compile(r"annotator[_ ]?(.+)")
_OUTCOMES: dict[object, ComparisonOutcome] = {0: "tie", 1: "left", 2: "right"}

PromptMessages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedComparison:
    """One annotator's judgement of two answers to one prompt. `identity` names the judged pair within the file."""

    row: int
    row_hash: str
    prompt: PromptMessages
    left: str
    right: str
    outcome: ComparisonOutcome
    annotator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableRow:
    """A judgement that cannot be used, and why."""

    row: int
    reason: str
    detail: str = ""


class _UnusableRowError(ValueError):
    """Why a row is unusable."""


def read_preference_pairs(data: bytes) -> Iterator[AnnotatedComparison | UnusableRow]:
    """`{"chosen", "rejected"}`, each a whole dialogue or an answer to `prompt`; with `annotator` where it is known.

    A dialogue is a list of messages, or text in which turns begin with `\\n\\nHuman:` and `\\n\\nAssistant:`.
    """
    for number, row in _parse_rows(data):
        if isinstance(row, UnusableRow):
            yield row
            continue
        try:
            prompt, chosen, rejected = _parse_pair(row)
        except _UnusableRowError as refusal:
            yield UnusableRow(row=number, reason=str(refusal))
            continue
        yield AnnotatedComparison(
            row=number,
            row_hash=_hash_row(row),
            prompt=prompt,
            left=chosen,
            right=rejected,
            outcome="left",
            annotator=str(row.get("annotator") or UNKNOWN_ANNOTATOR),
        )


def read_annotator_comparisons(data: bytes) -> Iterator[AnnotatedComparison | UnusableRow]:
    """`{"instruction", "input" or "prompt", "response1", "response2", "annotator1", ...}`: 0 a tie, 1 or 2 the better response.

    Every annotator of every row is one judgement.
    """
    for number, row in _parse_rows(data):
        if isinstance(row, UnusableRow):
            yield row
            continue
        labels = {match[1]: value for key, value in row.items() if (match := _ANNOTATOR_PATTERN.fullmatch(key))}
        if not labels:
            yield UnusableRow(row=number, reason="a row without annotators")
            continue
        for annotator, label in sorted(labels.items()):
            try:
                prompt, answers = _parse_prompt(row), tuple(_parse_answer(row, name) for name in ("response1", "response2"))
                outcome = _parse_outcome(label)
            except _UnusableRowError as refusal:
                yield UnusableRow(row=number, reason=str(refusal), detail=f"annotator {annotator}")
                continue
            yield AnnotatedComparison(
                row=number,
                row_hash=_hash_row(row),
                prompt=prompt,
                left=answers[0],
                right=answers[1],
                outcome=outcome,
                annotator=f"annotator {annotator}",
            )


def _parse_rows(data: bytes) -> Iterator[tuple[int, dict[str, Any] | UnusableRow]]:
    """A JSON array, or JSON lines. Raises BadInput for a file that is neither."""
    if data.lstrip()[:1] == b"[":
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"The file is no JSON: {error}.", advice="Check that it is whole.") from None
        pairs = list(enumerate(found, start=1))
    else:
        pairs = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    for number, one in pairs:
        if isinstance(one, bytes):
            try:
                one = json.loads(one)
            except (ValueError, RecursionError) as error:
                yield number, UnusableRow(row=number, reason="not JSON", detail=str(error))
                continue
        yield number, one if isinstance(one, dict) else UnusableRow(row=number, reason="a row that is no object")


def _parse_pair(row: Mapping[str, Any]) -> tuple[PromptMessages, str, str]:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if chosen is None or rejected is None:
        raise _UnusableRowError("a row without chosen or rejected")
    if row.get("prompt") is not None:
        prompt = _parse_messages(row["prompt"])
        return prompt, _parse_final_answer(chosen), _parse_final_answer(rejected)
    first, second = _parse_dialogue(chosen), _parse_dialogue(rejected)
    if first[:-1] != second[:-1]:
        raise _UnusableRowError("the two are not answers to the same prompt")
    if len(first) < 2:
        raise _UnusableRowError("a dialogue without a prompt")
    return first[:-1], first[-1]["content"], second[-1]["content"]


def _parse_dialogue(value: Any) -> PromptMessages:
    """A dialogue that an answer ends."""
    if isinstance(value, str):
        begin, *rest = _TURN_PATTERN.split(value)
        if begin.strip() or not rest:
            raise _UnusableRowError("a dialogue without turns")
        turns = [{"role": _ROLES[who], "content": words.strip()} for who, words in zip(rest[::2], rest[1::2], strict=True)]
    else:
        turns = [dict(message) for message in _parse_messages(value)]
    if not turns or turns[-1]["role"] != "assistant":
        raise _UnusableRowError("a dialogue without an answer at its end")
    if not turns[-1]["content"].strip():
        raise _UnusableRowError("an empty answer")
    return tuple(turns)


def _parse_messages(value: Any) -> PromptMessages:
    if isinstance(value, str):
        if not value.strip():
            raise _UnusableRowError("an empty prompt")
        return ({"role": "user", "content": value},)
    if not isinstance(value, Sequence) or not value:
        raise _UnusableRowError("a prompt that is neither text nor messages")
    found = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if not isinstance(role, str) or not isinstance(content, str):
            raise _UnusableRowError("a message without role or content")
        found.append({"role": role, "content": content})
    return tuple(found)


def _parse_final_answer(value: Any) -> str:
    """An answer: text, or messages of which it is the last."""
    answer = value if isinstance(value, str) else _parse_messages(value)[-1]["content"]
    if not answer.strip():
        raise _UnusableRowError("an empty answer")
    return answer


def _parse_prompt(row: Mapping[str, Any]) -> PromptMessages:
    if row.get("prompt") is not None:
        return _parse_messages(row["prompt"])
    parts = [row.get("instruction"), row.get("input")]
    words = "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())
    if not words:
        raise _UnusableRowError("a row without a prompt")
    return ({"role": "user", "content": words},)


def _parse_answer(row: Mapping[str, Any], name: str) -> str:
    answer = row.get(name)
    if not isinstance(answer, str):
        raise _UnusableRowError(f"a row without {name}")
    if not answer.strip():
        raise _UnusableRowError("an empty answer")
    return answer


def _parse_outcome(label: Any) -> ComparisonOutcome:
    if label is None or label == "":
        raise _UnusableRowError("an annotator without a label")
    if isinstance(label, str) and label.isdigit():
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int) or label not in _OUTCOMES:
        raise _UnusableRowError("a label that is not 0, 1 or 2")
    return _OUTCOMES[label]


def _hash_row(row: Mapping[str, Any]) -> str:
    """The same row, wherever it stands."""
    return sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
