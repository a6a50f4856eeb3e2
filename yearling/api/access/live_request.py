"""Requests in progress: their credential, and how they end when that credential loses its access."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from starlette.requests import Request
from starlette.types import Message, Receive

from yearling.api.access.caller import Caller
from yearling.api.http.json_response import JsonObject


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request authenticates with: the hash of a session's token or of an API key, or nothing."""

    kind: Literal["key", "session", "none"]
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """The caller behind a credential, and when the credential expires. `seen_utc` is the last recorded use."""

    caller: Caller
    expires_utc: datetime | None = None
    seen_utc: datetime | None = None


class LiveRequest:
    """A request in progress. Once `revoked` is set, its route sees a disconnected client and stops.

    `authentication` is None for a request that revocation must not end.
    """

    def __init__(self, credential: Credential, authentication: Authentication | None) -> None:
        self.credential = credential
        self.authentication = authentication
        self.revoked = asyncio.Event()

    def guard_receive(self, receive: Receive) -> Receive:
        """`receive` that also reports a disconnect on revocation. The request body always arrives in full."""
        is_body_complete = False

        async def guarded() -> Message:
            nonlocal is_body_complete
            if not is_body_complete:
                message = await receive()
                is_body_complete = message["type"] != "http.request" or not message.get("more_body", False)
                return message
            return await self._receive_or_revoked(receive)

        return guarded

    async def _receive_or_revoked(self, receive: Receive) -> Message:
        receiving, revocation = asyncio.ensure_future(receive()), asyncio.ensure_future(self.revoked.wait())
        try:
            await asyncio.wait({receiving, revocation}, return_when=asyncio.FIRST_COMPLETED)
            return {"type": "http.disconnect"} if revocation.done() else receiving.result()
        finally:
            for task in (receiving, revocation):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({receiving, revocation})


class RequestState(TypedDict, total=False):
    """What the gate leaves in `scope["state"]`. `caller` is absent for unauthenticated requests."""

    request_id: str
    networks: tuple[str, ...]
    """Where the request comes from, see `client_networks`."""
    caller: Caller
    live_request: LiveRequest
    hold_stream: Callable[[], AbstractContextManager[None]]
    """Counts an event stream of the caller, see `StreamLimiter`."""
    log_fields: JsonObject
    """Further fields of the request's log line."""


def request_state(request: Request) -> RequestState:
    """The state that the gate left with the request."""
    state: RequestState = request.scope["state"]
    return state


def get_request_id(request: Request) -> str:
    """The ID of the request, for logs and samples."""
    return request_state(request)["request_id"]


def caller_or_none(request: Request) -> Caller | None:
    """The caller; None for an unauthenticated request."""
    return request_state(request).get("caller")
