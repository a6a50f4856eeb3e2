"""Running generation for an OpenAI-compatible route: capacity, disconnects, metrics, errors, and the stream of completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import TypeVar

import structlog
from starlette.requests import Request

from yearling.api.access.live_request import request_state
from yearling.api.http.errors import to_api_error
from yearling.api.http.json_response import JsonObject
from yearling.api.http.sse import DONE, EventStreamResponse, PrimedStream, format_event, run_until_disconnect
from yearling.api.openai.generation import usage_json
from yearling.api.services import CapacityReservation, Services
from yearling.chat import TokenUsage
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


async def run_to_completion(request: Request, reservation: CapacityReservation, work: Coroutine[object, None, T]) -> T:
    """The result of work that is not streamed. It is cancelled when the client disconnects: then ApiError (499) is raised."""
    try:
        return await run_until_disconnect(request.receive, work)
    finally:
        reservation.release()


async def stream_response(
    request: Request,
    reservation: CapacityReservation,
    events: AsyncGenerator[T, None],
    encode: Callable[[AsyncGenerator[T, None]], AsyncGenerator[bytes, None]],
) -> EventStreamResponse:
    """Stream events. `encode` turns them into the wire form. The capacity is held until the stream ends.

    Raises what the events raise before the first.
    """
    try:
        stream = await PrimedStream.open(events, request.receive)
    except BaseException:
        reservation.release()
        raise

    async def close() -> None:
        reservation.release()
        await stream.aclose()

    return EventStreamResponse(encode(stream.events()), on_close=close)


async def encode_completion(
    choices: AsyncGenerator[JsonObject, None],
    head: JsonObject,
    meter: AnswerMeter,
    total_usage: Callable[[], TokenUsage],
    *,
    include_usage: bool,
    first_fields: JsonObject | None = None,
) -> AsyncGenerator[bytes, None]:
    """A streamed completion: a chunk for each of `choices`, one with the usage if it is included, and `[DONE]`.

    The first chunk has the `first_fields` too. After an error, the error event is the last, without `[DONE]`. `total_usage` is
    called once all choices have passed.
    """
    common = {**head, "usage": None} if include_usage else head
    try:
        async with aclosing(choices):
            extra = first_fields or {}
            async for choice in choices:
                yield format_event({**common, **extra, "choices": [choice]})
                extra = {}
        usage = total_usage()
        meter.record_usage(usage)
        if include_usage:
            yield format_event({**common, "choices": [], "usage": usage_json(usage)})
        yield DONE
    except Exception as error:
        yield format_event(stream_error_body(error, meter))
