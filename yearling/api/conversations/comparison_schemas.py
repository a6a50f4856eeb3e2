"""Wire models of comparisons between two answers to one question. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.feedback.schemas import JudgementTags
from yearling.api.http.schemas import ResponseModel, StrictModel


class ChoiceRequest(StrictModel):
    """The better answer of a comparison."""

    outcome: Literal["left", "right", "tie", "skip"]
    """The better answer. `skip` ends the comparison without a judgement."""
    tags: JudgementTags = ()
    """Reasons for the choice."""


class ComparisonView(ResponseModel):
    """Two answers to one question. The models stay hidden until the person chooses or skips."""

    object: Literal["comparison"]
    """Always `comparison`."""
    id: str
    """ID of the comparison."""
    conversation: str
    """ID of the conversation."""
    question: str
    """ID of the question."""
    left: str
    """ID of the left answer, choice 0 of the turn."""
    right: str
    """ID of the right answer, choice 1 of the turn."""
    state: Literal["open", "decided", "skipped"]
    """Whether the person has chosen."""
    outcome: Literal["left", "right", "tie"] | None
    """The person's choice; null while open or if skipped."""
    event: str | None
    """ID of the choice in the feedback log, for retracting it; null if there is none."""
    left_model: str | None
    """Name of the left answer's model; null while open."""
    right_model: str | None
    """Name of the right answer's model; null while open."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
