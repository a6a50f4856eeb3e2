"""Ends the work of stopped models in the middle, whatever it waits for: a token, a long prefill, the queue, an endpoint.

`is_stopped` is asked before work starts, with every piece of an answer, and at intervals while there is work. Work that waits
inside an engine is cancelled, as a client's disconnect cancels it, so that the engine frees its sequence. Work whose reader is
slow is closed behind its back. Departs from `asyncio.timeout` in that it follows the work of a generator, which different tasks
may advance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import structlog

from yearling.errors import ModelStopped
from yearling.tracebacks import describe_exception

IsStopped = Callable[[str], str]
"""Called with the name of a model. Returns why it is stopped, as sentences that name who stopped it, or an empty text."""

POLL_S = 0.2
"""How often work that waits is compared with the stop state, in seconds."""

_log = structlog.get_logger("yearling.inference")


class StoppableWork:
    """One stream or call. Enter it around each wait for the engine: `with work: await ...`."""

    __slots__ = ("_closing", "_is_cancelled", "_num_cancels", "_stream", "_task", "model", "reason")

    def __init__(self, model: str, stream: AsyncGenerator[Any, None] | None) -> None:
        self.model = model
        self.reason = ""
        """Why the model is stopped; empty while it is not."""
        self._stream = stream
        self._task: asyncio.Task[Any] | None = None
        self._num_cancels = 0
        self._is_cancelled = False
        self._closing: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        """Let a stop interrupt the task from here on. Raises ModelStopped if the model is stopped already."""
        if self.reason:
            raise stopped_error(self.model, self.reason)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("work can only be stopped in a task")
        self._task, self._num_cancels = task, task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Raises ModelStopped in place of the cancellation by `stop`, unless somebody else has cancelled the task as well."""
        task, self._task = self._task, None
        if self._is_cancelled and task is not None:
            self._is_cancelled = False
            if task.uncancel() <= self._num_cancels:
                raise stopped_error(self.model, self.reason) from None

    def stop(self, reason: str) -> None:
        """End the work now. Has no effect the second time."""
        if self.reason:
            return
        self.reason = reason
        if self._task is not None:
            self._is_cancelled = True
            self._task.cancel()
        elif self._stream is not None:  # nobody waits for the engine, which goes on working
            self._closing = asyncio.create_task(_close(self._stream))

    async def end(self) -> None:
        """Return once the engine is free."""
        if self._closing is not None:
            await asyncio.wait({self._closing})
        elif self._stream is not None:
            stream, self._stream = self._stream, None  # a stop during the end has nothing to close
            await stream.aclose()


class StopWatch:
    """The work of all engines of one pool. Use from one event loop."""

    def __init__(self, is_stopped: IsStopped) -> None:
        self._is_stopped = is_stopped
        self._work: set[StoppableWork] = set()
        self._watching: asyncio.Task[None] | None = None

    def check(self, model: str) -> None:
        """Raises ModelStopped if the model is stopped."""
        if reason := self._is_stopped(model):
            raise stopped_error(model, reason)

    def is_stopped(self, model: str) -> bool:
        """Whether the model is stopped."""
        return bool(self._is_stopped(model))

    @contextmanager
    def watching(self, model: str, stream: AsyncGenerator[Any, None] | None = None) -> Generator[StoppableWork, None, None]:
        """Work for a model that ends when the model is stopped. `stream` is what the engine generates.

        Raises ModelStopped if the model is stopped already.
        """
        self.check(model)
        work = StoppableWork(model, stream)
        self._work.add(work)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="watch for stopped models")
        try:
            yield work
        finally:
            self._work.discard(work)

    async def close(self) -> None:
        """Stop watching."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self) -> None:
        """Look at the stop state while there is work. A fault is logged and does not end this task, which would end all stops."""
        while self._work:
            try:
                self._stop_stopped()
            except Exception as error:
                _log.error("stop_state_unreadable", **describe_exception(error))
            await asyncio.sleep(POLL_S)

    def _stop_stopped(self) -> None:
        for model in {work.model for work in self._work}:
            if reason := self._is_stopped(model):
                for work in [work for work in self._work if work.model == model]:
                    work.stop(reason)


def stopped_error(model: str, reason: str) -> ModelStopped:
    """The error of every request for a stopped model."""
    return ModelStopped(f"The model {model} is stopped. {reason}", advice="A key-holder can let it run again.", param="model")


async def _close(stream: AsyncGenerator[Any, None]) -> None:
    await stream.aclose()
