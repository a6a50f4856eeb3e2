"""The gate in front of the application: request IDs, authentication, rate limits, logs, metrics, and the last error handler.

Pure ASGI, because it handles every chunk of every stream. Logs never contain message texts, keys or query strings.
"""

from __future__ import annotations

import re
import time
from functools import partial

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yearling.api.access.credentials import (
    UNAUTHENTICATED_PATHS,
    RawHeaders,
    client_networks,
)
from yearling.api.access.live_request import Authentication, Credential, LiveRequest, RequestState
from yearling.api.access.origins import OriginPolicy
from yearling.api.access.policy import unauthenticated_error
from yearling.api.access.rate_limits import RateLimiter, StreamLimiter
from yearling.api.access.registry import AccessRegistry
from yearling.api.http.errors import ApiError, to_api_error
from yearling.api.http.json_response import DEFAULT_HEADERS, JsonObject
from yearling.api.http.metrics import ServerMetrics
from yearling.api.http.sse import format_event
from yearling.clock import new_id
from yearling.config import Settings
from yearling.tracebacks import describe_exception

_VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_log = structlog.get_logger("yearling.api")


_AUTHENTICATED_PREFIXES = ("/v1/", "/metrics", "/openapi.json")
"""Paths that need authentication. All others belong to the page, or do not exist."""

_BROWSER_METHODS = ("session", "loopback")
"""Ways to be authenticated that a browser has for any page that it shows. A page cannot attach a key that it does not know."""

_PUBLIC_PREFIXES = ("/v1/auth", "/v1/shared/")
"""Exceptions: sign-in and share links."""


class GateMiddleware:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, settings: Settings, registry: AccessRegistry, metrics: ServerMetrics) -> None:
        self._app = app
        self._registry = registry
        self._metrics = metrics
        self._origins = OriginPolicy(settings)
        self._limiter = RateLimiter(settings.rate_limit_per_minute)
        self._proxies = frozenset(settings.trusted_proxies)
        self._streams = StreamLimiter(settings.max_streams_per_person)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        state: RequestState = scope.setdefault("state", {})
        state["request_id"] = request_id
        sender = _GatedSender(send, request_id)
        self._metrics.requests_in_flight.inc()
        try:
            credential, authentication = await self._admit(scope, state)
            async with self._registry.track_request(credential, authentication) as live:
                sender.live_request = state["live_request"] = live
                await self._app(scope, live.guard_receive(receive), sender)
            await sender.finish()
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.error("request_failed", request_id=request_id, **describe_exception(error))
            if sender.status:  # too late for an error response: the connection ends, and the client sees an incomplete body
                raise RuntimeError("the response ended early: the entry request_failed tells why") from None
            await to_api_error(error).response()(scope, receive, sender)
        finally:
            self._metrics.requests_in_flight.dec()
            self._record(scope, sender.status, time.perf_counter() - started, state)

    async def _admit(self, scope: Scope, state: RequestState) -> tuple[Credential, Authentication | None]:
        """Authenticate the request and count it towards the rate limit: of the person, or of the address if there is none.

        Raises ApiError: 401 if unauthenticated, 403 for a host or an origin that is not allowed, 429 above the limit.
        """
        headers: RawHeaders = scope["headers"]
        state["networks"] = networks = client_networks(scope, self._proxies)
        network = networks[-1]
        try:
            self._origins.check(headers, scope["path"])
            if scope["path"] in UNAUTHENTICATED_PATHS:
                credential, authentication = Credential("none"), None
            else:
                credential, authentication = await self._registry.authenticate(headers)
                if authentication is None and _requires_authentication(scope["path"]):
                    raise unauthenticated_error("Sign in, or send an API key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
            if authentication is None or authentication.caller.auth_method in _BROWSER_METHODS:
                self._origins.check_change(scope, must_prove_origin=credential.kind == "session")
        except ApiError:
            self._limiter.check(network)
            raise
        key = network
        if authentication is not None:
            caller = state["caller"] = authentication.caller
            key = network if caller.auth_method == "loopback" else caller.person.id
        self._limiter.check(key)
        state["hold_stream"] = partial(self._streams.hold, key)
        return credential, authentication

    def _record(self, scope: Scope, status: int, duration_s: float, state: RequestState) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.request_duration_s.labels(path).observe(duration_s)
        fields: JsonObject = {
            "request_id": state["request_id"],
            "method": scope["method"],
            "route": path,
            "status": status,
            "duration_ms": round(duration_s * 1000, 2),
            **state.get("log_fields", {}),
        }
        log = _log.debug if path in UNAUTHENTICATED_PATHS or path == "/metrics" else _log.info
        log("request", **fields)


class _GatedSender:
    """`send`, with the request's ID and default headers on the response, and an error at the end if access was revoked."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id_header = (b"x-request-id", request_id.encode())
        self._streams_events = False
        self._complete = False
        self.live_request: LiveRequest | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if self._is_revoked and not self.status:
            return  # the route believes that the client has disconnected; `finish` sends the real reason
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            content_type = dict(headers).get(b"content-type", b"")
            self._streams_events = content_type.startswith(b"text/event-stream")
            names = {name for name, _ in headers}
            defaults = [header for header in DEFAULT_HEADERS if header[0] not in names]
            message = {**message, "headers": [*headers, *defaults, self._id_header]}
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)
        await self._send(message)

    @property
    def _is_revoked(self) -> bool:
        return self.live_request is not None and self.live_request.revoked.is_set()

    async def finish(self) -> None:
        """After revocation, raise ApiError (401) if no response has started; end an event stream with the error."""
        if not self._is_revoked or self._complete:
            return
        error = unauthenticated_error("Your access was revoked.", code="access_withdrawn")
        if not self.status:
            self.live_request = None
            raise error
        if self._streams_events:
            await self._send({"type": "http.response.body", "body": format_event(error.body()), "more_body": False})


def _requires_authentication(path: str) -> bool:
    is_public = any(path == prefix.rstrip("/") or path.startswith(prefix.rstrip("/") + "/") for prefix in _PUBLIC_PREFIXES)
    return path.startswith(_AUTHENTICATED_PREFIXES) and not is_public


def _request_id(headers: RawHeaders) -> str:
    """The client's own ID if it is valid, because it ends up in logs and samples; otherwise a new one."""
    values = [value for name, value in headers if name == b"x-request-id"]
    if len(values) == 1 and _VALID_REQUEST_ID.fullmatch(values[0]):
        return values[0].decode()
    return new_id()
