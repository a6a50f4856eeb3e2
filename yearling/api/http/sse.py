"""Server-sent events, and work that stops when the client leaves.

Knows nothing of what is streamed. A response is two tasks: one sends, the other waits for the client to leave; whichever ends
first ends the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from yearling.api.http.errors import ApiError, to_json_bytes

T = TypeVar("T")

KEEP_ALIVE_S = 15.0
FIRST_EVENT_TIMEOUT_S = 1.0
"""How long a response waits for the first event before it begins without it."""

_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

DONE = b"data: [DONE]\n\n"


def format_event(data: Any, *, name: str = "") -> bytes:
    """One event as it goes over the wire."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + to_json_bytes(data) + b"\n\n"


class EventStreamResponse(Response):
    """Sends events as they come, and a comment whenever nothing was sent for `keep_alive_s`.

    `source` is closed in any case, as soon as the client has left; `on_close` is then awaited.
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
        alive = asyncio.create_task(self._keep_alive(send))
        try:
            await race_against(asyncio.create_task(self._send(send)), wait_for_disconnect(receive))
        finally:
            alive.cancel()
            if self._on_close is not None:
                await self._on_close()

    async def _send(self, send: Send) -> None:
        # Closed here and not by the garbage collector: generation must stop now.
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
    """A stream whose first item has been waited for, so that what fails at once fails with a proper status.

    After `FIRST_EVENT_TIMEOUT_S` the response begins without it. `aclose` must be called in any case.
    """

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self._source = source
        self._first = asyncio.create_task(_next(source))

    @classmethod
    async def open(cls, source: AsyncGenerator[T, None], receive: Receive) -> PrimedStream[T]:
        """Raises what the stream raises at its beginning, and ApiError when the client leaves meanwhile."""
        opened = cls(source)
        watch = asyncio.create_task(wait_for_disconnect(receive))
        try:
            await asyncio.wait({opened._first, watch}, timeout=FIRST_EVENT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if opened._first.done():
                opened._first.result()
            elif watch.done():
                raise client_disconnected_error()
        except BaseException:
            await opened.aclose()
            raise
        finally:
            watch.cancel()
        return opened

    async def events(self) -> AsyncGenerator[T, None]:
        first = await self._first
        if first is not None:
            yield first
            async for item in self._source:
                yield item

    async def aclose(self) -> None:
        self._first.cancel()
        await asyncio.wait({self._first})
        await self._source.aclose()


async def _next(source: AsyncGenerator[T, None]) -> T | None:
    return await anext(source, None)


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns when the client has left. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def client_disconnected_error() -> ApiError:
    """For the log; nobody is there to read it."""
    return ApiError(499, "The client left.", code="client_left")


async def run_until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. When the client leaves first, the work is cancelled and ApiError raised."""
    task = asyncio.create_task(work)
    if not await race_against(task, wait_for_disconnect(receive)):
        raise client_disconnected_error()
    return task.result()


async def race_against(task: asyncio.Task[Any], other: Coroutine[Any, Any, None]) -> bool:
    """Wait for the task, or cancel it as soon as the other is done. True when the task was first; raises what it raised."""
    watch = asyncio.create_task(other)
    first = False
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        first = task.done()
    finally:
        for one in (task, watch):
            one.cancel()
        await asyncio.wait({task, watch})
    if first or not task.cancelled():
        task.result()
    return first
