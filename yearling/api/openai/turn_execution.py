"""What every answer needs around it, whatever its form: a place in the engine, times, counts, failures."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from starlette.requests import Request

from yearling.api.http.errors import translate
from yearling.api.http.sse import EventStream, Opened, unless_left
from yearling.api.services import Services
from yearling.chat import Turn, TurnEvent, Usage

T = TypeVar("T")

_log = structlog.get_logger("yearling.api")


class Meter:
    """Of one answer."""

    def __init__(self, services: Services, request: Request) -> None:
        self._metrics = services.metrics
        self._noted: dict[str, Any] = request.scope["state"].setdefault("noted", {})
        self._started = time.perf_counter()
        self._spoke = False

    def first_token(self) -> None:
        if not self._spoke:
            self._spoke = True
            self._metrics.first_token_seconds.observe(time.perf_counter() - self._started)

    def finished(self, usage: Usage) -> None:
        self._metrics.count(usage)
        self._noted.update(prompt_tokens=usage.prompt, completion_tokens=usage.completion)

    def failed(self, code: str | None) -> None:
        self._noted.update(stream_error=code)


def stream_error(error: Exception, meter: Meter) -> dict[str, Any]:
    """What goes into a stream for an error in its middle; our bugs are logged."""
    told = translate(error)
    meter.failed(told.code)
    if told.code == "internal_error":
        _log.error("stream_failed", exc_info=error)
    return told.body()


async def at_once(services: Services, request: Request, turn: Turn, work: Coroutine[Any, Any, T]) -> T:
    """The result of a turn that is not streamed, in a place of its own; cancelled when the client leaves."""
    try:
        slot = services.capacity.take(turn)
    except BaseException:
        work.close()
        raise
    try:
        return await unless_left(request.receive, work)
    finally:
        slot.release()


async def streamed(
    services: Services,
    request: Request,
    turn: Turn,
    form: Callable[[AsyncGenerator[TurnEvent, None]], AsyncGenerator[bytes, None]],
) -> EventStream:
    """The stream of a turn, in a place of its own until it ends. `form` gives events the form that goes over the wire."""
    slot = services.capacity.take(turn)
    try:
        opened = await Opened.of(turn.stream(), request.receive)
    except BaseException:
        slot.release()
        raise

    async def close() -> None:
        slot.release()
        await opened.aclose()

    return EventStream(form(opened.events()), on_close=close)
