"""Running a turn for an OpenAI-compatible route: capacity, disconnects, metrics and errors, whatever the wire form."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TypeVar

import structlog
from starlette.requests import Request

from yearling.api.access.live_request import request_state
from yearling.api.http.errors import to_api_error
from yearling.api.http.json_response import JsonObject
from yearling.api.http.sse import EventStreamResponse, PrimedStream, run_until_disconnect
from yearling.api.services import Services
from yearling.chat import PreparedTurn, TokenUsage, TurnEvent
from yearling.tracebacks import describe_exception

T = TypeVar("T")

_log = structlog.get_logger("yearling.api")


class AnswerMeter:
    """Metrics and log fields of one answer."""

    def __init__(self, services: Services, request: Request) -> None:
        self._metrics = services.metrics
        self._log_fields = request_state(request).setdefault("log_fields", {})
        self._started = time.perf_counter()
        self._saw_first_token = False

    def record_first_token(self) -> None:
        """Record the time to the first token. Later calls have no effect."""
        if not self._saw_first_token:
            self._saw_first_token = True
            self._metrics.first_token_seconds.observe(time.perf_counter() - self._started)

    def record_usage(self, usage: TokenUsage) -> None:
        """Record the token counts of the finished answer."""
        self._metrics.record_usage(usage)
        self._log_fields.update(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)

    def record_error(self, code: str | None) -> None:
        """Record an error that ended the stream."""
        self._log_fields.update(stream_error=code)


def stream_error_body(error: Exception, meter: AnswerMeter) -> JsonObject:
    """The error envelope for an exception in the middle of a stream. Bugs are logged."""
    api_error = to_api_error(error)
    meter.record_error(api_error.code)
    if api_error.code == "internal_error":
        _log.error("stream_failed", **describe_exception(error))
    return api_error.body()


async def run_to_completion(services: Services, request: Request, turn: PreparedTurn, work: Coroutine[object, None, T]) -> T:
    """The result of a turn that is not streamed. The work is cancelled when the client disconnects.

    Raises ApiError: 503 without capacity, 499 after a disconnect.
    """
    try:
        reservation = services.admission.reserve(turn)
    except BaseException:
        work.close()
        raise
    try:
        return await run_until_disconnect(request.receive, work)
    finally:
        reservation.release()


async def stream_response(
    services: Services,
    request: Request,
    turn: PreparedTurn,
    encode: Callable[[AsyncGenerator[TurnEvent, None]], AsyncGenerator[bytes, None]],
) -> EventStreamResponse:
    """Stream a turn. `encode` turns its events into the wire form. The capacity is held until the stream ends.

    Raises ApiError (503) without capacity, and what the turn raises before its first event.
    """
    reservation = services.admission.reserve(turn)
    try:
        stream = await PrimedStream.open(turn.stream(), request.receive)
    except BaseException:
        reservation.release()
        raise

    async def close() -> None:
        reservation.release()
        await stream.aclose()

    return EventStreamResponse(encode(stream.events()), on_close=close)
