"""Trains a run in several processes under `torchrun`, on this machine or with the workers of a Ray cluster, and watches them.

`torchrun` starts `yearling train resume` in each process. On a cluster, the process of the job is the first node and the
rendezvous; each further node is a process on another worker.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from yearling.config import Settings
from yearling.errors import Unavailable
from yearling.loop.jobs.cluster import Cluster, ClusterProcess
from yearling.loop.jobs.yielding import terminate_with_parent

if TYPE_CHECKING:
    from yearling.training import RunFolder, TrainingOutcome, TrainingProgress

_POLL_S = 0.2
_END_S = 120.0
"""How long the processes may take to end after one of them has, or after they were asked to."""


def train_in_processes(run: RunFolder, settings: Settings, *, on_progress: Callable[[TrainingProgress], None]) -> TrainingOutcome:
    """Train a run in `training_processes` processes until it finishes or is asked to stop.

    Raises Unavailable if a process fails, and what `on_progress` raises; the run is stopped first and can be resumed.
    """
    from yearling.training import local_node, read_outcome, torchrun_arguments

    count = settings.training_processes
    with ExitStack() as stack:
        others: list[ClusterProcess] = []
        if settings.ray_address:
            address = f"{_own_address()}:{_free_port()}"
            cluster = stack.enter_context(Cluster(settings))
            shared = [f"--nnodes={count}", "--nproc-per-node=1", f"--rdzv-id={run.id}", f"--rdzv-endpoint={address}"]
            output, joining = run.folder / "torchrun.txt", [*shared, "--rdzv-conf=is_host=false"]
            others = [cluster.start(torchrun_arguments(run.folder, joining), output, gpus=True) for _ in range(count - 1)]
            node = [*shared, "--rdzv-conf=is_host=true"]
        else:
            node = local_node(count)
        first = subprocess.Popen(
            [sys.executable, *torchrun_arguments(run.folder, node)], stdin=subprocess.DEVNULL, preexec_fn=terminate_with_parent()
        )
        stack.callback(_end, first)
        _watch(run, first, others, on_progress)
    status = run.read_status()
    return read_outcome(run, step=status["step"], is_finished=status["state"] == "finished")


def _watch(
    run: RunFolder,
    first: subprocess.Popen[bytes],
    others: Sequence[ClusterProcess],
    on_progress: Callable[[TrainingProgress], None],
) -> None:
    """Report each step until all processes have ended. Raises Unavailable if one failed or the others do not end."""
    from yearling.training import TrainingProgress

    seen, deadline_s = 0, float("inf")
    while True:
        statuses = [first.poll(), *(each.poll() for each in others)]
        status: dict[str, Any] = run.read_status()
        if status["state"] == "running" and status["step"] != seen and status.get("total_steps"):
            seen = status["step"]
            remaining_s = float(status.get("remaining_s", 0.0))
            on_progress(TrainingProgress(step=seen, total_steps=status["total_steps"], metrics={}, remaining_s=remaining_s))
        if any(statuses):
            why = status["message"] if status["state"] == "failed" else "Its output is in the log of the job."
            raise Unavailable(f"A process of the training run {run.id} failed: {why}")
        if None not in statuses:
            return
        if any(each is not None for each in statuses):
            deadline_s = min(deadline_s, time.monotonic() + _END_S)
        if time.monotonic() > deadline_s:
            raise Unavailable(f"The processes of the training run {run.id} do not end together.", advice="Start it again.")
        time.sleep(_POLL_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs: by a request, which keeps its last step, and by force if that takes too long."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _own_address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


def _free_port() -> int:
    """A port that is free now. The rendezvous opens it a moment later."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
