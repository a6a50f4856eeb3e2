"""The worker: takes queued jobs one after the other, each in a process of its own, and deals with what happens to the process.

A worker holds the lock of the data folder's jobs, and its job's processes inherit it. So a job never runs twice at once: not even
if the worker is killed and its job lives on for a moment. A job that a lost process left `running` is queued again when the next
worker has the lock, which it only gets once every process of the lost one is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import NotFound
from yearling.files.locks import LockHeldError, acquire_exclusive_lock
from yearling.files.private import create_private_file
from yearling.loop.jobs.folders import JobFolders
from yearling.loop.jobs.kinds import find_job_kind
from yearling.loop.jobs.schedule import is_quiet_now
from yearling.loop.jobs.yielding import MidStepPause, PeopleWaitingWatch
from yearling.store import Job, Store

CANCEL_GRACE_S = 30.0
"""How long a job may take to end after it was cancelled, before it is killed."""
PAUSE_GRACE_S = 10.0
"""The same when the worker itself is asked to end."""
MAX_CRASHES = 5
"""A job whose process is lost so often in a row, without any progress in between, has failed."""
_POLL_S = 0.02
"""How often a worker looks whether its job has ended, and whether people wait."""
_LOOK_S = 1.0
"""How often a worker looks for a request to cancel."""

CommandOf = Callable[[str], Sequence[str]]
"""The command line that executes a job, by its id."""


def job_command(settings: Settings) -> CommandOf:
    """The command line of Yearling that executes a job for a worker: here, or on the cluster of the settings."""
    where = ["--on-cluster"] if settings.ray_address else []
    return lambda job_id: [*_yearling(settings, "jobs", "execute"), job_id, "--parent", str(os.getpid()), *where]


def worker_command(settings: Settings) -> list[str]:
    """The command line of Yearling that runs what is queued."""
    return _yearling(settings, "jobs", "work")


def start_worker(settings: Settings, command: Sequence[str] | None = None) -> None:
    """Start a worker that outlives this process and ends once nothing is queued. Does nothing while another one runs."""
    folders = JobFolders.of(settings)
    output = folders.root / "worker.txt"
    create_private_file(output)
    with output.open("wb") as file:
        process = subprocess.Popen(
            command or worker_command(settings),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=_environment(),
        )
    # The system releases a process once somebody has waited for it. A daemon thread does not keep this process from ending.
    threading.Thread(target=process.wait, name="wait for a worker", daemon=True).start()


def is_worker_running(settings: Settings) -> bool:
    """Whether a job runs on this data folder now, or one of its processes still lives."""
    try:
        os.close(acquire_exclusive_lock(JobFolders.of(settings).lock))
    except LockHeldError:
        return True
    return False


def ask_worker_to_end(settings: Settings) -> None:
    """Ask a running worker to end after the step of its job, which goes on when the next worker starts."""
    folders = JobFolders.of(settings)
    create_private_file(folders.end_request)


@dataclass(slots=True)
class _Ending:
    """Why a job is being ended, and when its process is killed."""

    is_cancelled: bool
    deadline_s: float
    reason: str


class Worker:
    """Runs the queued jobs of one data folder."""

    def __init__(
        self,
        settings: Settings,
        command_of: CommandOf | None = None,
        *,
        cancel_grace_s: float = CANCEL_GRACE_S,
        pause_grace_s: float = PAUSE_GRACE_S,
    ) -> None:
        self._settings = settings
        self._command_of = command_of or job_command(settings)
        self._cancel_grace_s, self._pause_grace_s = cancel_grace_s, pause_grace_s
        self._folders = JobFolders.of(settings)
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """End after the step of the job in progress, which goes on later."""
        self._is_stopped.set()

    def run(self, *, wait_s: float | None = 0.0) -> int:
        """Run what is due, and return how many jobs ended. Waits up to `wait_s` seconds for another worker; None: for ever.

        Another worker that holds the lock takes what is queued, so this one has nothing to do then.
        """
        machine, count = self._folders.machine(), 0
        with Store.open(self._settings, lock_timeout_s=30.0) as store:
            while not self._is_stopped.is_set():
                try:
                    lock = acquire_exclusive_lock(self._folders.lock, timeout_s=wait_s)
                except LockHeldError:
                    return count
                try:
                    self._folders.end_request.unlink(missing_ok=True)  # it was meant for the worker before
                    _queue_lost_jobs(store, machine)
                    while not self._is_stopped.is_set() and not self._is_quiet() and (job := store.jobs.claim(machine)):
                        count += self._run_job(store, job, lock)
                finally:
                    os.close(lock)
                # Whoever queued a job while this worker gave up the lock, found it held: look again.
                if self._is_quiet() or store.jobs.next_due(machine) is None:
                    return count
        return count

    def _is_quiet(self) -> bool:
        return is_quiet_now(self._settings.quiet_hours, datetime.now())

    def _run_job(self, store: Store, job: Job, lock: int) -> int:
        """Run one job. Returns 1 if it ended, 0 if it is queued again."""
        log = self._folders.log(job.id)
        self._folders.prepare(job.id, is_new=False)
        create_private_file(log)
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._command_of(job.id),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock,),
                env=_environment(),
            )
        ending: _Ending | None = None
        looked_s = 0.0
        with (
            closing(PeopleWaitingWatch(self._folders.people_wait)) as people,
            closing(MidStepPause(people, self._folders.pausable(job.id), process.pid)) as pause,
        ):
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    break
                now = time.monotonic()
                if ending is not None and now > ending.deadline_s:
                    os.killpg(process.pid, signal.SIGKILL)
                elif ending is None and (self._is_stopped.is_set() or now - looked_s > _LOOK_S):
                    looked_s = now
                    self._folders.cut_log(job.id)
                    if ending := self._why_end(store, job.id):
                        pause.resume()  # a stopped process would not hear the signal
                        os.kill(process.pid, signal.SIGTERM)
                if ending is None and not self._settings.ray_address:  # there the process is on another machine
                    pause.update()
                time.sleep(_POLL_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started and left behind
        return self._settle(store, job, process.returncode, ending, job.cpu_s + usage.ru_utime + usage.ru_stime)

    def _why_end(self, store: Store, job_id: str) -> _Ending | None:
        now = time.monotonic()
        if store.jobs.get(job_id).cancel_utc is not None:
            return _Ending(True, now + self._cancel_grace_s, "")
        if self._folders.end_request.exists():
            self.stop()
        if self._is_stopped.is_set():
            return _Ending(False, now + self._pause_grace_s, "The server was stopped. The job goes on at its next start.")
        if self._is_quiet():
            return _Ending(False, now + self._cancel_grace_s, "These are quiet hours. The job goes on after them.")
        return None

    def _settle(self, store: Store, job: Job, exit_code: int, ending: _Ending | None, cpu_s: float) -> int:
        """Decide what becomes of a job whose process has ended. Returns 1 if the job has ended."""
        if ending is not None and ending.is_cancelled and store.jobs.finish(job.id, "cancelled", cpu_s=cpu_s):
            return 1
        if ending is not None:
            return int(not store.jobs.requeue(job.id, ending.reason, is_crash=False, cpu_s=cpu_s))
        how = f"by the signal {-exit_code}" if exit_code < 0 else f"with the status {exit_code}"
        return _queue_after_crash(store, job.id, f"Its process was ended {how} before the job was done.", cpu_s)


def _queue_lost_jobs(store: Store, machine: str) -> None:
    """Queue the jobs of this machine that nobody runs: the caller has the lock, so their processes are gone."""
    for job in store.jobs.list(states={"running"}, machine=machine, limit=None):
        if job.cancel_utc is not None:
            store.jobs.finish(job.id, "cancelled", cpu_s=job.cpu_s)
        else:
            at = f"{job.updated_utc or now_utc():%d %B %H:%M} UTC"
            _queue_after_crash(
                store, job.id, f"Its process was lost after {at}: a power failure, or somebody ended it.", job.cpu_s
            )


def _queue_after_crash(store: Store, job_id: str, reason: str, cpu_s: float) -> int:
    """Queue a job again, or give it up. Returns 1 if it has ended."""
    job = store.jobs.get(job_id)
    if job.state != "running":
        return 1
    if job.crashes + 1 >= MAX_CRASHES:
        error = f"{reason} That happened {MAX_CRASHES} times without any progress. See its log; perhaps the memory is too small."
        store.jobs.finish(job_id, "failed", error=error, cpu_s=cpu_s)
        return 1
    how = "It goes on where it was." if _is_resumable(job.kind) else "It begins anew."
    store.jobs.requeue(job_id, f"{reason} {how}", is_crash=True, cpu_s=cpu_s)
    return 0


def _is_resumable(kind: str) -> bool:
    try:
        return find_job_kind(kind).is_resumable
    except NotFound:
        return False


def _yearling(settings: Settings, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "yearling", *arguments, "--data-dir", str(settings.data_dir)]


def _environment() -> dict[str, str]:
    """Nothing but text is wanted in a file, even if this process has a terminal that shows colours.

    Threads of torch that spin while they wait would take several times the processor time beside a server.
    """
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return {"OMP_WAIT_POLICY": "PASSIVE", **environment, "NO_COLOR": "1"}
