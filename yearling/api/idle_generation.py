"""Generates in the background of the server, while nobody else does: one piece of work at a time.

A request for generation interrupts the answer in progress, so nobody waits for background work. What the work is, where its state
lives and when it is given up is up to the subclass.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import ClassVar, Generic, Protocol, TypeVar

import structlog

from yearling.chat import Assistant
from yearling.errors import UserError
from yearling.tracebacks import describe_exception

_log = structlog.get_logger("yearling.api")

W = TypeVar("W")
T = TypeVar("T")

_MIN_PAUSE_S = 0.02


class GenerationActivity(Protocol):
    """Who generates on this server."""

    @property
    def num_answers(self) -> int:
        """Answers that people's requests run or wait for."""
        ...

    @property
    def quiet_s(self) -> float:
        """Seconds since the last of them ended; 0 while there is one."""
        ...

    def on_request(self, callback: Callable[[], None]) -> None:
        """Call this whenever somebody asks for an answer."""
        ...


class GenerationInterruptedError(Exception):
    """Somebody asked for an answer, or `interrupt` was called."""


class IdleGeneration(ABC, Generic[W]):
    """A background task of one server. Use from one event loop."""

    failure_event: ClassVar[str]
    """The name under which a failed look for work, or a failed attempt at it, is logged."""

    def __init__(
        self, assistant: Assistant, activity: GenerationActivity, *, quiet_s: float, retry_pause_s: float, idle_poll_s: float
    ) -> None:
        """`quiet_s`: how long nobody may have generated before an answer starts. `retry_pause_s`: pause after a failure.
        `idle_poll_s`: how often to look for work that nobody reported.
        """
        self._assistant, self._activity = assistant, activity
        self.quiet_s, self.retry_pause_s, self.idle_poll_s = quiet_s, retry_pause_s, idle_poll_s
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._interrupt: Callable[[], object] | None = None
        activity.on_request(self.interrupt)

    @property
    def is_working(self) -> bool:
        """Whether an answer is generated now."""
        return self._interrupt is not None

    @abstractmethod
    def find_work(self) -> W | None:
        """The next piece of work; None if there is none. Runs in a thread and may block."""

    @abstractmethod
    async def do_work(self, work: W) -> None:
        """Do a piece of work, or record why it failed. What it raises is logged, and tried again after a pause."""

    def start(self) -> None:
        """Start to do whatever waits."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def interrupt(self) -> None:
        """Abandon the answer in progress. Its work is done later if it still waits."""
        if self._interrupt is not None:
            self._interrupt()

    async def close(self) -> None:
        """Stop. The work in progress is done after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._assistant.close()

    async def generate(self, generation: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run a generation. Raises GenerationInterruptedError if somebody asks for an answer meanwhile, and what it raises."""
        if self._activity.num_answers:
            raise GenerationInterruptedError
        task = asyncio.create_task(generation())
        self._interrupt = task.cancel
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            self._interrupt = None
        if task.cancelled():
            raise GenerationInterruptedError
        return task.result()

    async def _run(self) -> None:
        while True:
            try:
                work = await asyncio.to_thread(self.find_work)
                if work is None:
                    await self._wait_for_work()
                elif self._activity.num_answers or self._activity.quiet_s < self.quiet_s:
                    await asyncio.sleep(max(self.quiet_s - self._activity.quiet_s, _MIN_PAUSE_S))
                else:
                    await self.do_work(work)
            except UserError as error:  # the storage, or something that was deleted or stopped meanwhile
                _log.warning(self.failure_event, reason=str(error))
                await asyncio.sleep(self.retry_pause_s)
            except Exception as error:
                _log.error(self.failure_event, **describe_exception(error))
                await asyncio.sleep(self.retry_pause_s)

    async def _wait_for_work(self) -> None:
        # Not `wait_for`: in Python 3.11 it can swallow a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(self.idle_poll_s):
                await self._wake.wait()
        self._wake.clear()
