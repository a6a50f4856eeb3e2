"""Wire models of jobs. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.loop import MAX_OPTION_CHARS, MAX_OPTION_ITEMS

JobStateName = Literal["queued", "running", "done", "failed", "cancelled"]
OptionText = Annotated[str, Field(max_length=MAX_OPTION_CHARS)]
OptionValue = bool | int | float | OptionText | Annotated[tuple[OptionText, ...], Field(max_length=MAX_OPTION_ITEMS)]
OptionName = Annotated[str, Field(max_length=64)]


class JobRequest(StrictModel):
    """A new job."""

    kind: Annotated[str, Field(min_length=1, max_length=64)]
    """Kind of the job; `GET /v1/jobs/kinds` lists them."""
    options: Annotated[dict[OptionName, OptionValue], Field(max_length=50, default_factory=dict)]
    """Options of the kind. Those that are left out have their defaults."""


class JobView(ResponseModel):
    """A job: something that takes long, and runs in the background."""

    object: Literal["job"]
    """Always `job`."""
    id: str
    """ID of the job."""
    kind: str
    """Kind of the job, such as `train` or `exam`."""
    options: dict[str, OptionValue]
    """The options of the job."""
    person_id: str | None
    """Who started it; null if the server did, or if the person was deleted."""
    state: JobStateName
    """State of the job. Jobs run one after the other."""
    cancelling: bool
    """Whether a running job was cancelled and ends after its current step."""
    fraction: float
    """Progress, from 0 to 1."""
    progress: str
    """What the job does or did last, for people."""
    remaining_s: float | None
    """Estimated time to its end in seconds; null if unknown or not running."""
    reason: str
    """Why a job that had begun is queued again; empty otherwise."""
    error: str
    """Why it failed, and what to do about it; empty otherwise."""
    result: dict[str, Any] | None
    """What came of it; null unless it is done. The fields depend on the kind."""
    cpu_s: float
    """Processor time in seconds, over all attempts."""
    attempts: int
    """Number of times that it was started: more than one after a power failure or a restart."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    not_before_utc: str | None
    """Time before which it does not start, ISO 8601 in UTC; null for at once."""
    started_utc: str | None
    """Time of the first start, ISO 8601 in UTC; null while it has not begun."""
    ended_utc: str | None
    """Time of its end, ISO 8601 in UTC; null before."""


class BackgroundTaskView(ResponseModel):
    """A task of this server that works while nobody generates. It has no end, and is no job."""

    name: Literal["rounds", "canary_replay"]
    """`rounds` answers the questions of rounds; `canary_replay` lets the challenger of a canary answer stored prompts."""
    working: bool
    """Whether it generates an answer now."""


class JobPage(ResponseModel):
    """Jobs, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[JobView]
    """The jobs."""
    background: list[BackgroundTaskView]
    """What else this server does in the background."""


class JobKindView(ResponseModel):
    """A kind of job."""

    name: str
    """Name of the kind."""
    title: str
    """What it does, for people."""
    resumable: bool
    """Whether an interrupted job goes on where it was; otherwise it begins anew."""
    options: list[str]
    """Names of its options."""


class JobKindList(ResponseModel):
    """The kinds of job that this server can start."""

    object: Literal["list"]
    """Always `list`."""
    data: list[JobKindView]
    """The kinds."""


class JobLog(ResponseModel):
    """What a job wrote."""

    object: Literal["job.log"]
    """Always `job.log`."""
    id: str
    """ID of the job."""
    text: str
    """The last million bytes of the log, in whole lines."""
