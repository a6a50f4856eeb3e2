"""Runs a training run that may have begun before: the same folder, the same weights, whatever happened in between."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.clock import new_id
from yearling.config import Settings
from yearling.files.atomic import atomic_write_text
from yearling.loop.training_processes import train_in_processes

if TYPE_CHECKING:
    from yearling.training import ArtefactStores, RunFolder, RunSetup, TrainingProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What a run shall learn: the method with its settings, and what it starts from. `options` are those of the loop."""

    method: str
    settings: Mapping[str, Any]
    setup: RunSetup
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came of it. `model` is the name under which it is served; empty for what cannot be served, such as a reward model."""

    run: str
    state: str
    step: int
    best_step: int
    best_score: float | None
    adapter: str
    model: str


def run_training_plan(
    plan: TrainingPlan,
    settings: Settings,
    stores: ArtefactStores,
    *,
    folder: Path,
    threads: int,
    command: Sequence[str],
    on_progress: Callable[[TrainingProgress], None],
    is_time_up: Callable[[], bool] = lambda: False,
    computing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> RunResult:
    """Train, and publish the best adapter. `folder` remembers which run it is: called again after a kill, it goes on.

    Raises what creating a run raises, and what `train_and_publish` does.
    """
    run = _open_or_create(plan, settings, stores, folder=folder, threads=threads, command=command)
    return train_and_publish(run, settings, stores, on_progress=on_progress, is_time_up=is_time_up, computing=computing)


def train_and_publish(
    run: RunFolder,
    settings: Settings,
    stores: ArtefactStores,
    *,
    on_progress: Callable[[TrainingProgress], None],
    is_time_up: Callable[[], bool] = lambda: False,
    computing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> RunResult:
    """Train a run from its newest checkpoint, and publish the best adapter. `computing` is that of `train`.

    When the time is up, the run ends after its step, and what it has learnt by then is published.

    Raises what training raises, and what `on_progress` raises. Both leave a run that can be resumed.
    """
    from yearling.training import MULTI_PROCESS_METHODS, build_method, export_adapter, prepare_for_processes, train

    is_over = False

    def report(progress: TrainingProgress) -> None:
        nonlocal is_over
        on_progress(progress)
        if is_time_up():
            is_over = True
            run.request_stop()

    if settings.training_processes > 1 and run.facts["method"] in MULTI_PROCESS_METHODS:
        prepare_for_processes(run, stores)
        outcome = train_in_processes(run, settings, on_progress=report)
    else:
        outcome = train(build_method(run, stores), run, on_progress=report, computing=computing)
    adapter, served = "", ""
    if (outcome.state == "finished" or is_over) and run.facts["method"] != "reward" and not run.facts["setup"]["full"]:
        published = export_adapter(run, stores)
        adapter, served = published.sha256, published.served_name(published.base)
    values = {name: value for name, value in asdict(outcome).items() if name != "state"}
    return RunResult(run=run.id, state=outcome.state, adapter=adapter, model=served, **values)


def _open_or_create(
    plan: TrainingPlan, settings: Settings, stores: ArtefactStores, *, folder: Path, threads: int, command: Sequence[str]
) -> RunFolder:
    from yearling.training import RunFolder, create_run

    marker = folder / "run"
    if not marker.exists():
        atomic_write_text(marker, new_id())  # before the run: a kill in between leaves no run that nobody knows
    path = settings.runs_dir / marker.read_text()
    if (path / "run.json").exists():
        return RunFolder.open(path)
    shutil.rmtree(path, ignore_errors=True)  # a kill between the folder and its run.json
    return create_run(
        path,
        plan.method,
        dict(plan.settings),
        plan.setup,
        stores,
        options=dict(plan.options),
        command=list(command),
        threads=threads,
    )
