"""The gate that every request passes: its id, its right to be here, its place in log and metrics, the last catch for bugs.

Pure ASGI, since it runs for every chunk of every stream. Logs never hold words, keys or query strings.
"""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yearling.api.auth import OPEN_PATHS, Headers, Hosts, Keys, RateLimiter
from yearling.api.errors import ApiError, translate
from yearling.api.metrics import Metrics
from yearling.clock import new_id
from yearling.config import Settings

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_log = structlog.get_logger("yearling.api")


class Gate:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._keys = Keys(key.get_secret_value() for key in settings.api_keys)
        self._hosts = Hosts(settings)
        self._limiter = RateLimiter(settings.rate_limit_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), id_header]}
            await send(message)

        self._metrics.in_flight.inc()
        try:
            self._admit(scope)
            await self._app(scope, receive, send_marked)
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("request_failed", request_id=request_id)
            if status:  # too late for an error response: the connection ends, and the client sees an incomplete body
                raise
            await translate(error).response()(scope, receive, send_marked)
        finally:
            self._metrics.in_flight.dec()
            self._note(scope, status, time.perf_counter() - started, request_id)

    def _admit(self, scope: Scope) -> None:
        """Raises ApiError. Every path counts towards the rate limit, and wrong keys count for the address they came from."""
        headers: Headers = scope["headers"]
        address = (scope.get("client") or ("", 0))[0]
        try:
            self._hosts.check(headers)
            who = "" if scope["path"] in OPEN_PATHS else self._keys.check(headers)
        except ApiError:
            self._limiter.check(address)
            raise
        self._limiter.check(who or address)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", "other")
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        level = "debug" if path in OPEN_PATHS or path == "/metrics" else "info"
        getattr(_log, level)(
            "request",
            request_id=request_id,
            method=scope["method"],
            route=path,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            **scope["state"].get("noted", {}),
        )


def _request_id(headers: Headers) -> str:
    """The client's own, if it is sane; it ends up in logs and samples."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode()
    return new_id()
