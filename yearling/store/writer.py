"""Group commit for the server: concurrent samples are stored in one durable transaction at a time, off the event loop."""

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
    """Stores samples for one event loop. While one transaction is written, samples gather for the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="yearling-writer")
        self._pending: list[tuple[Sample, asyncio.Future[bool]]] = []
        self._flush_task: asyncio.Task[None] | None = None
        self._last_expiry_s = time.monotonic()  # opening the store expires samples
        self._closed = False

    async def add(self, sample: Sample) -> bool:
        """Store a sample; durable on return. Returns False if the retention setting says to store nothing.

        Raises StorageFailed or Unavailable if the storage fails; later samples are tried again. Raises NotFound, Conflict or
        ValueError if this sample is invalid. Cancelling the caller does not undo the write.
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
        """Wait until every added sample is stored or refused. Closing twice is harmless."""
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
            except Exception as error:  # a bug of ours: callers must not wait for ever
                outcomes = [error] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue  # the caller was cancelled
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        if time.monotonic() - self._last_expiry_s > _EXPIRY_INTERVAL_S:
            self._last_expiry_s = time.monotonic()
            try:
                await self._run_in_thread(self._store.delete_expired_samples)
            except UserError as error:
                _log.warning("sample_expiry_failed", reason=str(error))

    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)
