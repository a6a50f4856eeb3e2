"""Training runs as they go over the wire. Data only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from yearling.records import RunState


class RunView(BaseModel):
    object: Literal["run"]
    id: str
    method: str
    state: RunState
    step: int
    total_steps: int
    created_utc: str
    updated_utc: str | None
    remaining_s: float | None
    message: str
    model: str
    base_sha256: str
    lesson_set: str
    seed: int
    best_step: int | None
    best_score: float | None


class RunDetail(RunView):
    facts: dict[str, Any]


class RunList(BaseModel):
    object: Literal["list"]
    data: list[RunView]


class MetricsLine(BaseModel):
    """One step: its number, when it ended, and the figures that its method has."""

    model_config = ConfigDict(extra="allow")

    step: int
    time_utc: str


class RunMetrics(BaseModel):
    object: Literal["list"]
    data: list[MetricsLine]
