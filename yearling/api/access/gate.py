"""The gate that every request passes: its id, its right to be here, its place in log and metrics, the last catch for bugs.

Pure ASGI, since it runs for every chunk of every stream. Logs never hold words, keys or query strings.
"""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yearling.api.access.credentials import (
    UNAUTHENTICATED_PATHS,
    HostPolicy,
    RateLimiter,
    RawHeaders,
    check_same_origin,
    client_address,
)
from yearling.api.access.policy import unauthenticated_error
from yearling.api.access.registry import Authentication, Credential, LiveRequest
from yearling.api.http.errors import ApiError, to_api_error, to_json_bytes
from yearling.api.services import Services
from yearling.clock import new_id

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_log = structlog.get_logger("yearling.api")


_AUTHENTICATED_PREFIXES = ("/v1/", "/metrics", "/openapi.json")
"""Where strangers are turned away before any route is asked; the rest is the page, and what is not there."""

_PUBLIC_PREFIXES = ("/v1/auth", "/v1/shared/")
"""Where strangers may come all the same: signing in, and what was shared by link."""


class GateMiddleware:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        settings = services.settings
        self._app = app
        self._services = services
        self._metrics = services.metrics
        self._hosts = HostPolicy(settings)
        self._limiter = RateLimiter(settings.rate_limit_per_minute)
        self._proxies = frozenset(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        sender = _GatedSender(send, request_id)
        self._metrics.requests_in_flight.inc()
        try:
            credential, found = await self._admit(scope)
            async with self._services.access.track_request(credential, found) as live:
                sender.live_request = scope["state"]["live"] = live
                await self._app(scope, live.guard_receive(receive), sender)
            await sender.finish()
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("request_failed", request_id=request_id)
            if sender.status:  # too late for an error response: the connection ends, and the client sees an incomplete body
                raise
            await to_api_error(error).response()(scope, receive, sender)
        finally:
            self._metrics.requests_in_flight.dec()
            self._record(scope, sender.status, time.perf_counter() - started, request_id)

    async def _admit(self, scope: Scope) -> tuple[Credential, Authentication | None]:
        """Raises ApiError. Every path counts towards the rate limit, and wrong keys count for the address they came from."""
        headers: RawHeaders = scope["headers"]
        state = scope["state"]
        state["address"] = address = client_address(scope, self._proxies)
        try:
            self._hosts.check(headers, scope["path"])
            if scope["path"] in UNAUTHENTICATED_PATHS:
                credential, found = Credential("none"), None
            else:
                credential, found = await self._services.access.authenticate(headers)
                if found is None and _requires_authentication(scope["path"]):
                    raise unauthenticated_error("Sign in, or send an API key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
            if credential.kind == "session":
                check_same_origin(scope)
        except ApiError:
            self._limiter.check(address)
            raise
        if found is None:
            self._limiter.check(address)
        else:
            state["caller"] = found.caller
            self._limiter.check(address if found.caller.auth_method == "loopback" else found.caller.person.id)
        return credential, found

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", "other")
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.request_duration_s.labels(path).observe(seconds)
        level = "debug" if path in UNAUTHENTICATED_PATHS or path == "/metrics" else "info"
        getattr(_log, level)(
            "request",
            request_id=request_id,
            method=scope["method"],
            route=path,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            **scope["state"].get("noted", {}),
        )


class _GatedSender:
    """`send`, with the request's id on the answer, and with an end that says why when the right to be here has gone."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id_header = (b"x-request-id", request_id.encode())
        self._streams_events = False
        self._complete = False
        self.live_request: LiveRequest | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if self._is_revoked and not self.status:
            return  # what the route makes of a client that seems to have left; `finish` tells the client the truth
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            kind = dict(headers).get(b"content-type", b"")
            self._streams_events = kind.startswith(b"text/event-stream")
            message = {**message, "headers": [*headers, self._id_header]}
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)
        await self._send(message)

    @property
    def _is_revoked(self) -> bool:
        return self.live_request is not None and self.live_request.revoked.is_set()

    async def finish(self) -> None:
        """Raises ApiError (401) where that can still be the answer; ends a stream of events with it."""
        if not self._is_revoked or self._complete:
            return
        gone = unauthenticated_error("The right to be here was withdrawn.", code="access_withdrawn")
        if not self.status:
            self.live_request = None
            raise gone
        if self._streams_events:
            body = b"data: " + to_json_bytes(gone.body()) + b"\n\n"
            await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _requires_authentication(path: str) -> bool:
    opened = any(path == start.rstrip("/") or path.startswith(start.rstrip("/") + "/") for start in _PUBLIC_PREFIXES)
    return path.startswith(_AUTHENTICATED_PREFIXES) and not opened


def _request_id(headers: RawHeaders) -> str:
    """The client's own, if it is sane; it ends up in logs and samples."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode()
    return new_id()
