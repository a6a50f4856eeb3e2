"""Follows a source for as long as it exists: reads, writes in batches, reconnects.

A batch and the cursor after it are one transaction, so a kill loses nothing that was acknowledged and doubles nothing. What
arrives while the store does not take it waits here, up to a limit; then the stream itself is slowed down.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from yearling.clock import now_utc
from yearling.errors import UserError
from yearling.retrieval.posts.events import CursorTooOldError, Post, PostEvent, PostSource, StreamItem

BATCH_EVENTS = 500
BATCH_S = 0.25
"""A batch is written after so many events, or so long after its first one."""
MAX_WAITING = 5_000
"""Messages that may wait for the store."""
MIN_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
_STEADY_S = 60.0
"""A connection that held so long is no longer counted as a failure of the ones before."""
_RATE_WINDOW_S = 60.0


class PostSink(Protocol):
    """Where posts are kept."""

    def apply(self, source_id: str, events: Sequence[PostEvent], cursor: str) -> None:
        """Store a batch and the cursor after it in one transaction; an empty cursor leaves the stored one. Blocks.

        Raises UserError if nothing was stored: the batch is offered again.
        """
        ...


@dataclass(slots=True)
class SourceStatus:
    """How a source is doing."""

    is_connected: bool = False
    num_events: int = 0
    num_malformed: int = 0
    num_failures: int = 0
    last_error: str = ""
    gaps: list[str] = field(default_factory=list)
    """What is missing, and since when, in a sentence each: the newest ones."""
    last_event_utc: datetime | None = None
    lag_s: float | None = None
    """Seconds from the time of the newest post to the moment at which it could be found."""
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def rate_per_s(self) -> float:
        """Events per second over the last minute."""
        self._drop_old()
        return sum(count for _, count in self._recent) / _RATE_WINDOW_S

    def note_batch(self, events: Sequence[PostEvent]) -> None:
        """Count a batch that was stored."""
        now = now_utc()
        self.num_events += len(events)
        self.last_event_utc = now if events else self.last_event_utc
        times = [event.created_utc for event in events if isinstance(event, Post)]
        if times:
            self.lag_s = max(0.0, (now - max(times)).total_seconds())
        self._recent.append((time.monotonic(), len(events)))
        self._drop_old()

    def note_gap(self, reason: str) -> None:
        """Remember that posts are missing."""
        self.gaps = [*self.gaps[-19:], f"{now_utc():%d %B %Y, %H:%M} UTC: {reason}"]

    def _drop_old(self) -> None:
        while self._recent and time.monotonic() - self._recent[0][0] > _RATE_WINDOW_S:
            self._recent.popleft()


class SourceFollower:
    """Follows one source. Use from one event loop."""

    def __init__(
        self,
        source: PostSource,
        sink: PostSink,
        *,
        source_id: str,
        cursor: str = "",
        pause_s: float = MIN_PAUSE_S,
        poll_s: float = 0.0,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        """`poll_s` is the pause after a read that ended well, for feeds; `on_batch` is called after each batch."""
        self._source, self._sink, self._source_id, self._cursor = source, sink, source_id, cursor
        self._pause_s, self._poll_s, self._on_batch = pause_s, poll_s, on_batch
        self.status = SourceStatus()

    async def run(self) -> None:
        """Follow the source until cancelled. What was read by then and is not stored is read again later."""
        failures = 0
        while True:
            started = time.monotonic()
            try:
                await self._read_once()
                failures = 0
                pause_s = self._poll_s or self._pause_s
            except CursorTooOldError as error:
                self.status.note_gap(str(error))
                self._cursor, pause_s = "", 0.0
            except Exception as error:  # whatever one message did: the source is tried again, and people see why
                self.status.num_failures += 1
                self.status.last_error = str(error) if isinstance(error, UserError) else f"Internal error: {error!r}"[:300]
                failures = 1 if time.monotonic() - started > _STEADY_S else failures + 1
                pause_s = min(self._pause_s * 2 ** min(failures - 1, 10), MAX_PAUSE_S) * random.uniform(0.8, 1.2)
            finally:
                self.status.is_connected = False
            await asyncio.sleep(pause_s)

    async def _read_once(self) -> None:
        """Read until the connection ends. Raises what ended it, after everything that was read is stored."""
        queue: asyncio.Queue[StreamItem | None] = asyncio.Queue(MAX_WAITING)
        reader = asyncio.create_task(self._read_into(queue))
        try:
            while (batch := await self._next_batch(queue)) is not None:
                await self._store(batch)
            await reader  # raises what ended the connection
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reader

    async def _read_into(self, queue: asyncio.Queue[StreamItem | None]) -> None:
        try:
            async with aclosing(self._source.read(self._cursor)) as stream:
                async for item in stream:
                    self.status.is_connected = True
                    await queue.put(item)
        except Exception:
            await queue.put(None)
            raise
        await queue.put(None)

    async def _next_batch(self, queue: asyncio.Queue[StreamItem | None]) -> list[StreamItem] | None:
        """The next messages; None after the last one."""
        first = await queue.get()
        if first is None:
            return None
        batch, deadline = [first], time.monotonic() + BATCH_S
        while len(batch) < BATCH_EVENTS and (left_s := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    item = await queue.get()
            except TimeoutError:
                break
            if item is None:
                queue.put_nowait(None)  # its place is free: it was just taken
                break
            batch.append(item)
        return batch

    async def _store(self, batch: Sequence[StreamItem]) -> None:
        """Store a batch, however long the store needs."""
        events = [item.event for item in batch if item.event is not None]
        self.status.num_malformed += sum(item.is_malformed for item in batch)
        for gap in dict.fromkeys(item.gap for item in batch if item.gap):
            self.status.note_gap(gap)
        cursor = next((item.cursor for item in reversed(batch) if item.cursor), "")
        pause_s = self._pause_s
        while events or cursor:
            try:
                await asyncio.to_thread(self._sink.apply, self._source_id, events, cursor)
                break
            except UserError as error:
                self.status.num_failures += 1
                self.status.last_error = str(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, MAX_PAUSE_S)
        self._cursor = cursor or self._cursor
        self.status.note_batch(events)
        self._on_batch()
