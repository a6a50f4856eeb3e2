"""Finding out who asks, and noticing when that changes: sessions, keys, roles, closed accounts.

What was found is remembered until anything about access changes. Every such change is an entry of the audit log, so its length
tells: it is looked at after each act of this server, and every `WATCH_S` for what others did (the command line, a second server).
Requests that are still being answered then by a right that has gone are ended.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from starlette.types import Message, Receive

from yearling.api.access.credentials import (
    SESSION_COOKIE,
    RawHeaders,
    SignInAttemptLimiter,
    extract_api_key,
    is_loopback,
    read_cookie,
)
from yearling.api.access.policy import Caller, unauthenticated_error
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import UserError
from yearling.store import Store, hash_token

REFRESH_INTERVAL_S = 1.0
_TOUCH = timedelta(minutes=5)
"""How often it is noted that a session or a key is in use."""
_MAX_CACHED = 10_000
_PROXY_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
_log = structlog.get_logger("yearling.api")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request carries to show who asks: the hash of a session's token or of a key, or nothing."""

    kind: Literal["key", "session", "none"]
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Who it is by a credential, and until when. `seen_utc` is when its use was last noted."""

    caller: Caller
    expires_utc: datetime | None = None
    seen_utc: datetime | None = None


class LiveRequest:
    """A request that is being answered. Once `ended` is set, its client seems to have left, and whatever runs for it stops."""

    def __init__(self, credential: Credential, authentication: Authentication | None) -> None:
        self.credential = credential
        self.authentication = authentication
        self.revoked = asyncio.Event()

    def guard_receive(self, receive: Receive) -> Receive:
        """`receive` that also tells of a disconnect when the right to be here has gone. The body is let in whole."""
        body_read = False

        async def guarded() -> Message:
            nonlocal body_read
            if not body_read:
                message = await receive()
                body_read = message["type"] != "http.request" or not message.get("more_body", False)
                return message
            return await self._receive_or_revoked(receive)

        return guarded

    async def _receive_or_revoked(self, receive: Receive) -> Message:
        coming, end = asyncio.ensure_future(receive()), asyncio.ensure_future(self.revoked.wait())
        try:
            await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
            return {"type": "http.disconnect"} if end.done() else coming.result()
        finally:
            for one in (coming, end):
                one.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({coming, end})


class AccessRegistry:
    """Of one running server."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.attempts = SignInAttemptLimiter(settings.login_attempts)
        self._store = store
        self._setting_keys = frozenset(hash_token(key.get_secret_value()) for key in settings.api_keys)
        self._loopback_only = is_loopback(settings.host) and not settings.api_keys
        self._cache: OrderedDict[Credential, Authentication] = OrderedDict()
        self._live_requests: set[LiveRequest] = set()
        self._audit_length = -1
        self._watch: asyncio.Task[None] | None = None
        self._refresh_lock = asyncio.Lock()

    async def start(self) -> None:
        """Begin to watch for changes."""
        await self.refresh()
        self._watch = asyncio.create_task(self._watch_for_changes())

    async def close(self) -> None:
        """Stop watching."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait({watch})

    async def authenticate(self, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        """Who asks; None for who does not say. A key decides where there is one. Raises ApiError (401) for a wrong key.

        A session that has ended is as good as none: its browser still gets the page, and signs in again.
        """
        key = extract_api_key(headers)
        if key is not None:
            return await self._authenticate_key(Credential("key", hash_token(key)), headers)
        token = read_cookie(headers, SESSION_COOKIE)
        if token:
            credential = Credential("session", hash_token(token))
            found = await self._cached_lookup(credential)
            if found is not None:
                return credential, found
        return await self._authenticate_anonymous(headers)

    async def _authenticate_key(self, credential: Credential, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        found = await self._cached_lookup(credential)
        if found is not None:
            return credential, found
        nobody, found = await self._authenticate_anonymous(headers)
        if found is None:
            raise unauthenticated_error("The API key is not valid.")
        return nobody, found  # as long as nobody has an account any key will do

    async def _authenticate_anonymous(self, headers: RawHeaders) -> tuple[Credential, Authentication | None]:
        """The owner, as long as nobody has an account; but not for what a proxy let in, which may come from anywhere."""
        nobody = Credential("none")
        through_a_proxy = any(name in _PROXY_HEADERS for name, _ in headers)
        return nobody, None if through_a_proxy else await self._cached_lookup(nobody)

    @asynccontextmanager
    async def track_request(
        self, credential: Credential, authentication: Authentication | None
    ) -> AsyncGenerator[LiveRequest, None]:
        """While a request is answered."""
        live = LiveRequest(credential, authentication)
        self._live_requests.add(live)
        try:
            yield live
        finally:
            self._live_requests.discard(live)

    async def refresh(self) -> None:
        """Look whether anything about access has changed, and end what goes on by rights that have gone."""
        async with self._refresh_lock:
            entries = await asyncio.to_thread(self._store.audit.latest_sequence)
            if entries == self._audit_length:
                return
            self._audit_length = entries
            self._cache.clear()
            for credential in {live.credential for live in self._live_requests if live.authentication is not None}:
                now = await self._cached_lookup(credential)
                for live in [
                    one for one in self._live_requests if one.credential == credential and one.authentication is not None
                ]:
                    if now is None or live.authentication is None or now.caller != live.authentication.caller:
                        live.revoked.set()

    async def _watch_for_changes(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_INTERVAL_S)
            now = now_utc()
            for live in self._live_requests:
                if (
                    live.authentication is not None
                    and live.authentication.expires_utc is not None
                    and live.authentication.expires_utc <= now
                ):
                    live.revoked.set()
            try:
                await self.refresh()
            except UserError as error:  # a locked or unreachable database: what is remembered holds until it answers again
                _log.warning("access_not_checked", error=str(error))

    async def _cached_lookup(self, credential: Credential) -> Authentication | None:
        now, found = now_utc(), self._cache.get(credential)
        lasts = found is not None and (found.expires_utc is None or found.expires_utc > now)
        if found is not None and lasts and (found.seen_utc is None or now - found.seen_utc < _TOUCH):
            return found
        entries = self._audit_length
        found = await asyncio.to_thread(self._load, credential)
        if found is not None and entries == self._audit_length:  # else it may be outdated already
            self._cache[credential] = found
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return found

    def _load(self, credential: Credential) -> Authentication | None:
        """From the store. In threads."""
        if credential.kind == "session":
            return self._session(credential.digest)
        if credential.kind == "key":
            return self._key(credential.digest)
        if self._loopback_only and not self._store.people.has_accounts():
            return Authentication(caller=Caller(person=self._store.people.owner(), auth_method="loopback"))
        return None

    def _session(self, digest: str) -> Authentication | None:
        known = self._store.sessions.find_by_digest(digest)
        if known is None:
            return None
        session, person = known
        if now_utc() - session.seen_utc >= _TOUCH:
            session = self._store.sessions.record_use(session)
        caller = Caller(person=person, auth_method="session", credential_id=session.id)
        return Authentication(caller=caller, expires_utc=session.expires_utc, seen_utc=session.seen_utc)

    def _key(self, digest: str) -> Authentication | None:
        if digest in self._setting_keys:
            owner = self._store.people.owner()
            return (
                None
                if owner.closed_utc
                else Authentication(caller=Caller(person=owner, auth_method="setting", credential_id=digest[:16]))
            )
        known = self._store.api_keys.find_by_digest(digest)
        if known is None:
            return None
        key, person = known
        now = now_utc()
        if key.used_utc is None or now - key.used_utc >= _TOUCH:
            self._store.api_keys.record_use(key.id)
        caller = Caller(person=person, auth_method="key", scopes=key.scopes, credential_id=key.id)
        return Authentication(caller=caller, expires_utc=key.expires_utc, seen_utc=now)
