"""Server-sent events, and work that stops when the client disconnects.

Independent of the content of a stream. A response runs two tasks: one sends, the other waits for the client to disconnect.
The first to end cancels the other. Source: the WHATWG HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing, nullcontext
from typing import Generic, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import to_json_bytes

T = TypeVar("T")

KEEP_ALIVE_S = 15.0
FIRST_EVENT_TIMEOUT_S = 1.0
"""How long a response waits for its first event before it starts without one."""

_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

DONE = b"data: [DONE]\n\n"


def format_event(data: Mapping[str, object], *, name: str = "") -> bytes:
    """One event in wire format."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + to_json_bytes(data) + b"\n\n"


class EventStreamResponse(Response):
    """Sends events as they arrive, and a comment after every `keep_alive_s` of silence.

    When the stream ends or the client disconnects, the response closes `source` and then awaits `on_close`.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        *,
        on_close: Callable[[], Awaitable[None]] | None = None,
        keep_alive_s: float | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._source = source
        self._on_close = on_close
        self._keep_alive_s = KEEP_ALIVE_S if keep_alive_s is None else keep_alive_s
        self._last_sent_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ApiError (429) if the caller may open no further stream: see `StreamLimiter`."""
        hold_stream = scope.get("state", {}).get("hold_stream", nullcontext)
        try:
            with hold_stream():
                keep_alive = asyncio.create_task(self._keep_alive(send))
                try:
                    await race_against(asyncio.create_task(self._send(send)), wait_for_disconnect(receive))
                finally:
                    keep_alive.cancel()
        finally:
            await self._source.aclose()
            if self._on_close is not None:
                await self._on_close()

    async def _send(self, send: Send) -> None:
        # Close the source here instead of leaving it to the garbage collector: generation must stop now.
        async with aclosing(self._source) as source:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            self._last_sent_s = time.monotonic()
            async for chunk in source:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._last_sent_s = time.monotonic()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _keep_alive(self, send: Send) -> None:
        while True:
            quiet_s = time.monotonic() - self._last_sent_s if self._last_sent_s else 0.0
            if quiet_s >= self._keep_alive_s:
                self._last_sent_s = time.monotonic()
                await send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})
            else:
                await asyncio.sleep(self._keep_alive_s - quiet_s)


class PrimedStream(Generic[T]):
    """A stream whose first item has arrived, so that an immediate failure gets a proper status code.

    After `FIRST_EVENT_TIMEOUT_S` the response starts without the first item. Always call `aclose`.
    """

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self._source = source
        self._first = asyncio.create_task(_next(source))

    @classmethod
    async def open(cls, source: AsyncGenerator[T, None], receive: Receive) -> PrimedStream[T]:
        """Raises what the stream raises before its first item, and ApiError if the client disconnects meanwhile."""
        stream = cls(source)
        disconnect = asyncio.create_task(wait_for_disconnect(receive))
        try:
            await asyncio.wait({stream._first, disconnect}, timeout=FIRST_EVENT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if stream._first.done():
                stream._first.result()
            elif disconnect.done():
                raise client_disconnected_error()
        except BaseException:
            await stream.aclose()
            raise
        finally:
            disconnect.cancel()
        return stream

    async def events(self) -> AsyncGenerator[T, None]:
        """All items, the first included."""
        first = await self._first
        if first is not None:
            yield first
            async for item in self._source:
                yield item

    async def aclose(self) -> None:
        """Close the source, even if it has never started."""
        self._first.cancel()
        await asyncio.wait({self._first})
        await self._source.aclose()


async def _next(source: AsyncGenerator[T, None]) -> T | None:
    return await anext(source, None)


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected. Read the request body first."""
    while (await receive())["type"] != "http.disconnect":
        pass


def client_disconnected_error() -> ApiError:
    """The error for a client that has disconnected. Only the log shows it."""
    return ApiError(499, "The client disconnected.", code="client_left")


async def run_until_disconnect(receive: Receive, work: Coroutine[object, None, T]) -> T:
    """The result of the work. If the client disconnects first, cancel the work and raise ApiError."""
    task = asyncio.create_task(work)
    if not await race_against(task, wait_for_disconnect(receive)):
        raise client_disconnected_error()
    return task.result()


async def race_against(task: asyncio.Task[object], other: Coroutine[object, None, None]) -> bool:
    """Wait for the task, or cancel it when `other` ends first. Returns whether the task ended first; raises its exception."""
    rival = asyncio.create_task(other)
    finished_first = False
    try:
        await asyncio.wait({task, rival}, return_when=asyncio.FIRST_COMPLETED)
        finished_first = task.done()
    finally:
        for pending in (task, rival):
            pending.cancel()
        await asyncio.wait({task, rival})
    if finished_first or not task.cancelled():
        task.result()
    return finished_first
