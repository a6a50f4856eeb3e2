"""Group commit for the server: many concurrent samples, one durable transaction at a time, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from yearling.errors import UserError
from yearling.records import Sample
from yearling.store.store import Store

T = TypeVar("T")

_log = structlog.get_logger(__name__)
_MAX_BATCH = 256
_EXPIRY_INTERVAL_S = 3600.0


class SampleWriter:
    """Stores samples for one event loop. While one transaction is on its way to the disk, the next one gathers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="yearling-writer")
        self._pending: list[tuple[Sample, asyncio.Future[bool]]] = []
        self._flush_task: asyncio.Task[None] | None = None
        self._last_expiry_s = time.monotonic()  # opening the store has just done it
        self._closed = False

    async def add(self, sample: Sample) -> bool:
        """Return once the sample is durable. False when the retention setting says to store nothing.

        Raises StorageFailed or Unavailable when it could not be stored; the next sample is tried afresh, so saving works again as
        soon as the storage does. Raises NotFound, Conflict or ValueError when this very sample is unacceptable. A caller that is
        cancelled while waiting does not take the sample back.
        """
        if self._closed:
            raise RuntimeError("the sample writer is closed")
        if self._store.samples.retention == "none":
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((sample, future))
        if self._flush_task is None or self._flush_task.done():
            self._flush_task = asyncio.create_task(self._flush())
        return await future

    async def close(self) -> None:
        """Wait until everything that was added is stored or refused. Closing twice is harmless."""
        self._closed = True
        if self._flush_task is not None:
            await self._flush_task
        self._executor.shutdown(wait=False)

    async def _flush(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:_MAX_BATCH], self._pending[_MAX_BATCH:]
            samples = [sample for sample, _ in batch]
            outcomes: Sequence[bool | Exception]
            try:
                outcomes = await self._run_in_thread(partial(self._store.samples.add_each, samples))
            except Exception as error:  # our bug; nobody may wait for ever because of it
                outcomes = [error] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # its caller was cancelled
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        if time.monotonic() - self._last_expiry_s > _EXPIRY_INTERVAL_S:
            self._last_expiry_s = time.monotonic()
            try:
                await self._run_in_thread(self._store.delete_expired_samples)
            except UserError as error:
                _log.warning("samples past their retention could not be deleted", reason=str(error))

    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)
