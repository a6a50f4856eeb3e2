"""A run folder that is never written to, for the processes of a distributed run that only compute.

The main process owns the folder. All other processes read the same config and checkpoints and discard what they would write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yearling.training.checkpoints import Checkpoint, CheckpointStore
from yearling.training.distributed import is_main_process
from yearling.training.run import RunFolder


def run_for_this_process(run: RunFolder) -> RunFolder:
    """The run itself in the main process, and a read-only view of it in every other process."""
    return run if is_main_process() else _ReadOnlyRunFolder(run.folder, run.facts)


class _ReadOnlyRunFolder(RunFolder):
    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        super().__init__(folder, facts)
        self.checkpoints = _ReadOnlyCheckpointStore(self.checkpoints.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def truncate_metrics(self, step: int) -> None:
        pass

    def sync_metrics(self) -> None:
        pass

    def write_status(self, state: str, *, step: int, message: str = "", **extra: object) -> None:
        pass

    def clear_stop(self) -> None:
        pass

    def log(self, message: str) -> None:
        pass


class _ReadOnlyCheckpointStore(CheckpointStore):
    def save(self, step: int, state: Mapping[str, object], *, score: float | None = None) -> Checkpoint:
        return Checkpoint(step=step, score=score, folder=self.folder, hashes={})

    def discard_after(self, step: int) -> None:
        pass
