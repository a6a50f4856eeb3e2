"""Several processes that train one model together, as `torchrun` starts them; and what they must agree on.

Every process makes the same steps on its own share of the batches (`sharding.py`). The first alone writes to the run's folder,
the others watch it. Alone, all of this is nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from yearling.training.checkpoints import Checkpoint, CheckpointStore
from yearling.training.run import RunFolder


def world_size() -> int:
    """How many processes `torchrun` started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the process that writes."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Inside, this process belongs to the group that `torchrun` started."""
    if world_size() == 1:
        yield
        return
    import torch
    from torch import distributed

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def broadcast_flag(flag: bool) -> bool:
    """What the first process says, once all have come here: clocks and files may tell each of them something else."""
    if world_size() == 1:
        return flag
    from torch import distributed

    said: list[Any] = [None] * world_size()
    distributed.all_gather_object(said, flag)
    return bool(said[0])


def all_reduce_sum(*values: float) -> tuple[float, ...]:
    """The sum of each value over all processes."""
    if world_size() == 1:
        return values
    import torch
    from torch import distributed

    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return tuple(total.tolist())


def run_for_this_process(run: RunFolder) -> RunFolder:
    """The run itself for the process that writes, a view of it that writes nothing for the others."""
    return run if is_main_process() else _ReadOnlyRunFolder(run.folder, run.facts)


class _ReadOnlyRunFolder(RunFolder):
    def __init__(self, folder: Any, facts: dict[str, Any]) -> None:
        super().__init__(folder, facts)
        self.checkpoints = _ReadOnlyCheckpointStore(self.checkpoints.folder)

    def locked(self) -> Any:
        return nullcontext()

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def truncate_metrics(self, step: int) -> None:
        pass

    def sync_metrics(self) -> None:
        pass

    def write_status(self, state: str, *, step: int, message: str = "", **extra: Any) -> None:
        pass

    def clear_stop(self) -> None:
        pass

    def log(self, message: str) -> None:
        pass


class _ReadOnlyCheckpointStore(CheckpointStore):
    def save(self, step: int, state: Mapping[str, Any], *, score: float | None = None) -> Checkpoint:
        return Checkpoint(step=step, score=score, folder=self.folder, hashes={})

    def discard_after(self, step: int) -> None:
        pass
