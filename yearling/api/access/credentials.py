"""What a request shows before anyone is looked up: keys, cookies, host names, origins, addresses; and rate limits.

`registry.py` finds the caller, `policy.py` decides what the caller may do.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from starlette.types import Scope

from yearling.api.access.policy import unauthenticated_error
from yearling.api.http.errors import ApiError
from yearling.config import Settings
from yearling.errors import BadInput

RawHeaders = list[tuple[bytes, bytes]]

SESSION_COOKIE = "yearling_session"

UNAUTHENTICATED_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths on which the gate authenticates nobody."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CROSS_ORIGIN_PATHS = frozenset({"/mermaid.tiny.js", "/mermaid-frame.js"})
"""Public scripts of the frame that draws diagrams. The frame's origin is opaque (`null`)."""

_MAX_BUCKETS = 10_000
_ATTEMPT_WINDOW_S = 900.0
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether a host name or an IP address is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_binding(settings: Settings, *, has_accounts: bool) -> None:
    """Raises BadInput for a server that other machines could use without signing in."""
    if not is_loopback(settings.host) and not settings.api_keys and not has_accounts:
        raise BadInput(
            f"Without accounts or API keys, the server listens on this machine only, not on {settings.host}.",
            advice="Give the owner a password (`yearling people password owner`) or set YEARLING_API_KEYS, "
            "or keep the host 127.0.0.1.",
            param="host",
        )


def extract_api_key(headers: RawHeaders) -> str | None:
    """The API key of a request, from `x-api-key` or `authorization`; None without one.

    Raises ApiError (401) for two different keys.
    """
    keys = set()
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            keys.add(text)
        elif name == b"authorization":
            scheme, _, key = text.partition(" ")
            keys.add(key.strip() if scheme.lower() == "bearer" else text)
    if len(keys) > 1:
        raise unauthenticated_error("The request contains two different API keys.")
    return keys.pop() if keys else None


def read_cookie(headers: RawHeaders, name: str) -> str:
    """The value of a cookie; empty if the cookie is missing, or sent twice, which happens only if someone planted one."""
    values = []
    for header, value in headers:
        if header == b"cookie":
            pairs = (pair.strip().partition("=") for pair in value.decode("latin-1").split(";"))
            values += [content for key, _, content in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def check_same_origin(scope: Scope) -> None:
    """Protects changes that a session cookie authenticates, which browsers also send for pages of other sites.

    Raises ApiError (403) unless the browser reports that the page is this server's own.
    """
    if scope["method"] in _SAFE_METHODS:
        return
    headers = {name: value.decode("latin-1").strip().lower() for name, value in scope["headers"]}
    site, origin, host = headers.get(b"sec-fetch-site"), headers.get(b"origin"), headers.get(b"host", "")
    if site is None and origin is None:
        raise _forbidden("A request with a session cookie must have the header Origin.", code="origin_missing")
    if site not in (None, "same-origin") or (origin is not None and urlsplit(origin).netloc != host):
        raise _forbidden("Web pages of other origins may not use this server.")


def client_address(scope: Scope, trusted_proxies: Collection[str]) -> str:
    """The client's IP address: what trusted proxies report in `x-forwarded-for`, otherwise the peer.

    Of the reported addresses, the last one that is not a trusted proxy counts. Clients can forge those before it.
    """
    address = str((scope.get("client") or ("", 0))[0])
    if address not in trusted_proxies:
        return address
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for entry in reversed(",".join(forwarded).split(",")):
        try:
            address = str(ipaddress.ip_address(entry.strip()))
        except ValueError:
            break
        if address not in trusted_proxies:
            break
    return address


class HostPolicy:
    """The host names under which the server answers, so that no web page reaches it through DNS rebinding.

    On loopback: this machine's names and the configured ones. Elsewhere authentication protects the server, and host names are
    checked only if some are configured.
    """

    def __init__(self, settings: Settings) -> None:
        configured = {host.lower() for host in settings.allowed_hosts}
        if settings.public_url:
            configured.add(urlsplit(settings.public_url).hostname or "")
        self._cors_origins = frozenset(settings.cors_origins)
        self._any_host = not is_loopback(settings.host) and not configured
        self._allowed = configured | _LOOPBACK_NAMES | {settings.host.lower().strip("[]")}

    def check(self, headers: RawHeaders, path: str = "") -> None:
        """Raises ApiError (403) for a host or an origin that is not allowed."""
        hosts = [_host_name(value.decode("latin-1")) for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not (self._any_host or hosts[0] in self._allowed):
            raise _forbidden("The header Host does not name this server.")
        for name, value in headers:
            if name == b"origin" and path not in CROSS_ORIGIN_PATHS:
                self._check_origin(value.decode("latin-1"), hosts[0])

    def _check_origin(self, origin: str, host: str) -> None:
        """Browsers report the origin of the page that makes a request."""
        if origin in self._cors_origins:
            return
        try:
            name = (urlsplit(origin).hostname or "").lower()
        except ValueError:
            name = ""
        if name not in (self._allowed | {host} if self._any_host else self._allowed):
            raise _forbidden("Web pages of other origins may not use this server.")


def _host_name(value: str) -> str:
    """`[::1]:80` -> `::1`, `Name:80` -> `name`."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0]


def _forbidden(message: str, *, code: str = "host_not_allowed") -> ApiError:
    return ApiError(403, message, kind="permission_error", code=code)


class RateLimiter:
    """A token bucket per key, such as a person or an address.

    A bucket holds `max_requests` and refills evenly over `window_s`. 0 means no limit.
    """

    def __init__(self, max_requests: int, *, window_s: float = 60.0, description: str = "requests in a minute") -> None:
        self._max_requests = max_requests
        self._window_s = window_s
        self._description = description
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens left, time of the last update)

    def check(self, key: str, *, now: float | None = None) -> None:
        """Count a request. Raises ApiError (429) with the seconds until the next request is allowed."""
        if not self._max_requests:
            return
        now = time.monotonic() if now is None else now
        tokens, updated = self._buckets.pop(key, (float(self._max_requests), now))
        tokens = min(self._max_requests, tokens + (now - updated) * self._max_requests / self._window_s)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait_s = int((1 - tokens) * self._window_s / self._max_requests) + 1
            raise ApiError(
                429,
                f"There were more than {self._max_requests} {self._description}. Try again in {wait_s} s.",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after_s=wait_s,
            )

    def refund(self, key: str) -> None:
        """Uncount a request."""
        if key in self._buckets:
            tokens, updated = self._buckets[key]
            self._buckets[key] = (min(self._max_requests, tokens + 1), updated)


class SignInAttempt:
    """One attempt to sign in. It counts as wrong until it is marked successful."""

    def __init__(self) -> None:
        self.is_successful = False

    def mark_successful(self) -> None:
        """Do not count the attempt."""
        self.is_successful = True


class SignInAttemptLimiter:
    """Limits wrong sign-in attempts: per name, and per address."""

    def __init__(self, max_attempts: int) -> None:
        self._limiter = RateLimiter(max_attempts, window_s=_ATTEMPT_WINDOW_S, description="wrong attempts in 15 minutes")

    @contextmanager
    def track(self, name: str, address: str) -> Iterator[SignInAttempt]:
        """Count an attempt before any password is checked, so that parallel attempts count too. Raises ApiError (429)."""
        keys = [f"address {address}", *([f"name {name.casefold()}"] if name else [])]
        for key in keys:
            self._limiter.check(key)
        attempt = SignInAttempt()
        try:
            yield attempt
        finally:
            if attempt.is_successful:
                for key in keys:
                    self._limiter.refund(key)
