"""Several processes that train one model together under `torchrun`, and the values they must agree on.

Every process runs the same steps on its own share of the batches (`policy/sharding.py`). Only the main process writes to the run
folder (`read_only_run.py`). In a single process every function here is a no-op.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def torchrun_arguments(run_folder: Path, node: Sequence[str], *, as_json: bool = False) -> list[str]:
    """The arguments with which Python trains a run in several processes. `node` are those of `torchrun` about this machine."""
    data_dir = str(run_folder.parents[1].resolve())
    training = ["-m", "yearling", "train", "resume", run_folder.name, "--data-dir", data_dir, *(["--json"] if as_json else [])]
    return ["-m", "torch.distributed.run", "--rdzv-backend=c10d", *node, *training]


def local_node(num_processes: int) -> list[str]:
    """The arguments of `torchrun` if all processes run on this machine."""
    return [f"--nproc-per-node={num_processes}", "--rdzv-endpoint=127.0.0.1:0"]


def world_size() -> int:
    """The number of processes that `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this process is the one that writes to the run folder and to the terminal."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the process group that `torchrun` set up, and leave it at the end of the block. A no-op in a single process."""
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
    """The main process's value of `flag`, in every process. All processes must call this together.

    Clocks and files may differ between processes; a decision that depends on them is made by the main process alone."""
    if world_size() == 1:
        return flag
    from torch import distributed

    flags = [False] * world_size()
    distributed.all_gather_object(flags, flag)
    return flags[0]


def all_reduce_sum(*values: float) -> tuple[float, ...]:
    """The sum of each value over all processes. All processes must call this together."""
    if world_size() == 1:
        return values
    import torch
    from torch import distributed

    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return tuple(total.tolist())
