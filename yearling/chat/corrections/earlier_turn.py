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

_OCCASION = "What should you keep in mind: {question}"
"""How the earlier turn of a reminder asks for it: its `question` names an occasion and asks nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedCorrection:
    """An entry of corrections memory that bears on a question. `similarity` is the gate's, 1 for the same words."""

    id: str
    kind: str
    question: str
    answer: str
    created_utc: datetime
    own: bool
    """Whether the person who asks gave it; the others are the team's."""
    similarity: float


def correction_fact(correction: UsedCorrection) -> dict[str, str | bool]:
    """What an answer keeps of a correction that it used, as JSON: its wording may change later."""
    return {
        "id": correction.id,
        "question": correction.question,
        "created_utc": correction.created_utc.isoformat(),
        "own": correction.own,
    }


def question_of(messages: Sequence[MessageDict]) -> str:
    """The question that the messages end with; empty if they end with anything else, such as the result of a tool."""
    last = messages[-1] if messages else None
    return last["content"] if last is not None and last["role"] == "user" else ""


def with_earlier_turns(messages: Sequence[MessageDict], used: Sequence[UsedCorrection]) -> tuple[MessageDict, ...]:
    """The messages with each correction as a turn before the last message; the most similar one stands last, nearest to it."""
    turns = [message for correction in reversed(used) for message in _earlier_turn(correction)]
    return (*messages[:-1], *turns, *messages[-1:])


def _earlier_turn(correction: UsedCorrection) -> list[MessageDict]:
    question = correction.question if correction.kind == "correction" else _OCCASION.format(question=correction.question)
    mark = {"source": CORRECTION_SOURCE, "correction": correction.id}
    return [
        {"role": "user", "content": question, **mark},
        {"role": "assistant", "content": correction.answer, **mark},
    ]
