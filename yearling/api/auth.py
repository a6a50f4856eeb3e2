"""Who may ask, from where, and how often: API keys, host names, rate limits.

One policy for every header. Knows nothing of routes beyond the paths that are open to all.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Iterable
from urllib.parse import urlsplit

from yearling.api.errors import ApiError
from yearling.config import Settings
from yearling.errors import BadInput

Headers = list[tuple[bytes, bytes]]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_MAX_BUCKETS = 10_000
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_binding(settings: Settings) -> None:
    """Raises BadInput for a server that strangers could use."""
    if not is_loopback(settings.host) and not settings.api_keys:
        raise BadInput(
            f"Without API keys the server listens on this machine only, not on {settings.host}.",
            advice="Set YEARLING_API_KEYS (a JSON list of keys), or keep the host 127.0.0.1.",
            param="host",
        )


class Keys:
    """The keys that are accepted; none means that any is."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def check(self, headers: Headers) -> str:
        """Which key asks, as a digest; empty while authentication is off. Raises ApiError (401)."""
        if not self._digests:
            return ""
        given = {_digest(key) for key in _given_keys(headers)}
        if not given:
            raise _unauthorised("An API key is missing. Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        if len(given) > 1:
            raise _unauthorised("The request carries two different API keys.")
        digest = given.pop()
        # Every key is compared, each in constant time: how long it takes says nothing about which one came close.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise _unauthorised("The API key is not valid.")
        return digest


def _given_keys(headers: Headers) -> list[str]:
    keys = []
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            keys.append(text)
        elif name == b"authorization":
            scheme, _, key = text.partition(" ")
            keys.append(key.strip() if scheme.lower() == "bearer" else text)
    return keys


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _unauthorised(message: str) -> ApiError:
    return ApiError(401, message, kind="authentication_error", code="invalid_api_key", headers={"www-authenticate": "Bearer"})


class Hosts:
    """Host names under which the server may be addressed, so that no web page reaches it by DNS rebinding.

    On loopback: this machine's names and those configured. Elsewhere keys protect, and names are checked only if configured.
    """

    def __init__(self, settings: Settings) -> None:
        named = {host.lower() for host in settings.allowed_hosts}
        self._any_host = not is_loopback(settings.host) and not named
        self._allowed = named | _LOOPBACK_NAMES | {settings.host.lower().strip("[]")}

    def check(self, headers: Headers) -> None:
        """Raises ApiError (403)."""
        hosts = [_host_name(value.decode("latin-1")) for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not (self._any_host or hosts[0] in self._allowed):
            raise _forbidden("The Host header does not name this server.")
        for name, value in headers:
            if name == b"origin":
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


def _forbidden(message: str) -> ApiError:
    return ApiError(403, message, kind="permission_error", code="host_not_allowed")


class RateLimiter:
    """A token bucket per key or address: `per_minute` requests at once, refilled evenly. 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # who -> (tokens left, as of when)

    def check(self, who: str, *, now: float | None = None) -> None:
        """Raises ApiError (429) with the seconds until the next request is welcome."""
        if not self._per_minute:
            return
        now = time.monotonic() if now is None else now
        left, since = self._buckets.pop(who, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        allowed = left >= 1
        self._buckets[who] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait_s = int((1 - left) * 60 / self._per_minute) + 1
            raise ApiError(
                429,
                f"There were more than {self._per_minute} requests in a minute. Try again in {wait_s} s.",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after_s=wait_s,
            )
