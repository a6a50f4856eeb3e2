"""The training loop, which runs every method: step, validate, log metrics, checkpoint, stop.

The method decides what a step learns; the loop makes sure that a run survives being killed. A step's metrics are written after
the step, and a checkpoint after its metrics. A resumed run restores its newest undamaged checkpoint, drops the metrics after it,
and repeats those steps. On a CPU the same steps give the same bits, so a resumed run ends exactly as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from yearling.errors import BadInput, StorageFailed, UserError
from yearling.training.distributed import broadcast_flag
from yearling.training.methods.protocol import Method
from yearling.training.provenance import describe_differences
from yearling.training.run import RunFolder

DEFAULT_NUM_VALIDATIONS = 20
"""Validations per run if `TrainOptions.validate_every` is 0."""

_DURATION_WINDOW_STEPS = 20
"""The remaining time is estimated from this many recent steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How the loop runs a method. These options never change what is learnt. Raises BadInput if one is out of range."""

    validate_every: int = 0
    """Steps between two validations, each followed by a checkpoint; 0 is a twentieth of the run."""
    checkpoint_s: float = 120.0
    """Longest time between two checkpoints, in seconds: the most work that a kill can lose."""

    def __post_init__(self) -> None:
        if self.validate_every < 0 or self.checkpoint_s <= 0:
            raise BadInput("validate_every must not be negative, and checkpoint_s must be greater than 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """What the loop reports after each step. `remaining_s` is an estimate, in seconds."""

    step: int
    total_steps: int
    metrics: Mapping[str, float]
    remaining_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """How a run ended: `finished`, or `stopped` on request. `best_step` is the step of the checkpoint with the best score."""

    state: Literal["finished", "stopped"]
    step: int
    best_step: int
    best_score: float | None


def train(
    method: Method,
    run: RunFolder,
    *,
    on_progress: Callable[[TrainingProgress], None] = lambda progress: None,
    computing: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> TrainingOutcome:
    """Run the method from the run's newest checkpoint until it finishes or is asked to stop.

    `computing` makes the context of each stretch of a step that writes nothing, so that its process can be stopped in the middle.

    Raises Conflict if another process trains the run, StorageFailed if the disk is full or fails, BadInput if the loss or a
    weight is no longer finite, Untrusted if every checkpoint is damaged, and whatever the method raises. The last good checkpoint
    is kept.
    """
    options = TrainOptions(**run.facts["options"])
    with run.locked():
        run.clear_stop()
        try:
            with torch_arithmetic(run.facts["machine"]["threads"]):
                step = _restore_or_start(method, run)
                return _run_steps(method, run, step, options, on_progress, computing)
        except KeyboardInterrupt:
            _record_failure(run, "stopped", "Interrupted. Resuming repeats the steps after the last checkpoint.")
            raise
        except UserError as error:
            _record_failure(run, "failed", str(error))
            raise
        except Exception as error:
            _record_failure(run, "failed", f"Internal error: {type(error).__name__}: {error}")
            raise


def _run_steps(
    method: Method,
    run: RunFolder,
    step: int,
    options: TrainOptions,
    on_progress: Callable[[TrainingProgress], None],
    computing: Callable[[], AbstractContextManager[None]],
) -> TrainingOutcome:
    total = method.total_steps
    validate_every = options.validate_every or max(1, total // DEFAULT_NUM_VALIDATIONS)
    durations_s: deque[float] = deque(maxlen=_DURATION_WINDOW_STEPS)
    saved_s = time.monotonic()
    while step < total and not broadcast_flag(run.stop_requested()):
        started = time.perf_counter()
        step += 1
        with computing():
            metrics = method.step(step)
        _check_finite(run, step, metrics)
        duration_s = time.perf_counter() - started
        validates = step % validate_every == 0 or step == total
        with computing():
            validation_metrics = (method.validate() or {}) if validates else {}
        durations_s.append(time.perf_counter() - started)

        run.append_metrics(step, _metrics_line(metrics, validation_metrics, duration_s))
        if broadcast_flag(validates or time.monotonic() - saved_s > options.checkpoint_s):
            _save_checkpoint(method, run, step, validation_metrics.get("score"))
            saved_s = time.monotonic()

        remaining_s = (total - step) * sum(durations_s) / len(durations_s)
        run.write_status("running", step=step, total_steps=total, remaining_s=remaining_s)
        all_metrics = metrics | validation_metrics
        on_progress(TrainingProgress(step=step, total_steps=total, metrics=all_metrics, remaining_s=remaining_s))
    return _finish(method, run, step)


@contextlib.contextmanager
def torch_arithmetic(threads: int) -> Iterator[None]:
    """Set torch's arithmetic for the block: the number of threads, and flushing of denormal numbers to zero.

    The number of threads fixes the order of summation, and thereby the bits of the result. Denormal numbers are computed in
    microcode, a hundred times slower, and do not matter for training. They are restored afterwards because other code in this
    process, above all the consensus, depends on them to the last bit."""
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _restore_or_start(method: Method, run: RunFolder) -> int:
    """Load the newest undamaged checkpoint, or write that of step 0. Drops all later metrics and checkpoints.

    Returns the step of the checkpoint."""
    restored = run.checkpoints.latest()
    if broadcast_flag(restored is None) or restored is None:
        run.log(f"Started {method.name}: {method.total_steps} steps.")
        run.truncate_metrics(-1)
        validation_metrics = method.validate() or {}
        if validation_metrics:
            run.append_metrics(0, _metrics_line({}, validation_metrics, 0.0))
        _save_checkpoint(method, run, 0, validation_metrics.get("score"))
        run.write_status("running", step=0, total_steps=method.total_steps)
        return 0
    checkpoint, state = restored
    for difference in describe_differences(run.facts):
        run.log(f"The resumed run may differ from an uninterrupted one: {difference}.")
    run.checkpoints.discard_after(checkpoint.step)
    run.truncate_metrics(checkpoint.step)
    method.load_state_dict(state)
    run.log(f"Resumed at step {checkpoint.step} of {method.total_steps}.")
    run.write_status("running", step=checkpoint.step, total_steps=method.total_steps)
    return checkpoint.step


def _save_checkpoint(method: Method, run: RunFolder, step: int, score: float | None) -> None:
    state = method.state_dict()
    if not _all_finite(state["policy"]):
        raise _non_finite_error(run, step, "a weight")
    # Metrics first: even after a power cut, no checkpoint may be newer than the metrics of the steps that led to it.
    run.sync_metrics()
    run.checkpoints.save(step, state, score=score)


def _finish(method: Method, run: RunFolder, step: int) -> TrainingOutcome:
    checkpoints = run.checkpoints.all()
    if broadcast_flag(not checkpoints or checkpoints[-1].step != step):
        _save_checkpoint(method, run, step, None)
    outcome = read_outcome(run, step=step, is_finished=step >= method.total_steps)
    run.clear_stop()
    run.log(f"{outcome.state.capitalize()} at step {step} of {method.total_steps}; the best checkpoint is {outcome.best_step}.")
    run.write_status(outcome.state, step=step, total_steps=method.total_steps)
    return outcome


def read_outcome(run: RunFolder, *, step: int, is_finished: bool) -> TrainingOutcome:
    """How a run ended at `step`, with the best of its checkpoints."""
    best = run.checkpoints.best()
    return TrainingOutcome(
        state="finished" if is_finished else "stopped",
        step=step,
        best_step=best.step if best else step,
        best_score=best.score if best else None,
    )


def _metrics_line(metrics: Mapping[str, float], validation_metrics: Mapping[str, float], duration_s: float) -> dict[str, float]:
    line = {**metrics, **{f"validation_{name}": value for name, value in validation_metrics.items()}}
    if metrics:
        line["duration_s"] = duration_s
    if "tokens" in metrics and duration_s > 0:
        line["tokens_per_s"] = metrics["tokens"] / duration_s
    return line


def _check_finite(run: RunFolder, step: int, metrics: Mapping[str, float]) -> None:
    for name in ("loss", "grad_norm"):
        if not math.isfinite(metrics.get(name, 0.0)):
            run.append_metrics(step, metrics)
            raise _non_finite_error(run, step, f"the {name.replace('_', ' ')}")


def _non_finite_error(run: RunFolder, step: int, quantity: str) -> BadInput:
    checkpoints = run.checkpoints.all()
    kept = f"The checkpoint of step {checkpoints[-1].step} is kept" if checkpoints else "There is no earlier checkpoint"
    return BadInput(
        f"Training stopped: after step {step}, {quantity} is not a finite number. {kept}.",
        advice="Start a new run with a lower learning rate, or export the kept checkpoint with "
        f"`yearling train export {run.id} --checkpoint last`.",
    )


def _all_finite(state: object) -> bool:
    import torch

    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, Mapping):
        return all(_all_finite(item) for item in state.values())
    return not isinstance(state, list | tuple) or all(_all_finite(item) for item in state)


def _record_failure(run: RunFolder, state: str, message: str) -> None:
    """Record in the run folder why it ended. A full disk may have no room for that; the caller raises the error in any case."""
    checkpoints = run.checkpoints.all()
    with contextlib.suppress(StorageFailed):
        run.write_status(state, step=checkpoints[-1].step if checkpoints else 0, message=message)
        run.log(message)
