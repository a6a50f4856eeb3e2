"""Runs the processes of jobs on the workers of a Ray cluster instead of this machine.

The worker of this machine stays the supervisor: it starts one process here for each job, and that process starts the job's own
process on the cluster and watches it. Ray ends an actor together with the process that made it, and an actor's processes end with
the actor. So whatever is killed, nothing keeps running that nobody watches.

The workers of the cluster need the same program and see the same data folder. On several machines that asks for a network file
system, and for Postgres, since SQLite locks its file for one machine only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yearling.config import Settings
from yearling.errors import Unavailable
from yearling.files.private import create_private_file
from yearling.loop.jobs.folders import JobFolders
from yearling.loop.jobs.yielding import end_with_parent, terminate_with_parent
from yearling.store import Store

CONNECT_TIMEOUT_S = 10.0
KILL_AFTER_S = 60.0
"""How long a process of the cluster may take to end after it was asked to."""
_POLL_S = 0.2


class Cluster:
    """A connection to the Ray cluster of the settings. What was started through it ends with it."""

    def __init__(self, settings: Settings) -> None:
        """Raises Unavailable if Ray is not installed or the cluster cannot be reached."""
        try:
            import ray
        except ImportError:
            raise Unavailable("Ray is not installed here.", advice="Install it with `pip install 'yearling[ray]'`.") from None
        self._ray: Any = ray
        try:
            _connect(settings.ray_address)
            ray.init(address=settings.ray_address, log_to_driver=False, configure_logging=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise Unavailable(
                f"The Ray cluster {settings.ray_address!r} cannot be reached: {error}",
                advice="Start it, or empty the setting `ray_address` to run jobs on this machine.",
            ) from None
        self._has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        self.processes: list[ClusterProcess] = []

    def start(self, arguments: Sequence[str], output: Path, *, gpus: bool) -> ClusterProcess:
        """Start `python ARGUMENTS…` on a worker that is free, with what it prints appended to `output`.

        It waits for a worker if none is free. With `gpus` it gets a GPU if the cluster has any.
        """
        create_private_file(output)
        actor_class = self._ray.remote(num_cpus=1, num_gpus=int(gpus and self._has_gpus), max_restarts=0)(ProcessActor)
        actor = actor_class.options(scheduling_strategy="SPREAD").remote(tuple(arguments), str(output))
        process = ClusterProcess(self._ray, actor)
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Ask what still runs to end, wait for it, and disconnect."""
        running = [process for process in self.processes if process.poll() is None]
        for process in running:
            process.terminate()
        deadline_s = time.monotonic() + KILL_AFTER_S
        while any(process.poll() is None for process in running) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _connect(address: str) -> None:
    """Raises OSError at once where nothing answers; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and "//" not in address and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


class ClusterProcess:
    """A process on a worker of the cluster."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self._status: int | None = None
        self._answer: Any = actor.poll.remote()

    def poll(self) -> int | None:
        """The exit status once it has ended; None before, and while it waits for a worker. A lost worker counts as status 1."""
        if self._status is None:
            try:
                answered, _ = self._ray.wait([self._answer], timeout=0)
                if answered:
                    self._status = self._ray.get(self._answer)
                    self._answer = self._actor.poll.remote()
                if self._status is not None:
                    self._ray.kill(self._actor)  # it would keep its worker from others
            except self._ray.exceptions.RayError as error:
                print(f"A worker of the cluster was lost: {error}", file=sys.stderr, flush=True)
                self._status = 1
        return self._status

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        with suppress(self._ray.exceptions.RayError):
            self._actor.terminate.remote()


class ProcessActor:
    """The part that runs on a worker of the cluster: one process, which ends with the worker."""

    def __init__(self, arguments: tuple[str, ...], output: str) -> None:
        with Path(output).open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, *(str(os.getpid()) if each == PARENT else each for each in arguments)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, "NO_COLOR": "1"},
                preexec_fn=terminate_with_parent(),
            )

    def poll(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.terminate()


PARENT = "PARENT-PROCESS"
"""Stands for the id of the process that starts the command."""


def execute_job_on_cluster(settings: Settings, job_id: str, *, parent: int) -> int:
    """Run a job that is marked as running on the cluster, and return the exit status of its process.

    `parent` is the id of the worker's process, without which this one ends. Call it from the main thread of a fresh process.
    Without the cluster the job has failed.
    """
    end_with_parent(parent)
    is_stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopped.set())
    command = ["-m", "yearling", "jobs", "execute", job_id, "--parent", PARENT, "--data-dir", str(settings.data_dir.resolve())]
    try:
        cluster = Cluster(settings)
    except Unavailable as error:
        print(f"Error: {error}", flush=True)
        with Store.open(settings, lock_timeout_s=30.0) as store:
            store.jobs.finish(job_id, "failed", error=str(error), cpu_s=store.jobs.get(job_id).cpu_s)
        return 1
    with cluster:
        # Training in several processes asks for a GPU for each of them.
        process = cluster.start(command, JobFolders.of(settings).log(job_id), gpus=settings.training_processes == 1)
        status = wait_for([process], until=is_stopped.is_set)
    return 1 if status is None or status < 0 else status


def wait_for(processes: Sequence[ClusterProcess], *, until: Callable[[], bool]) -> int | None:
    """Wait for processes, which are asked to end once `until` holds. Returns the first status that is not 0, else 0."""
    is_asked, deadline_s = False, float("inf")
    while any(process.poll() is None for process in processes):
        if not is_asked and until():
            is_asked, deadline_s = True, time.monotonic() + KILL_AFTER_S
            for process in processes:
                process.terminate()
        if time.monotonic() > deadline_s:
            return None
        time.sleep(_POLL_S)
    return next((status for process in processes if (status := process.poll())), 0)
