"""Wire models of learning cycles. Data only."""

from __future__ import annotations

from typing import Any, Literal

from yearling.api.http.schemas import ResponseModel

CycleStepName = Literal["consensus", "lessons", "training", "exams", "gate", "proposal", "canary", "promotion"]
CycleOutcomeName = Literal["promoted", "measured", "refused", "waiting", "nothing", "stopped"]


class CycleStepView(ResponseModel):
    """A step of a cycle that is done."""

    name: CycleStepName
    """Name of the step."""
    ended_utc: str
    """End of the step, ISO 8601 in UTC."""
    cpu_s: float
    """Processor time in seconds."""


class CycleView(ResponseModel):
    """A learning cycle. `POST /v1/jobs` with the kind `cycle` starts one."""

    object: Literal["cycle"]
    """Always `cycle`."""
    id: str
    """ID of the cycle."""
    created_utc: str
    """Start, ISO 8601 in UTC."""
    source: Literal["judgements", "practice"]
    """What it learns from: judgements of people, or tasks whose answers a program checks."""
    why: str
    """Why it was started, if the server started it."""
    champion: str
    """The model that it is to beat."""
    steps: list[CycleStepView]
    """The steps that are done, in their order."""
    outcome: CycleOutcomeName | None
    """How it ended; null while it goes on. A cycle that is `waiting` or `stopped` can go on."""
    reason: str
    """Why it ended so, in one sentence."""
    advice: str
    """What to do next."""


class CycleDetail(CycleView):
    """A learning cycle with its report."""

    report: dict[str, Any] | None
    """What got better and worse, with pairs of answers, the proof, the cost and what to do next; null before the end."""


class CycleList(ResponseModel):
    """Learning cycles, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[CycleView]
    """The cycles."""


class CyclePlanView(ResponseModel):
    """What a cycle that started now would do."""

    object: Literal["cycle.plan"]
    """Always `cycle.plan`."""
    champion: str
    """The model that it is to beat."""
    judgements: int
    """Number of judgements that it would learn from."""
    people: int
    """Number of people behind them."""
    exams: list[str]
    """The exams that the rules of the gate need."""
    training_s: float | None
    """Expected seconds of the training, from the speed measured on this machine; null if nothing was measured yet."""
    exams_s: float | None
    """Expected seconds of the exams; null likewise."""
    needed_bytes: int
    """Disk space that it needs."""
    free_bytes: int
    """Disk space that is free."""
    problems: list[str]
    """What would keep it from ending well, for people."""
    text: str
    """The plan for people."""
