"""How background work makes room for people: its priority, and pauses while somebody waits for an answer.

A server holds a shared lock on a file while it has answers to give. A job looks at the lock between its steps. Since a step can
take longer than an answer, the worker also stops the job's process in the middle of a step (`MidStepPause`), wherever the job
marks that it holds nothing that a server could need (`PausableMark`). The operating system releases the locks of whoever dies,
so nobody waits for a dead server, and the signal that ends a job with its worker ends a stopped one as well.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psutil

from yearling.files.private import PRIVATE_FILE_MODE

JobPriority = Literal["idle", "low", "normal"]

MAX_PAUSE_S = 20.0
"""A job takes at least one step in this time, however many people wait: otherwise a busy server would stop it for ever."""
MIN_RUN_S = 2.0
"""How long a job runs after it was stopped in the middle of a step for `MAX_PAUSE_S`."""
_POLL_S = 0.05
_STOP_S = 0.5
"""How long a process may take to stop."""
_MAX_TRIES = 10
_NICENESS = 19
_PR_SET_PDEATHSIG = 1


def lower_priority(priority: JobPriority) -> None:
    """Give this process, and those that it starts, the processor time that others leave.

    `idle` is Linux's SCHED_IDLE, under which running answers hardly notice the job; elsewhere, and for `low`, it is niceness.
    """
    if priority == "normal":
        return
    with suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    if priority == "idle" and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it ends, however that ends. `parent` is its id; Linux only.

    Raises SystemExit if it has ended already.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


def terminate_with_parent() -> Callable[[], None]:
    """A `preexec_fn` that lets a child get SIGTERM when the process that started it ends, however that ends; Linux only."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class PeopleWaitingMark:
    """A server's mark that somebody waits for an answer. Use from one thread; both methods take microseconds."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        self._is_set = False

    def set(self, is_waiting: bool) -> None:
        """Say whether somebody waits. Jobs look at it between their steps."""
        if is_waiting != self._is_set:
            for _ in range(_MAX_TRIES):  # a job may look at the lock at this very moment
                with suppress(BlockingIOError):
                    fcntl.flock(self._descriptor, (fcntl.LOCK_SH if is_waiting else fcntl.LOCK_UN) | fcntl.LOCK_NB)
                    self._is_set = is_waiting
                    break

    def close(self) -> None:
        """Take the mark away."""
        os.close(self._descriptor)


class PeopleWaitingWatch:
    """A job's view of the marks of all servers on this data folder."""

    def __init__(self, path: Path, *, max_pause_s: float = MAX_PAUSE_S) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        self._max_pause_s = max_pause_s
        self.paused_s = 0.0
        """Seconds that this job has waited for people."""

    def is_somebody_waiting(self) -> bool:
        """Whether a server has answers to give now."""
        return _is_locked(self._descriptor)

    def wait(self, check: Callable[[], None]) -> None:
        """Pause while somebody waits, at most `max_pause_s`. Calls `check`, which may raise, again and again."""
        started = time.monotonic()
        while self.is_somebody_waiting() and time.monotonic() - started < self._max_pause_s:
            check()
            time.sleep(_POLL_S)
        self.paused_s += time.monotonic() - started

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class PausableMark:
    """A job's mark that it computes and holds no lock, transaction or connection that a server could need."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The block may be stopped in its middle, for as long as `MAX_PAUSE_S`. It must not write to the store."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class MidStepPause:
    """A worker's hold on the process of its job: stopped in the middle of a step while somebody waits. Linux only.

    Elsewhere nothing would end a stopped process together with its worker, so jobs pause between their steps alone.
    """

    def __init__(
        self,
        people: PeopleWaitingWatch,
        pausable: Path,
        pid: int,
        *,
        max_pause_s: float = MAX_PAUSE_S,
        min_run_s: float = MIN_RUN_S,
    ) -> None:
        """`pausable` is the file of the job's `PausableMark`, and `pid` a child of this process that it has not waited for."""
        self._people, self._pid = people, pid
        self._descriptor = os.open(pausable, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
        self._max_pause_s, self._min_run_s = max_pause_s, min_run_s
        self._stopped_s: float | None = None
        self._runs_until_s = 0.0
        self.paused_s = 0.0
        """Seconds for which the process was stopped."""

    def update(self) -> None:
        """Stop the process, or let it go on. Call it every few hundredths of a second."""
        now = time.monotonic()
        if self._stopped_s is not None:
            if now - self._stopped_s > self._max_pause_s:
                self.resume()
                self._runs_until_s = now + self._min_run_s
            elif not self._people.is_somebody_waiting():
                self.resume()
        elif now >= self._runs_until_s and sys.platform == "linux" and self._people.is_somebody_waiting():
            self._stop()

    def resume(self) -> None:
        """Let the process go on if it is stopped."""
        if self._stopped_s is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGCONT)
            self.paused_s += time.monotonic() - self._stopped_s
            self._stopped_s = None

    def close(self) -> None:
        """Let the process go on, and close the file."""
        self.resume()
        os.close(self._descriptor)

    def _stop(self) -> None:
        if not _is_locked(self._descriptor):
            return
        self._stopped_s = time.monotonic()
        os.kill(self._pid, signal.SIGSTOP)
        while not self._has_stopped() and time.monotonic() - self._stopped_s < _STOP_S:
            time.sleep(0.001)
        # Between the look and the signal the process may have left the block, and taken a lock.
        if not self._has_stopped() or not _is_locked(self._descriptor):
            self.resume()

    def _has_stopped(self) -> bool:
        try:
            return psutil.Process(self._pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False


def _is_locked(descriptor: int) -> bool:
    """Whether somebody else holds the lock of an open file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
