"""Limits on connections: header size, idle time and number.

uvicorn's protocol trusts its peers: a header may have any size, and a request may stay half-sent for ever. This one refuses or
closes what exceeds `ConnectionLimits`. Connections are counted before anything is read from them, so no limit costs memory.

Departs from a proxy in that a client that sends one byte now and then keeps its connection, within the limit on connections: see
`docs/team.md` on what to put in front.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from yearling.addresses import network_of
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import DEFAULT_HEADERS

_LOG_INTERVAL_S = 10.0
_PARSER_CHUNK_BYTES = 1 << 14
"""How much the parser gets at once. Its limits are as exact as this."""
_log = structlog.get_logger("yearling.api")


@dataclass(slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of one server, and its connections by network. The settings of the same names describe the limits."""

    max_header_bytes: int
    header_timeout_s: float
    idle_timeout_s: float
    max_connections: int
    max_connections_per_address: int
    trusted_proxies: Collection[str] = ()
    """Addresses of proxies, behind which are many clients."""
    open_by_network: Counter[str] = field(default_factory=Counter)
    _last_logged_s: float = -_LOG_INTERVAL_S
    _unlogged: Counter[str] = field(default_factory=Counter)

    def log_refusal(self, reason: str) -> None:
        """Log that a connection was refused or closed, not more often than every few seconds."""
        self._unlogged[reason] += 1
        now_s = time.monotonic()
        if now_s - self._last_logged_s >= _LOG_INTERVAL_S:
            _log.warning("connection_refused", reasons=dict(self._unlogged))
            self._last_logged_s = now_s
            self._unlogged.clear()


def bounded_protocol(limits: ConnectionLimits) -> type[BoundedHttpProtocol]:
    """The class for uvicorn's option `http`."""

    class ServerProtocol(BoundedHttpProtocol):
        _limits = limits

    return ServerProtocol


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection of a client."""

    _limits: ConnectionLimits

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._network = ""
        self._is_refused = False
        self._num_unparsed_bytes = 0
        """Bytes since the parser last reported the end of the headers or a part of the body: headers, trailers, chunk sizes."""
        self._header_bytes = 0
        self._is_in_headers = False
        self._last_received_s = 0.0
        self._header_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # Opening and closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        limits = self._limits
        address = self.client[0] if self.client else ""
        self._network = "" if address in limits.trusted_proxies else network_of(address)
        if self._network:
            limits.open_by_network[self._network] += 1
        if len(self.connections) > limits.max_connections:
            self._refuse(_too_many_error("The server has too many open connections. Try again in a moment."))
        elif self._network and limits.open_by_network[self._network] > limits.max_connections_per_address:
            self._refuse(_too_many_error("Your address has too many open connections."))
        else:
            self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._network:
            self._limits.open_by_network[self._network] -= 1
            if self._limits.open_by_network[self._network] <= 0:
                del self._limits.open_by_network[self._network]
            self._network = ""
        for timer in (self._header_timer, self._body_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    # Reading

    def data_received(self, data: bytes) -> None:
        self._last_received_s = self.loop.time()
        if self._header_timer is None and self._body_timer is None:
            self._expect_headers()
        for start in range(0, len(data), _PARSER_CHUNK_BYTES):
            if self._is_refused:
                return
            chunk = data[start : start + _PARSER_CHUNK_BYTES]
            self._num_unparsed_bytes += len(chunk)
            super().data_received(chunk)
            if self._num_unparsed_bytes > self._limits.max_header_bytes:
                self._refuse_headers()

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        self._is_in_headers = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4  # colon, space and line end
        if self._header_bytes > self._limits.max_header_bytes:
            self._refuse_headers()
            raise ValueError("the headers are too large")
        if self._is_in_headers:
            super().on_header(name, value)  # otherwise it is a trailer, which nobody reads

    def on_headers_complete(self) -> None:
        self._is_in_headers = False
        self._num_unparsed_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        super().on_headers_complete()
        if self._body_timer is None:
            self._body_timer = self.loop.call_later(self._limits.idle_timeout_s, self._check_body)

    def on_body(self, body: bytes) -> None:
        self._num_unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._num_unparsed_bytes = 0
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._is_refused:  # otherwise the parser stopped because of the refusal
            self._refuse(ApiError(400, "The request is not valid HTTP.", code="invalid_http"))

    # Time

    def _expect_headers(self) -> None:
        self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._on_header_timeout)

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_headers()  # the client waits for an answer; the next request may take its time
        elif self._is_in_headers:
            self._refuse(_timeout_error(f"The headers did not arrive within {self._limits.header_timeout_s} s."))
        else:
            self.transport.close()  # a browser connected ahead of a request, or a client sent an empty line

    def _check_body(self) -> None:
        """Close the connection if the client has stopped sending, unless it was told to wait."""
        self._body_timer = None
        if self.cycle is None or not self.cycle.more_body or self.transport.is_closing():
            return
        quiet_s = 0.0 if self.flow.read_paused else self.loop.time() - self._last_received_s
        if quiet_s < self._limits.idle_timeout_s:
            self._body_timer = self.loop.call_later(self._limits.idle_timeout_s - quiet_s, self._check_body)
        elif self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(_timeout_error(f"Nothing arrived for {self._limits.idle_timeout_s} s, and the body is incomplete."))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._limits.idle_timeout_s, self._abort_writing)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _abort_writing(self) -> None:
        """The client has read nothing of what waits for it."""
        self._write_timer = None
        self._limits.log_refusal("client_does_not_read")
        self.transport.abort()

    # Refusing

    def _refuse_headers(self) -> None:
        message = f"The headers are larger than {self._limits.max_header_bytes} bytes."
        self._refuse(ApiError(431, message, code="headers_too_large"))

    def _refuse(self, error: ApiError) -> None:
        """Answer with an error and close the connection. After the beginning of a response, only close it."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self._limits.log_refusal(str(error.code))
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            response = error.response()
            headers = (*response.raw_headers, *DEFAULT_HEADERS, (b"connection", b"close"))
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.writelines((STATUS_LINE[error.status], lines, b"\r\n", response.body))
        self.transport.close()


def _too_many_error(message: str) -> ApiError:
    return ApiError(503, message, kind="server_error", code="too_many_connections", retry_after_s=1)


def _timeout_error(message: str) -> ApiError:
    return ApiError(408, message, code="request_timeout")
