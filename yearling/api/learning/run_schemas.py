"""Wire models of training runs. Data only."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from yearling.api.http.schemas import ResponseModel
from yearling.records import RunState


class RunView(ResponseModel):
    """A training run."""

    object: Literal["run"]
    """Always `run`."""
    id: str
    """ID of the run, the name of its folder."""
    method: str
    """Training method, such as `sft` or `dpo`."""
    state: RunState
    """State of the run. An interrupted run's process died; stopped, interrupted and failed runs can be resumed."""
    step: int
    """Number of completed steps."""
    total_steps: int
    """Number of planned steps."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    updated_utc: str | None
    """Time of the last progress, ISO 8601 in UTC; null before the first step."""
    remaining_s: float | None
    """Estimated time to completion in seconds; null unless the run is running."""
    message: str
    """Why the run failed; empty otherwise."""
    model: str
    """Name of the base model."""
    base_sha256: str
    """SHA-256 of the base model, in hexadecimal."""
    lesson_set: str
    """Hash of the lesson set; empty if the run uses none."""
    seed: int
    """Seed of the run."""
    best_step: int | None
    """Step with the best validation score; null without validation."""
    best_score: float | None
    """Best validation score, higher is better; null without validation."""


class RunDetail(RunView):
    """A training run with its recorded facts."""

    facts: dict[str, object]
    """Contents of the run's `run.json`: config, code, packages, machine and command."""


class RunList(ResponseModel):
    """Training runs, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[RunView]
    """The runs."""


class MetricsLine(ResponseModel):
    """Metrics of one step. Further fields depend on the training method."""

    model_config = ConfigDict(extra="allow")

    step: int
    """Number of the step."""
    time_utc: str
    """End of the step, ISO 8601 in UTC."""


class RunMetrics(ResponseModel):
    """Metrics of a run, oldest step first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[MetricsLine]
    """One entry per step."""
