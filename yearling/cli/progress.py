"""Progress on stderr: bars and status lines in a terminal, plain lines in a log file. Independent of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from yearling.cli.console import err, format_size
from yearling.errors import NotFound

if TYPE_CHECKING:
    from yearling.models import LocalModel, ModelLibrary, Progress
    from yearling.training import TrainingProgress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A callback that draws one bar of bytes per phase and removes it at the end; in a log file, one line per phase."""
    if not err.is_terminal:
        printed_phases: set[str] = set()

        def print_phase(phase: str, done: int, total: int | None) -> None:
            if phase not in printed_phases:
                printed_phases.add(phase)
                err.print(f"{phase} ({format_size(total)})" if total else phase, highlight=False, soft_wrap=True)

        yield print_phase
        return
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=err, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def update_bar(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield update_bar


@contextmanager
def status_line(text: str) -> Iterator[Callable[[str], None]]:
    """A callback that replaces the text of one status line; in a log file, one line per text."""
    if not err.is_terminal:
        err.print(text, highlight=False)
        yield lambda new_text: err.print(new_text, highlight=False, markup=False)
        return
    with err.status(text) as status:
        yield lambda new_text: status.update(new_text)


@contextmanager
def training_progress_bar(total_steps: int) -> Iterator[Callable[[TrainingProgress], None]]:
    """A callback that draws a bar of steps with the remaining time; in a log file, a line every twentieth of the run."""
    if not err.is_terminal:

        def print_step(progress: TrainingProgress) -> None:
            if progress.step % max(1, total_steps // 20) == 0 or progress.step == total_steps:
                remaining = f"{progress.remaining_s:.0f} s left"
                err.print(f"step {progress.step}/{total_steps}, {remaining}, {_format_metrics(progress)}", highlight=False)

        yield print_step
        return
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    columns: tuple[ProgressColumn, ...] = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remaining]}"),
        TextColumn("{task.fields[metrics]}"),
    )
    with Bars(*columns, console=err, transient=True) as bars:
        task = bars.add_task("", total=total_steps, remaining="", metrics="")

        def update_bar(progress: TrainingProgress) -> None:
            remaining = f"{_format_duration(progress.remaining_s)} left"
            bars.update(task, completed=progress.step, remaining=remaining, metrics=_format_metrics(progress))

        yield update_bar


def _format_metrics(progress: TrainingProgress) -> str:
    names = ("loss", "reward", "pass_rate", "kl", "accuracy", "score")
    return ", ".join(f"{name.replace('_', ' ')} {progress.metrics[name]:.4g}" for name in names if name in progress.metrics)


def _format_duration(seconds: float) -> str:
    """Seconds as H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def pull_with_status(library: ModelLibrary, name: str) -> LocalModel:
    """The model of this name, installed from the catalogue if it is missing. Raises what pulling raises."""
    try:
        return library.get(name)
    except NotFound:
        pass
    with progress_bar() as progress:
        return library.pull(name, progress=progress)
