"""Wire models of learning cycles. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.jobs.schemas import JobView

CycleStepName = Literal["consensus", "lessons", "training", "exams", "gate", "proposal", "canary", "promotion"]
CycleOutcomeName = Literal["promoted", "measured", "refused", "waiting", "nothing", "stopped"]


class CycleScheduleChange(StrictModel):
    """When the server learns by itself. Absent fields stay as they are."""

    at: Annotated[str | None, Field(pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$")] = None
    """Time of day, in the server's local time, such as `02:00`; empty for never."""
    lessons: Annotated[int | None, Field(ge=0, le=100_000)] = None
    """Number of waiting lessons from which it learns at once; 0 for never."""


class CycleSchedule(ResponseModel):
    """When the server learns by itself."""

    object: Literal["cycle.schedule"]
    """Always `cycle.schedule`."""
    at: str
    """Time of day, in the server's local time; empty for never."""
    lessons: int
    """Number of waiting lessons from which it learns at once; 0 for never."""


class CyclePlanView(ResponseModel):
    """What a cycle that starts now would do."""

    object: Literal["cycle.plan"]
    """Always `cycle.plan`."""
    champion: str
    """Name of the model that is to be beaten."""
    judgements: int
    """Number of judgements that it would learn from."""
    people: int
    """Number of people who gave them."""
    method: str
    """Training method; `auto` is the one for which there are most lessons."""
    exams: list[str]
    """Names of the exams that the rules ask for."""
    training_s: float | None
    """Expected time of the training in seconds; null if none was measured on this machine yet."""
    exams_s: float | None
    """Expected time of the exams in seconds; null if none was measured on this machine yet."""
    needed_bytes: int
    """Disk space that is needed, in bytes."""
    free_bytes: int
    """Disk space that is free, in bytes."""
    problems: list[str]
    """What would keep it from ending well."""


class CycleStepView(ResponseModel):
    """One step of a cycle."""

    name: CycleStepName
    """Name of the step."""
    state: Literal["done", "current", "waiting"]
    """`current` is the step that runs now, or that the cycle stopped at."""
    cpu_s: float
    """Processor time in seconds; 0 before its end."""


class CycleView(ResponseModel):
    """A cycle: from what people agree on to a model that is in use."""

    object: Literal["cycle"]
    """Always `cycle`."""
    id: str
    """ID of the cycle."""
    created_utc: str
    """Time of its start, ISO 8601 in UTC."""
    champion: str
    """Name of the model that was to be beaten."""
    challenger: str
    """Name of the model that it trained; empty before."""
    release: int | None
    """Number of the release that it proposed; null before."""
    steps: list[CycleStepView]
    """All steps, in their order."""
    outcome: CycleOutcomeName | None
    """How it ended; null while it goes on. `waiting`: for signatures or its canary. `measured`: it was to end at the gate."""
    why: str
    """Why it ended so, as a sentence."""
    discarded: bool
    """Whether the trained model was thrown away."""
    report: dict[str, Any] | None
    """What got better and worse with examples, the proof, the cost; null before the end. docs/cycle.md describes the fields."""


class CycleList(ResponseModel):
    """The newest cycles, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[CycleView]
    """The cycles, without their reports."""
    active: JobView | None
    """The job of the cycle that runs or is queued; null if there is none."""
    schedule: CycleSchedule
    """The settings by which the server starts cycles."""
