"""Wire models of `/v1/incidents`. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel

Phrase = Annotated[str, Field(min_length=1, max_length=500)]


class IncidentCheckView(ResponseModel):
    """Whether a model passed the case of an incident."""

    created_utc: str
    """Time of the check, ISO 8601 in UTC."""
    model: str
    """Name of the model."""
    passed: bool
    """Whether every answer passed."""


class IncidentRecurrenceView(ResponseModel):
    """A check that failed after an earlier one had passed."""

    created_utc: str
    """Time of the check, ISO 8601 in UTC."""
    model: str
    """Name of the model."""
    releases: list[int]
    """Numbers of the releases of this model; empty if it was never released."""


class IncidentView(ResponseModel):
    """An answer that must not happen again."""

    object: Literal["incident"]
    """Always `incident`."""
    id: str
    """ID of the incident."""
    created_utc: str
    """Time of the report, ISO 8601 in UTC."""
    reported_by: str
    """Name of the person who reported it; empty if their account is gone."""
    is_mine: bool
    """Whether the caller reported it."""
    model: str
    """Name of the model that gave the answer."""
    reason: str
    """What is wrong with it, in the words of the person who reported it."""
    state: Literal["open", "accepted", "dismissed"]
    """`open` waits for a review, `accepted` is checked before every release, `dismissed` was found to be no fault."""
    question: str | None
    """What was asked; null if the answer is not stored any more."""
    answer: str | None
    """The answer; null if it is not stored any more."""
    reviewed_by: str
    """Name of the reviewer; empty before the review."""
    reviewed_utc: str | None
    """Time of the review, ISO 8601 in UTC."""
    review: str
    """What the reviewer wrote."""
    case: dict[str, Any] | None
    """The exam case of an accepted incident."""
    checks: list[IncidentCheckView]
    """All checks of the case, oldest first."""
    repaired_utc: str | None
    """Time of the first check that passed, ISO 8601 in UTC."""
    recurrences: list[IncidentRecurrenceView]
    """The checks that failed after that; empty if it never came back."""


class IncidentPage(ResponseModel):
    """Incidents, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[IncidentView]
    """The incidents."""
    can_review: bool
    """Whether the caller may review incidents, and so sees those of everybody."""


class IncidentRequest(StrictModel):
    """Body of `POST /v1/incidents`."""

    item: Annotated[str, Field(min_length=1, max_length=200)]
    """ID of an answer: its completion, response or sample."""
    reason: Annotated[str, Field(max_length=4000)] = ""
    """What is wrong with it. Maintainers read this, the question and the answer."""


class AcceptIncidentRequest(StrictModel):
    """Body of `POST /v1/incidents/{incident_id}/accept`: the case that every release has to pass. It needs a check."""

    question: Annotated[str, Field(min_length=1, max_length=8000)]
    """What every release is asked."""
    must_contain: Annotated[list[Phrase], Field(max_length=20)] = Field(default_factory=list)
    """Words or phrases that the answer has to contain, all of them."""
    must_not_contain: Annotated[list[Phrase], Field(max_length=20)] = Field(default_factory=list)
    """Words or phrases none of which the answer may contain."""
    must_refuse: bool | None = None
    """Whether the answer has to be a refusal (true) or must not be one (false); null checks neither."""
    review: Annotated[str, Field(max_length=4000)] = ""
    """What the reviewer wants to say."""


class DismissIncidentRequest(StrictModel):
    """Body of `POST /v1/incidents/{incident_id}/dismiss`."""

    review: Annotated[str, Field(max_length=4000)] = ""
    """Why it is no fault."""
