"""Rate limits: of requests, of open event streams, and of wrong attempts to sign in.

Wrong attempts are limited per address and, far above that, per name, so that one stranger who guesses a name's password does not
keep its owner out. A browser in which a name has signed in before has a limit of its own, which nobody else can use up. Source of
the latter: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from yearling.api.http.errors import ApiError
from yearling.store import normalise_name

BROWSER_COOKIE = "yearling_browser"
"""Cookie that proves that a name has signed in in this browser before. It signs nobody in."""
SHARED_LIMIT_FACTOR = 5
"""How many times as many attempts are allowed on a name, and through a proxy that is not trusted, as from one address."""

_MAX_BUCKETS = 10_000
_ATTEMPT_WINDOW_S = 900.0


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


class StreamLimiter:
    """Limits the event streams that one person, or one network without a person, has open."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Count a stream while the block runs. Raises ApiError (429) above the limit."""
        if self._open[key] >= self._max_streams:
            message = f"You have {self._max_streams} open streams. Close some of them."
            raise ApiError(429, message, kind="rate_limit_error", code="too_many_streams", retry_after_s=1)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


class SignInAttempt:
    """One attempt to sign in. It counts as wrong until it is marked successful."""

    def __init__(self) -> None:
        self.is_successful = False

    def mark_successful(self) -> None:
        """Do not count the attempt."""
        self.is_successful = True


class SignInAttemptLimiter:
    """Limits wrong sign-in attempts: per address, per name, and for browsers that a name has signed in with before.

    `secret` signs the cookies of such browsers.
    """

    def __init__(self, max_attempts: int, secret: bytes) -> None:
        self._secret = secret
        description = "wrong attempts in 15 minutes"
        self._limiter = RateLimiter(max_attempts, window_s=_ATTEMPT_WINDOW_S, description=description)
        self._shared_limiter = RateLimiter(
            max_attempts * SHARED_LIMIT_FACTOR, window_s=_ATTEMPT_WINDOW_S, description=description
        )

    @contextmanager
    def track(self, name: str, networks: Sequence[str], *, browser: str = "") -> Iterator[SignInAttempt]:
        """Count an attempt before any password is checked, so that parallel attempts count too. Raises ApiError (429).

        `networks` are those of `client_networks`; `browser` is the cookie of `browser_token`, if the browser sent one.
        """
        known = self._known_browser(name, browser) if name else ""
        if known:
            keys = [(self._limiter, f"browser {known}")]
        else:
            # The narrow limit first: who has used it up does not count towards the wide ones.
            keys = [(self._limiter, f"network {networks[0]}")]
            keys += [(self._shared_limiter, f"network {network}") for network in networks[1:]]
            keys += [(self._shared_limiter, f"name {normalise_name(name).casefold()}")] if name else []
        for limiter, key in keys:
            limiter.check(key)
        attempt = SignInAttempt()
        try:
            yield attempt
        finally:
            if attempt.is_successful:
                for limiter, key in keys:
                    limiter.refund(key)

    @contextmanager
    def track_signed_in(self, credential_id: str) -> Iterator[SignInAttempt]:
        """Like `track`, for somebody who is signed in already and confirms it by the password: strangers count apart."""
        key = f"signed in {credential_id}"
        self._limiter.check(key)
        attempt = SignInAttempt()
        try:
            yield attempt
        finally:
            if attempt.is_successful:
                self._limiter.refund(key)

    def browser_token(self, name: str) -> str:
        """A new value of the cookie for a browser in which `name` has just signed in."""
        browser_id = secrets.token_urlsafe(16)
        return f"{browser_id}.{self._sign(browser_id, name)}"

    def _known_browser(self, name: str, token: str) -> str:
        """The id of the browser if `name` has signed in there before, otherwise an empty string."""
        browser_id, _, signature = token.partition(".")
        is_valid = hmac.compare_digest(self._sign(browser_id, name).encode(), signature.encode("latin-1", "replace"))
        return browser_id if is_valid else ""

    def _sign(self, browser_id: str, name: str) -> str:
        message = f"{browser_id}\n{normalise_name(name).casefold()}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
