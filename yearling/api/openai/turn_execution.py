"""What every answer needs around it, whatever its form: a place in the engine, times, counts, failures."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from starlette.requests import Request

from yearling.api.http.errors import to_api_error
from yearling.api.http.sse import EventStreamResponse, PrimedStream, run_until_disconnect
from yearling.api.services import Services
from yearling.chat import PreparedTurn, TokenUsage, TurnEvent

T = TypeVar("T")

_log = structlog.get_logger("yearling.api")


class AnswerMeter:
    """Of one answer."""

    def __init__(self, services: Services, request: Request) -> None:
        self._metrics = services.metrics
        self._log_fields: dict[str, Any] = request.scope["state"].setdefault("noted", {})
        self._started = time.perf_counter()
        self._saw_first_token = False

    def record_first_token(self) -> None:
        if not self._saw_first_token:
            self._saw_first_token = True
            self._metrics.first_token_seconds.observe(time.perf_counter() - self._started)

    def record_usage(self, usage: TokenUsage) -> None:
        self._metrics.record_usage(usage)
        self._log_fields.update(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)

    def record_error(self, code: str | None) -> None:
        self._log_fields.update(stream_error=code)


def stream_error_body(error: Exception, meter: AnswerMeter) -> dict[str, Any]:
    """What goes into a stream for an error in its middle; our bugs are logged."""
    told = to_api_error(error)
    meter.record_error(told.code)
    if told.code == "internal_error":
        _log.error("stream_failed", exc_info=error)
    return told.body()


async def run_to_completion(services: Services, request: Request, turn: PreparedTurn, work: Coroutine[Any, Any, T]) -> T:
    """The result of a turn that is not streamed, in a place of its own; cancelled when the client leaves."""
    try:
        slot = services.admission.reserve(turn)
    except BaseException:
        work.close()
        raise
    try:
        return await run_until_disconnect(request.receive, work)
    finally:
        slot.release()


async def stream_response(
    services: Services,
    request: Request,
    turn: PreparedTurn,
    encode: Callable[[AsyncGenerator[TurnEvent, None]], AsyncGenerator[bytes, None]],
) -> EventStreamResponse:
    """The stream of a turn, in a place of its own until it ends. `form` gives events the form that goes over the wire."""
    slot = services.admission.reserve(turn)
    try:
        opened = await PrimedStream.open(turn.stream(), request.receive)
    except BaseException:
        slot.release()
        raise

    async def close() -> None:
        slot.release()
        await opened.aclose()

    return EventStreamResponse(encode(opened.events()), on_close=close)
