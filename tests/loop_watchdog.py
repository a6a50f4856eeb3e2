"""Fails tests whose server keeps its event loop busy: one callback may use `CPU_LIMIT_S` of the loop thread's CPU time.

CPU time, not wall-clock time: a busy machine fails nothing. The longest wall-clock stall is a metric, and part of a test's
report. asyncio's callbacks are timed one by one. uvloop runs its callbacks in C: there a turn of the loop is timed, between the
moment a heartbeat is posted and the moment it runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CPU_LIMIT_S = 0.25 if "PYTEST_XDIST_WORKER" not in os.environ else 1.0
"""Tests that run side by side share caches and cores, which makes the same work cost more processor time."""
_SAMPLE_S = 0.02

EXPECTED_TO_BURN: dict[str, str] = {}
"""Test (its node id, or the beginning of it) -> why its callbacks may burn."""


@dataclass(frozen=True, slots=True)
class Burn:
    """A callback, or a turn of the loop, that used too much CPU time. `stack` shows what ran when that was noticed."""

    callback: str
    cpu_s: float
    stack: str
    thread_id: int

    def __str__(self) -> str:
        return f"{self.cpu_s:.2f} s of CPU time on the event loop in {self.callback}\n{self.stack}"


@dataclass(slots=True)
class _Running:
    name: str
    began_cpu_s: float
    stack: str = ""
    done: bool = False


def _cpu_s(thread_id: int) -> float:
    """CPU time of a thread of this process, in seconds."""
    if sys.platform != "linux":
        return time.thread_time() if thread_id == threading.get_ident() else 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread_id))


@dataclass
class LoopWatchdog:
    """Watches all asyncio loops of the process while `watching`, and each loop given to `watch_loop`."""

    burns: list[Burn] = field(default_factory=list)
    longest_stall_s: float = 0.0
    """Wall-clock time of the longest callback, or between two heartbeats above their interval."""
    _running: dict[int, _Running] = field(default_factory=dict)
    _beats: dict[int, tuple[asyncio.AbstractEventLoop, _Running]] = field(default_factory=dict)
    _arrived_s: dict[int, float] = field(default_factory=dict)
    _is_watching: bool = False

    @contextmanager
    def watching(self) -> Iterator[LoopWatchdog]:
        """Watch within the block; blocks may be nested."""
        if self._is_watching:
            yield self
            return
        really = asyncio.events.Handle._run
        running, watchdog = self._running, self

        def timed(self: asyncio.events.Handle) -> None:
            thread_id = threading.get_ident()
            outer = running.get(thread_id)
            mine = running[thread_id] = _Running(repr(self), time.thread_time()) if outer is None else outer
            began_s = time.monotonic()
            try:
                really(self)
            finally:
                if outer is None:
                    del running[thread_id]
                    watchdog.longest_stall_s = max(watchdog.longest_stall_s, time.monotonic() - began_s)
                    watchdog._judge(mine, time.thread_time(), thread_id)

        stop = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(stop,), name="loop-watchdog", daemon=True)
        asyncio.events.Handle._run = timed  # type: ignore[method-assign]
        sampler.start()
        self._is_watching = True
        try:
            yield self
        finally:
            self._is_watching = False
            asyncio.events.Handle._run = really  # type: ignore[method-assign]
            stop.set()
            sampler.join()

    def restart_callback(self) -> None:
        """Count the running callback's time from here: what a test did to prepare is not the server's work."""
        if running := self._running.get(threading.get_ident()):
            running.began_cpu_s = time.thread_time()

    def watch_loop(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        """Time the turns of a loop that is not asyncio's own, by heartbeats."""
        self._beat(loop, thread_id)

    def forget_loop(self, thread_id: int) -> None:
        self._beats.pop(thread_id, None)
        self._arrived_s.pop(thread_id, None)

    def _beat(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        mine = _Running("a turn of the loop", _cpu_s(thread_id))
        self._beats[thread_id] = (loop, mine)

        def arrive() -> None:
            mine.done = True
            now_s = time.monotonic()
            # From one beat to the next: a thread that holds the interpreter keeps the sampler from posting beats as well.
            stall_s = now_s - self._arrived_s.get(thread_id, now_s) - _SAMPLE_S
            self.longest_stall_s = max(self.longest_stall_s, stall_s)
            self._arrived_s[thread_id] = now_s
            self._judge(mine, _cpu_s(thread_id), thread_id)

        loop.call_soon_threadsafe(arrive)

    def _judge(self, running: _Running, ended_cpu_s: float, thread_id: int) -> None:
        used = ended_cpu_s - running.began_cpu_s
        if used > CPU_LIMIT_S:
            stack = running.stack or "(it held the interpreter: no stack could be taken)"
            self.burns.append(Burn(running.name, used, stack, thread_id))

    def _sample(self, stop: threading.Event) -> None:
        while not stop.wait(_SAMPLE_S):
            for thread_id, (loop, beat) in list(self._beats.items()):
                if beat.done and not loop.is_closed():
                    self._beat(loop, thread_id)
            for thread_id, running in [
                *self._running.copy().items(),
                *((thread_id, beat) for thread_id, (_, beat) in list(self._beats.items()) if not beat.done),
            ]:
                if not running.stack and _cpu_s(thread_id) - running.began_cpu_s > CPU_LIMIT_S:
                    frame = sys._current_frames().get(thread_id)
                    running.stack = "".join(traceback.format_stack(frame)) if frame else ""


WATCHDOG = LoopWatchdog()
"""Of this process: `tests/api` and every server of `tests.api.live` use it."""


def expected_to_burn(node_id: str) -> bool:
    return any(node_id.startswith(name) for name in EXPECTED_TO_BURN)
