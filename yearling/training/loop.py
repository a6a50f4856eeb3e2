"""The loop that runs every method: step, validate, write the line, save, stop.

What a step learns is the method's; what survives a kill is this file's. A line of metrics is written after its step, a checkpoint
after its line: a run that is resumed goes back to its newest whole checkpoint, drops the lines after it, and makes those steps
again. On a CPU the same steps give the same bits, so nobody can tell from the outcome that the run was ever disturbed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yearling.errors import BadInput, StorageFailed, UserError
from yearling.training.distributed import broadcast_flag
from yearling.training.methods.protocol import Method
from yearling.training.provenance import describe_differences
from yearling.training.run import RunFolder

DEFAULT_NUM_VALIDATIONS = 20
"""Validations in a run, unless told otherwise."""

_DURATION_WINDOW_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How the loop looks after a run; nothing here changes what is learnt."""

    validate_every: int = 0
    """Steps between two validations, each followed by a checkpoint; 0 is a twentieth of the run."""
    checkpoint_s: float = 120.0
    """A checkpoint is also written when the last one is older than this, in seconds: what a kill costs at most."""

    def __post_init__(self) -> None:
        if self.validate_every < 0 or self.checkpoint_s <= 0:
            raise BadInput("validate_every must not be negative, and checkpoint_s must be above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """What the loop tells whoever watches, after each step."""

    step: int
    total_steps: int
    metrics: Mapping[str, float]
    remaining_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """How a run ended: `finished`, or `stopped` because somebody asked for it."""

    state: Literal["finished", "stopped"]
    step: int
    best_step: int
    best_score: float | None


def train(
    method: Method, run: RunFolder, *, on_progress: Callable[[TrainingProgress], None] = lambda progress: None
) -> TrainingOutcome:
    """Run the method to its end or until it is asked to stop, from where the run folder says that it is.

    Raises Conflict while another process trains the run, StorageFailed for a full or failing disk, BadInput when the loss is no
    number any more, Untrusted when every checkpoint is damaged, and what the method raises; the last good checkpoint is kept.
    """
    options = TrainOptions(**run.facts["options"])
    with run.locked():
        run.clear_stop()
        step = 0
        try:
            with torch_arithmetic(run.facts["machine"]["threads"]):
                step = _restore_or_start(method, run)
                outcome = _run_steps(method, run, step, options, on_progress)
        except KeyboardInterrupt:
            _record_failure(run, "stopped", "Interrupted: the steps after the last checkpoint will be made again.")
            raise
        except UserError as error:
            _record_failure(run, "failed", str(error))
            raise
        except Exception as error:
            _record_failure(run, "failed", f"A bug: {type(error).__name__}: {error}")
            raise
        return outcome


def _run_steps(
    method: Method, run: RunFolder, step: int, options: TrainOptions, on_progress: Callable[[TrainingProgress], None]
) -> TrainingOutcome:
    total = method.total_steps
    every = options.validate_every or max(1, total // DEFAULT_NUM_VALIDATIONS)
    durations_s: deque[float] = deque(maxlen=_DURATION_WINDOW_STEPS)
    saved_s = time.monotonic()
    while step < total and not broadcast_flag(run.stop_requested()):
        started = time.perf_counter()
        step += 1
        metrics = method.step(step)
        _check_finite(run, step, metrics)
        duration_s = time.perf_counter() - started
        marked = step % every == 0 or step == total
        figures = (method.validate() or {}) if marked else {}
        durations_s.append(time.perf_counter() - started)

        run.append_metrics(step, _metrics_line(metrics, figures, duration_s))
        if broadcast_flag(marked or time.monotonic() - saved_s > options.checkpoint_s):
            _save_checkpoint(method, run, step, figures.get("score"))
            saved_s = time.monotonic()

        remaining_s = (total - step) * sum(durations_s) / len(durations_s)
        run.write_status("running", step=step, total_steps=total, remaining_s=remaining_s)
        on_progress(TrainingProgress(step=step, total_steps=total, metrics=metrics | figures, remaining_s=remaining_s))
    return _finish(method, run, step)


@contextlib.contextmanager
def torch_arithmetic(threads: int) -> Iterator[None]:
    """Inside, torch computes with so many threads, which decides in which order sums are taken, and takes denormal numbers for
    zero: they are computed in microcode, a hundred times slower, and mean nothing here. Outside they count again, since others in
    this process, consensus above all, compute to the last bit."""
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _restore_or_start(method: Method, run: RunFolder) -> int:
    """Load the newest whole checkpoint, or write that of step 0; returns its step. Nothing after it is left."""
    found = run.checkpoints.latest()
    if broadcast_flag(found is None) or found is None:
        run.log(f"Started {method.name}: {method.total_steps} steps.")
        run.truncate_metrics(-1)
        figures = method.validate() or {}
        if figures:
            run.append_metrics(0, _metrics_line({}, figures, 0.0))
        _save_checkpoint(method, run, 0, figures.get("score"))
        run.write_status("running", step=0, total_steps=method.total_steps)
        return 0
    checkpoint, state = found
    for difference in describe_differences(run.facts):
        run.log(f"This resumption may not be bit-equal: {difference}.")
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
    # The lines first: no checkpoint may be newer than the lines that led to it, even after a power cut.
    run.sync_metrics()
    run.checkpoints.save(step, state, score=score)


def _finish(method: Method, run: RunFolder, step: int) -> TrainingOutcome:
    there = run.checkpoints.all()
    if broadcast_flag(not there or there[-1].step != step):
        _save_checkpoint(method, run, step, None)
    done = step >= method.total_steps
    best = run.checkpoints.best()
    outcome = TrainingOutcome(
        state="finished" if done else "stopped",
        step=step,
        best_step=best.step if best else step,
        best_score=best.score if best else None,
    )
    run.clear_stop()
    run.log(f"{outcome.state.capitalize()} at step {step} of {method.total_steps}; the best checkpoint is {outcome.best_step}.")
    run.write_status(outcome.state, step=step, total_steps=method.total_steps)
    return outcome


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


def _non_finite_error(run: RunFolder, step: int, what: str) -> BadInput:
    there = run.checkpoints.all()
    kept = f"The checkpoint of step {there[-1].step} is kept" if there else "No step was made before it"
    return BadInput(
        f"Training stopped: after step {step}, {what} is not a finite number. {kept}.",
        advice="Start a new run with a lower learning rate, or export that checkpoint with "
        f"`yearling train export {run.id} --checkpoint last`.",
    )


def _all_finite(state: Any) -> bool:
    import torch

    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, Mapping):
        return all(_all_finite(item) for item in state.values())
    return not isinstance(state, list | tuple) or all(_all_finite(item) for item in state)


def _record_failure(run: RunFolder, state: str, message: str) -> None:
    """Leave word of what happened. On a full disk there may be no room for it; whoever called is told anyway."""
    there = run.checkpoints.all()
    with contextlib.suppress(StorageFailed):
        run.write_status(state, step=there[-1].step if there else 0, message=message)
        run.log(message)
