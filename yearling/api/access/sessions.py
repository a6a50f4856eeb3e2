"""Opening and closing sessions, and checking passwords, for the sign-in and account routes."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from yearling.api.access.caller import Caller
from yearling.api.access.live_request import caller_or_none, request_state
from yearling.api.access.policy import get_caller
from yearling.api.access.registry import AccessRegistry
from yearling.api.access.route_helpers import get_user_agent, wrong_credentials_error
from yearling.errors import BadInput
from yearling.records import Person
from yearling.store import Store


async def open_session(registry: AccessRegistry, request: Request, person: Person, *, method: str) -> tuple[str, Caller]:
    """Replace the browser's session by a new one; returns its token and the caller that it authenticates."""
    await close_current_session(registry, request)
    agent, live_request = get_user_agent(request), request_state(request)["live_request"]
    token, session = await registry.change(
        lambda store: store.sessions.open(person.id, method=method, agent=agent), by=live_request
    )
    return token, Caller(person=person, auth_method="session", credential_id=session.id)


async def close_current_session(registry: AccessRegistry, request: Request) -> None:
    """End the session that authenticates the request, if there is one."""
    caller = caller_or_none(request)
    if caller is not None and caller.auth_method == "session":
        session_id, person_id = caller.credential_id, caller.person.id
        live_request = request_state(request)["live_request"]
        await registry.change(lambda store: store.sessions.close(session_id, person_id=person_id), by=live_request)


async def verify_password(store: Store, registry: AccessRegistry, request: Request, person: Person, password: str | None) -> None:
    """Require the password of a person who has one: an open session alone must not suffice for changes to the account.

    Raises BadInput without a password, ApiError (401) for a wrong one and (429) for too many attempts.
    """
    if not await asyncio.to_thread(store.passwords.has_password, person.id):
        return
    if password is None:
        raise BadInput("This needs your password.", param="password")
    with registry.attempts.track_signed_in(get_caller(request).credential_id or person.id) as attempt:
        match = await asyncio.to_thread(store.passwords.authenticate, person.name, password)
        if match is None or match.id != person.id:
            raise wrong_credentials_error()
        attempt.mark_successful()
