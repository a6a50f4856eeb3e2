"""What a request shows of who asks and from where, and how often that is welcome: keys, cookies, host names, origins, limits.

One policy for every header. Who it is, `access.py` finds out; what they may, `who.py` says.
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
"""Where it is not even asked who it is."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CROSS_ORIGIN_PATHS = frozenset({"/mermaid.tiny.js", "/mermaid-frame.js"})
"""Public scripts of the frame that draws diagrams, which has an origin of its own (`null`)."""

_MAX_BUCKETS = 10_000
_ATTEMPT_WINDOW_S = 900.0
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_binding(settings: Settings, *, has_accounts: bool) -> None:
    """Raises BadInput for a server that strangers could use."""
    if not is_loopback(settings.host) and not settings.api_keys and not has_accounts:
        raise BadInput(
            f"Without accounts or API keys the server listens on this machine only, not on {settings.host}.",
            advice="Give the owner a password (`yearling people password owner`) or set YEARLING_API_KEYS, "
            "or keep the host 127.0.0.1.",
            param="host",
        )


def extract_api_key(headers: RawHeaders) -> str | None:
    """The API key that a request carries, in whichever header; None without one. Raises ApiError (401) for two that differ."""
    keys = set()
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            keys.add(text)
        elif name == b"authorization":
            scheme, _, key = text.partition(" ")
            keys.add(key.strip() if scheme.lower() == "bearer" else text)
    if len(keys) > 1:
        raise unauthenticated_error("The request carries two different API keys.")
    return keys.pop() if keys else None


def read_cookie(headers: RawHeaders, name: str) -> str:
    """The value of a cookie; empty when it is missing or was sent twice, which only somebody who planted one would cause."""
    values = []
    for header, value in headers:
        if header == b"cookie":
            pairs = (pair.strip().partition("=") for pair in value.decode("latin-1").split(";"))
            values += [content for key, _, content in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def check_same_origin(scope: Scope) -> None:
    """For requests that change something by a cookie, which browsers also send along for pages of others.

    The browser must say that the page is this server's own. Raises ApiError (403).
    """
    if scope["method"] in _SAFE_METHODS:
        return
    named = {name: value.decode("latin-1").strip().lower() for name, value in scope["headers"]}
    site, origin, host = named.get(b"sec-fetch-site"), named.get(b"origin"), named.get(b"host", "")
    if site is None and origin is None:
        raise _forbidden("A request by cookie must say where it comes from (the header Origin).", code="origin_missing")
    if site not in (None, "same-origin") or (origin is not None and urlsplit(origin).netloc != host):
        raise _forbidden("Web pages of other origins may not use this server.")


def client_address(scope: Scope, trusted_proxies: Collection[str]) -> str:
    """Who is at the other end, as far as it can be known: what a trusted proxy says, else the peer.

    Of the addresses that proxies noted, the last that is no trusted proxy itself; those before it anybody can make up.
    """
    address = str((scope.get("client") or ("", 0))[0])
    if address not in trusted_proxies:
        return address
    noted = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for one in reversed(",".join(noted).split(",")):
        try:
            named = str(ipaddress.ip_address(one.strip()))
        except ValueError:
            break
        address = named
        if named not in trusted_proxies:
            break
    return address


class HostPolicy:
    """Host names under which the server may be addressed, so that no web page reaches it by DNS rebinding.

    On loopback: this machine's names and those configured. Elsewhere keys protect, and names are checked only if configured.
    """

    def __init__(self, settings: Settings) -> None:
        named = {host.lower() for host in settings.allowed_hosts}
        if settings.public_url:
            named.add(urlsplit(settings.public_url).hostname or "")
        self._any_host = not is_loopback(settings.host) and not named
        self._allowed = named | _LOOPBACK_NAMES | {settings.host.lower().strip("[]")}

    def check(self, headers: RawHeaders, path: str = "") -> None:
        """Raises ApiError (403)."""
        hosts = [_host_name(value.decode("latin-1")) for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not (self._any_host or hosts[0] in self._allowed):
            raise _forbidden("The Host header does not name this server.")
        for name, value in headers:
            if name == b"origin" and path not in CROSS_ORIGIN_PATHS:
                self._check_origin(value.decode("latin-1"), hosts[0])

    def _check_origin(self, origin: str, host: str) -> None:
        """Browsers tell where a page came from; pages of others have no business here."""
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
    """A token bucket per person or address: `most` requests at once, refilled evenly over `window_s`. 0 is no limit."""

    def __init__(self, max_requests: int, *, window_s: float = 60.0, description: str = "requests in a minute") -> None:
        self._max_requests = max_requests
        self._window_s = window_s
        self._description = description
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # who -> (tokens left, as of when)

    def check(self, key: str, *, now: float | None = None) -> None:
        """Raises ApiError (429) with the seconds until the next request is welcome."""
        if not self._max_requests:
            return
        now = time.monotonic() if now is None else now
        left, since = self._buckets.pop(key, (float(self._max_requests), now))
        left = min(self._max_requests, left + (now - since) * self._max_requests / self._window_s)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait_s = int((1 - left) * self._window_s / self._max_requests) + 1
            raise ApiError(
                429,
                f"There were more than {self._max_requests} {self._description}. Try again in {wait_s} s.",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after_s=wait_s,
            )

    def refund(self, key: str) -> None:
        """A request that shall not have counted."""
        left, since = self._buckets.get(key, (0.0, 0.0))
        if key in self._buckets:
            self._buckets[key] = (min(self._max_requests, left + 1), since)


class SignInAttempt:
    """One attempt to get in."""

    def __init__(self) -> None:
        self.is_successful = False

    def mark_successful(self) -> None:
        """It was no guess, and does not count."""
        self.is_successful = True


class SignInAttemptLimiter:
    """How often one may guess: for each name, and from each address."""

    def __init__(self, max_attempts: int) -> None:
        self._limiter = RateLimiter(max_attempts, window_s=_ATTEMPT_WINDOW_S, description="wrong attempts in 15 minutes")

    @contextmanager
    def track(self, name: str, address: str) -> Iterator[SignInAttempt]:
        """Counts before anything is looked at, so that many at once count too. Raises ApiError (429)."""
        counted = [f"address {address}", *([f"name {name.casefold()}"] if name else [])]
        for who in counted:
            self._limiter.check(who)
        attempt = SignInAttempt()
        try:
            yield attempt
        finally:
            if attempt.is_successful:
                for who in counted:
                    self._limiter.refund(who)
