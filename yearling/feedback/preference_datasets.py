"""Reads published preference data sets: pairs of a chosen and a rejected answer, and pairs with several annotators.

The readers yield every judgement in a file, or the reason why it cannot be used. They know nothing of the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from yearling.errors import BadInput
from yearling.feedback.events import ComparisonOutcome
from yearling.unicode_repair import mend_surrogates_in_json

UNKNOWN_ANNOTATOR = "unknown annotator"
"""Annotator of rows that name none. All such rows of a data set count as one rater, since nobody can show that there are more."""

_TURN_PATTERN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_ANNOTATOR_PATTERN = re.compile(r"annotator[_ ]?(.+)")
_OUTCOMES: dict[object, ComparisonOutcome] = {0: "tie", 1: "left", 2: "right"}

PromptMessages = tuple[Mapping[str, str], ...]

Row = Mapping[str, object]
"""A row of a data set: a JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedComparison:
    """One annotator's judgement of two answers to one prompt. `row_hash` identifies the row, wherever it stands in the file."""

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
    """Raised inside this file with the reason why a row is unusable."""


def read_preference_pairs(data: bytes) -> Iterator[AnnotatedComparison | UnusableRow]:
    """Read rows with `chosen` and `rejected`, each a complete dialogue or an answer to `prompt`, and optionally `annotator`.

    A dialogue is a list of messages, or text in which turns begin with `\\n\\nHuman:` and `\\n\\nAssistant:`. Raises BadInput if
    the file is neither a JSON array nor JSON lines.
    """
    for number, row in _parse_rows(data):
        if isinstance(row, UnusableRow):
            yield row
            continue
        try:
            prompt, chosen, rejected = _parse_pair(_mend(row))
        except _UnusableRowError as error:
            yield UnusableRow(row=number, reason=str(error))
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
    """Read rows with `prompt` or `instruction` and `input`, `response1`, `response2`, and a label for each `annotator1`, ...

    A label is 0 for a tie, or 1 or 2 for the better response. Every annotator of every row gives one judgement. Raises BadInput
    if the file is neither a JSON array nor JSON lines.
    """
    for number, row in _parse_rows(data):
        if isinstance(row, UnusableRow):
            yield row
            continue
        labels = {match[1]: value for key, value in row.items() if (match := _ANNOTATOR_PATTERN.fullmatch(key))}
        if not labels:
            yield UnusableRow(row=number, reason="a row without annotators")
            continue
        try:
            mended = _mend(row)
        except _UnusableRowError as error:
            yield UnusableRow(row=number, reason=str(error))
            continue
        for annotator, label in sorted(labels.items()):
            try:
                prompt, answers = _parse_prompt(mended), tuple(_parse_answer(mended, name) for name in ("response1", "response2"))
                outcome = _parse_outcome(label)
            except _UnusableRowError as error:
                yield UnusableRow(row=number, reason=str(error), detail=f"annotator {annotator}")
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


def _parse_rows(data: bytes) -> Iterator[tuple[int, Row | UnusableRow]]:
    """Yield the rows of a JSON array or of JSON lines with their numbers. Raises BadInput for a file that is neither."""
    if data.lstrip()[:1] == b"[":
        try:
            rows = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"The file is not JSON: {error}.", advice="Check that it is complete.") from None
        numbered_rows = list(enumerate(rows, start=1))
    else:
        numbered_rows = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    for number, row in numbered_rows:
        if isinstance(row, bytes):
            try:
                row = json.loads(row)
            except (ValueError, RecursionError) as error:
                yield number, UnusableRow(row=number, reason="not JSON", detail=str(error))
                continue
        yield number, row if isinstance(row, dict) else UnusableRow(row=number, reason="a row that is no object")


def _mend(row: Row) -> Row:
    """The row without halves of surrogate pairs. Its hash is that of the row as it is."""
    try:
        mended: Row = mend_surrogates_in_json(row)
    except RecursionError:
        raise _UnusableRowError("a row that is nested too deeply") from None
    return mended


def _parse_pair(row: Row) -> tuple[PromptMessages, str, str]:
    """Return the prompt, the chosen answer and the rejected one."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if chosen is None or rejected is None:
        raise _UnusableRowError("a row without chosen or rejected")
    if row.get("prompt") is not None:
        prompt = _parse_messages(row["prompt"])
        return prompt, _parse_final_answer(chosen), _parse_final_answer(rejected)
    chosen_dialogue, rejected_dialogue = _parse_dialogue(chosen), _parse_dialogue(rejected)
    if chosen_dialogue[:-1] != rejected_dialogue[:-1]:
        raise _UnusableRowError("the two are not answers to the same prompt")
    if len(chosen_dialogue) < 2:
        raise _UnusableRowError("a dialogue without a prompt")
    return chosen_dialogue[:-1], chosen_dialogue[-1]["content"], rejected_dialogue[-1]["content"]


def _parse_dialogue(value: object) -> PromptMessages:
    """Return a dialogue that ends with an answer."""
    if isinstance(value, str):
        preamble, *parts = _TURN_PATTERN.split(value)
        if preamble.strip() or not parts:
            raise _UnusableRowError("a dialogue without turns")
        turns = [
            {"role": _ROLES[speaker], "content": content.strip()}
            for speaker, content in zip(parts[::2], parts[1::2], strict=True)
        ]
    else:
        turns = [dict(message) for message in _parse_messages(value)]
    if not turns or turns[-1]["role"] != "assistant":
        raise _UnusableRowError("a dialogue without an answer at its end")
    if not turns[-1]["content"].strip():
        raise _UnusableRowError("an empty answer")
    return tuple(turns)


def _parse_messages(value: object) -> PromptMessages:
    if isinstance(value, str):
        if not value.strip():
            raise _UnusableRowError("an empty prompt")
        return ({"role": "user", "content": value},)
    if not isinstance(value, Sequence) or not value:
        raise _UnusableRowError("a prompt that is neither text nor messages")
    messages = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if not isinstance(role, str) or not isinstance(content, str):
            raise _UnusableRowError("a message without role or content")
        messages.append({"role": role, "content": content})
    return tuple(messages)


def _parse_final_answer(value: object) -> str:
    """Return an answer: text, or the last of several messages."""
    answer = value if isinstance(value, str) else _parse_messages(value)[-1]["content"]
    if not answer.strip():
        raise _UnusableRowError("an empty answer")
    return answer


def _parse_prompt(row: Row) -> PromptMessages:
    if row.get("prompt") is not None:
        return _parse_messages(row["prompt"])
    parts = [row.get("instruction"), row.get("input")]
    content = "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())
    if not content:
        raise _UnusableRowError("a row without a prompt")
    return ({"role": "user", "content": content},)


def _parse_answer(row: Row, name: str) -> str:
    answer = row.get(name)
    if not isinstance(answer, str):
        raise _UnusableRowError(f"a row without {name}")
    if not answer.strip():
        raise _UnusableRowError("an empty answer")
    return answer


def _parse_outcome(label: object) -> ComparisonOutcome:
    if label is None or label == "":
        raise _UnusableRowError("an annotator without a label")
    if isinstance(label, str) and label in ("0", "1", "2"):
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int) or label not in _OUTCOMES:
        raise _UnusableRowError("a label that is not 0, 1 or 2")
    return _OUTCOMES[label]


def _hash_row(row: Row) -> str:
    return sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
