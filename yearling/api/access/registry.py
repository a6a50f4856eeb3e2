"""Authentication: who is behind a session or an API key, and which running requests lose their access.

Lookups are cached until anything about access changes: sessions, keys, roles, closed accounts. Every such change is an entry in
the audit log, so the registry compares the log's length: after each change by this server, and every `REFRESH_INTERVAL_S` for
changes by other processes (the command line, a second server). A running request whose access has ended is stopped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from yearling.api.access.caller import Caller
from yearling.api.access.credentials import (
    SESSION_COOKIE,
    RawHeaders,
    extract_api_key,
    read_cookie,
)
from yearling.api.access.live_request import Authentication, Credential, LiveRequest
from yearling.api.access.origins import is_loopback
from yearling.api.access.policy import unauthenticated_error
from yearling.api.access.rate_limits import SignInAttemptLimiter
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import UserError
from yearling.store import Store, hash_token

T = TypeVar("T")

REFRESH_INTERVAL_S = 1.0
_USE_RECORDED_EVERY = timedelta(minutes=5)
"""How often the store records that a session or a key is in use."""
_MAX_CACHED = 10_000
_BROWSER_SECRET_NAME = "browser-cookies"
_PROXY_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
_log = structlog.get_logger("yearling.api")


class AccessRegistry:
    """The callers and the running requests of one server."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.attempts = SignInAttemptLimiter(settings.login_attempts, store.secrets.get_or_create(_BROWSER_SECRET_NAME))
        self._store = store
        self._setting_keys = frozenset(hash_token(key.get_secret_value()) for key in settings.api_keys)
        self._loopback_only = is_loopback(settings.host) and not settings.api_keys
        self._cache: OrderedDict[Credential, Authentication] = OrderedDict()
        self._live_requests: set[LiveRequest] = set()
        self._audit_length = -1
        self._watch: asyncio.Task[None] | None = None
        self._refresh_lock = asyncio.Lock()

    async def start(self) -> None:
        """Start to watch for changes."""
        await self.refresh()
        self._watch = asyncio.create_task(self._watch_for_changes())

    async def close(self) -> None:
        """Stop watching."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait({watch})

    async def authenticate(self, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        """The credential of a request and its caller; None if unauthenticated. An API key takes precedence over a session.

        Raises ApiError (401) for an invalid key. An ended session counts as none: its browser still gets the page, to sign in.
        """
        key = extract_api_key(headers)
        if key is not None:
            return await self._authenticate_key(Credential("key", hash_token(key)), headers)
        token = read_cookie(headers, SESSION_COOKIE)
        if token:
            credential = Credential("session", hash_token(token))
            authentication = await self._cached_lookup(credential)
            if authentication is not None:
                return credential, authentication
        return await self._authenticate_anonymous(headers)

    async def _authenticate_key(self, credential: Credential, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        authentication = await self._cached_lookup(credential)
        if authentication is not None:
            return credential, authentication
        anonymous, authentication = await self._authenticate_anonymous(headers)
        if authentication is None:
            raise unauthenticated_error("The API key is not valid.")
        return anonymous, authentication  # without accounts, any key works: clients often insist on sending one

    async def _authenticate_anonymous(self, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        """The owner, while there are no accounts. Never through a proxy, whose requests can come from anywhere."""
        anonymous = Credential("none")
        is_proxied = any(name in _PROXY_HEADERS for name, _ in headers)
        return anonymous, None if is_proxied else await self._cached_lookup(anonymous)

    @asynccontextmanager
    async def track_request(
        self, credential: Credential, authentication: Authentication | None
    ) -> AsyncGenerator[LiveRequest, None]:
        """Register a request while it runs, so that a refresh can stop it."""
        live = LiveRequest(credential, authentication)
        self._live_requests.add(live)
        try:
            yield live
        finally:
            self._live_requests.discard(live)

    async def change(self, work: Callable[[Store], T], *, by: LiveRequest) -> T:
        """Run `work`, which can end someone's access, in a thread; then stop the requests that have lost their access.

        The request that makes the change is never stopped, even if it ends its own access.
        """
        by.authentication = None
        try:
            return await asyncio.to_thread(work, self._store)
        finally:
            await self.refresh()

    async def refresh(self) -> None:
        """Clear the cache if access has changed, and stop the running requests that have lost their access."""
        async with self._refresh_lock:
            audit_length = await asyncio.to_thread(self._store.audit.latest_sequence)
            if audit_length == self._audit_length:
                return
            self._audit_length = audit_length
            self._cache.clear()
            for credential in {live.credential for live in self._live_requests if live.authentication is not None}:
                current = await self._cached_lookup(credential)
                for live in self._live_requests:
                    if live.credential != credential or live.authentication is None:
                        continue
                    if current is None or current.caller != live.authentication.caller:
                        live.revoked.set()

    async def _watch_for_changes(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_INTERVAL_S)
            now = now_utc()
            for live in self._live_requests:
                if live.authentication is not None and _is_expired(live.authentication, now):
                    live.revoked.set()
            try:
                await self.refresh()
            except UserError as error:  # the database is locked or unreachable: the cache holds until it answers again
                _log.warning("access_refresh_failed", error=str(error))
            except Exception:  # whatever it is, the next refresh must come: without it, revoked access would go on
                _log.exception("access_refresh_failed")

    async def _cached_lookup(self, credential: Credential) -> Authentication | None:
        now, cached = now_utc(), self._cache.get(credential)
        if cached is not None and not _is_expired(cached, now) and not _is_use_due(cached.seen_utc, now):
            return cached
        audit_length = self._audit_length
        authentication = await asyncio.to_thread(self._load, credential)
        if authentication is not None and audit_length == self._audit_length:  # otherwise it may be outdated already
            self._cache[credential] = authentication
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return authentication

    def _load(self, credential: Credential) -> Authentication | None:
        """Look a credential up in the store. Blocks."""
        if credential.kind == "session":
            return self._load_session(credential.digest)
        if credential.kind == "key":
            return self._load_key(credential.digest)
        if self._loopback_only and not self._store.people.has_accounts():
            return Authentication(caller=Caller(person=self._store.people.owner(), auth_method="loopback"))
        return None

    def _load_session(self, digest: str) -> Authentication | None:
        match = self._store.sessions.find_by_digest(digest)
        if match is None:
            return None
        session, person = match
        if _is_use_due(session.seen_utc, now_utc()):
            session = self._store.sessions.record_use(session)
        caller = Caller(person=person, auth_method="session", credential_id=session.id)
        return Authentication(caller=caller, expires_utc=session.expires_utc, seen_utc=session.seen_utc)

    def _load_key(self, digest: str) -> Authentication | None:
        if digest in self._setting_keys:
            owner = self._store.people.owner()
            if owner.closed_utc:
                return None
            return Authentication(caller=Caller(person=owner, auth_method="setting", credential_id=digest[:16]))
        match = self._store.api_keys.find_by_digest(digest)
        if match is None:
            return None
        key, person = match
        now = now_utc()
        if key.used_utc is None or _is_use_due(key.used_utc, now):
            self._store.api_keys.record_use(key.id)
        caller = Caller(person=person, auth_method="key", scopes=key.scopes, credential_id=key.id)
        return Authentication(caller=caller, expires_utc=key.expires_utc, seen_utc=now)


def _is_expired(authentication: Authentication, now: datetime) -> bool:
    return authentication.expires_utc is not None and authentication.expires_utc <= now


def _is_use_due(recorded_utc: datetime | None, now: datetime) -> bool:
    """Whether a use must be recorded again. None: uses are not recorded."""
    return recorded_utc is not None and now - recorded_utc >= _USE_RECORDED_EVERY
