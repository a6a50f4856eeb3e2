"""What a running job gets: its options, a folder, its log, and the ways to report progress, to pause and to end early."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.loop.costs import process_tree_cpu_s
from yearling.loop.jobs.yielding import PausableMark, PeopleWaitingWatch
from yearling.store import Store

REPORT_INTERVAL_S = 1.0
"""How often progress goes into the database at most."""
_SPEED_WINDOW_S = 120.0
"""The remaining time follows from the speed of this long."""


class JobStoppedError(BaseException):
    """The job was asked to end: it is cancelled or goes on later. No `except Exception` may swallow it."""


@dataclass(frozen=True, slots=True)
class _Reported:
    at_s: float
    fraction: float


class JobContext:
    """The context of one attempt at one job. Use from one thread, but for `log`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        job_id: str,
        options: Any,
        folder: Path,
        people: PeopleWaitingWatch,
        pausable: PausableMark,
        attempt: int = 1,
        earlier_cpu_s: float = 0.0,
    ) -> None:
        """`options` is the dataclass of the kind. `earlier_cpu_s` is the processor time of the attempts before this one."""
        self.settings = settings
        self.store = store
        self.job_id = job_id
        self.options = options
        self.folder = folder
        """What the job puts here, it finds again when it is resumed."""
        self.attempt = attempt
        self._people = people
        self._pausable = pausable
        self._earlier_cpu_s = earlier_cpu_s
        self._is_stopped = threading.Event()
        self._reported_s = 0.0
        self._history: deque[_Reported] = deque()

    @property
    def threads(self) -> int:
        """Number of threads that the job may use."""
        return self.settings.job_threads or self.settings.threads or psutil.cpu_count(logical=False) or 1

    def report(self, fraction: float, text: str, *, remaining_s: float | None = None) -> None:
        """Say how far the job is, from 0 to 1, and with what. Pauses while people wait. Raises JobStoppedError.

        Without `remaining_s` the remaining time follows from the speed so far.
        """
        self.pause_for_people()
        fraction = min(max(fraction, 0.0), 1.0)
        now = time.monotonic()
        self._history.append(_Reported(now, fraction))
        while now - self._history[0].at_s > _SPEED_WINDOW_S and len(self._history) > 2:
            self._history.popleft()
        if now - self._reported_s < REPORT_INTERVAL_S and fraction < 1.0:
            return
        self._reported_s = now
        known_s = self._estimate_s(fraction) if remaining_s is None else remaining_s
        self.store.jobs.report(self.job_id, fraction=fraction, progress=text, remaining_s=known_s, cpu_s=self.cpu_s())

    def check_cancelled(self) -> None:
        """Raises JobStoppedError if the job was asked to end. Call it between steps."""
        if self._is_stopped.is_set():
            raise JobStoppedError

    def pause_for_people(self) -> None:
        """Wait while somebody waits for an answer, for a while at most. Raises JobStoppedError."""
        self.check_cancelled()
        self._people.wait(self.check_cancelled)
        self.check_cancelled()

    def computing(self) -> AbstractContextManager[None]:
        """A block that only computes: the worker may stop the process in its middle while people wait."""
        return self._pausable.computing()

    def log(self, message: str) -> None:
        """Write a line to the job's log."""
        print(f"{now_utc().isoformat(timespec='seconds')} {message}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Ask the job to end at its next check."""
        self._is_stopped.set()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT ask the job to end. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def cpu_s(self) -> float:
        """Processor seconds of the job so far: this process, those that it started, and the earlier attempts."""
        return self._earlier_cpu_s + process_tree_cpu_s()

    def _estimate_s(self, fraction: float) -> float | None:
        first = self._history[0]
        done, took_s = fraction - first.fraction, time.monotonic() - first.at_s
        return (1.0 - fraction) * took_s / done if done > 0 and took_s > 0 else None
