"""How a correction reaches the model: as an earlier turn, its question and then its answer, just before the person's question.

An earlier turn works better than a system message: the default model repeats what it seems to have answered before. Each of the
two messages carries a `source`, so that samples record that we added it, and which entry it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from yearling.chat.json_types import MessageDict

CORRECTION_SOURCE = "correction"

_LESSON_TURN = ("Keep in mind how it ended: {lesson}", "I will keep it in mind.")
"""The earlier turn of a lesson, which has no question of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedCorrection:
    """An entry of corrections memory that bears on a question: a correction, a reminder or a lesson.

    `similarity` is the gate's, 1 for the same words.
    """

    id: str
    kind: str
    question: str
    answer: str
    created_utc: datetime
    own: bool
    """Whether the person who asks gave it; the others are the team's."""
    similarity: float


def correction_fact(correction: UsedCorrection) -> dict[str, str | bool]:
    """What an answer keeps of an entry that bore on its question, as JSON: the wording may change later."""
    fact: dict[str, str | bool] = {
        "id": correction.id,
        "kind": correction.kind,
        "question": correction.question,
        "created_utc": correction.created_utc.isoformat(),
        "own": correction.own,
    }
    return {**fact, "reminder": correction.answer} if correction.kind == "reminder" else fact


def question_of(messages: Sequence[MessageDict]) -> str:
    """The question that the messages end with; empty if they end with anything else, such as the result of a tool."""
    last = messages[-1] if messages else None
    return last["content"] if last is not None and last["role"] == "user" else ""


def with_earlier_turns(messages: Sequence[MessageDict], used: Sequence[UsedCorrection]) -> tuple[MessageDict, ...]:
    """The messages with each entry as a turn before the last message; the most similar one stands last, nearest to it.

    Reminders are for the person, and not shown to the model, which would answer with them.
    """
    shown = [correction for correction in used if correction.kind != "reminder"]
    turns = [message for correction in reversed(shown) for message in _earlier_turn(correction)]
    return (*messages[:-1], *turns, *messages[-1:])


def shown_corrections(messages: Sequence[MessageDict]) -> tuple[MessageDict, ...]:
    """Those of the messages that show a correction or a lesson."""
    return tuple(message for message in messages if message.get("source") == CORRECTION_SOURCE)


def _earlier_turn(correction: UsedCorrection) -> list[MessageDict]:
    question, answer = correction.question, correction.answer
    if correction.kind == "lesson":
        question, answer = _LESSON_TURN[0].format(lesson=correction.answer), _LESSON_TURN[1]
    mark = {"source": CORRECTION_SOURCE, "correction": correction.id}
    return [{"role": "user", "content": question, **mark}, {"role": "assistant", "content": answer, **mark}]
