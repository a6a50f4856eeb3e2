"""How background work makes room for people: its priority, and pauses between steps while somebody waits for an answer.

A server holds a shared lock on a file while it has answers to give. A job looks at the lock between its steps. The operating
system releases the lock if the server dies, so nobody waits for a dead server.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from yearling.files.private import PRIVATE_FILE_MODE

JobPriority = Literal["idle", "low", "normal"]

MAX_PAUSE_S = 20.0
"""A job takes at least one step in this time, however many people wait: otherwise a busy server would stop it for ever."""
_POLL_S = 0.05
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
            with suppress(BlockingIOError):  # a job looks at the lock at this very moment, and looks again soon
                fcntl.flock(self._descriptor, (fcntl.LOCK_SH if is_waiting else fcntl.LOCK_UN) | fcntl.LOCK_NB)
                self._is_set = is_waiting

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
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

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
