"""What a message offers to corrections memory: a correction, a reminder or a lesson, to be confirmed by the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yearling.chat.corrections.detection import recognise_correction
from yearling.chat.corrections.reminders import recognise_note


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionOffer:
    """An entry that a person may want to be remembered. Nothing is stored before they confirm it.

    `question` and `answer` are those of the entry: for a reminder its occasion and its text.
    """

    kind: Literal["correction", "reminder", "lesson"]
    question: str
    answer: str


def find_offer(previous_question: str, message: str) -> CorrectionOffer | None:
    """What `message` offers; `previous_question` is the one whose answer it follows, or empty."""
    note = recognise_note(message)
    if note is not None:
        return CorrectionOffer(kind=note.kind, question=note.occasion, answer=note.text)
    correction = recognise_correction(previous_question, message)
    if correction is not None:
        return CorrectionOffer(kind="correction", question=correction.question, answer=correction.answer)
    return None
