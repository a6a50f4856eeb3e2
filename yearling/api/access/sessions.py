"""Opening and closing sessions for the sign-in and account routes."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from yearling.api.access.caller import Caller
from yearling.api.access.live_request import caller_or_none
from yearling.api.access.route_helpers import get_client_address, get_user_agent, set_session_cookie, wrong_credentials_error
from yearling.api.http.json_response import JsonResponse
from yearling.api.people.views import me_view
from yearling.api.services import Services, change_access
from yearling.errors import BadInput
from yearling.records import Person


async def open_session(services: Services, request: Request, person: Person, *, method: str) -> tuple[str, Caller]:
    """Replace the browser's session by a new one; returns its token and the caller that it authenticates."""
    await close_current_session(request)
    agent = get_user_agent(request)
    token, session = await change_access(request, lambda store: store.sessions.open(person.id, method=method, agent=agent))
    return token, Caller(person=person, auth_method="session", credential_id=session.id)


async def close_current_session(request: Request) -> None:
    """End the session that authenticates the request, if there is one."""
    caller = caller_or_none(request)
    if caller is not None and caller.auth_method == "session":
        session_id, person_id = caller.credential_id, caller.person.id
        await change_access(request, lambda store: store.sessions.close(session_id, person_id=person_id))


async def signed_in_response(services: Services, request: Request, person: Person, *, method: str) -> JsonResponse:
    """Open a session for a person who has proven their identity; the response describes them and sets the cookie."""
    token, caller = await open_session(services, request, person, method=method)
    response = JsonResponse(await asyncio.to_thread(me_view, services.store, caller), no_store=True)
    set_session_cookie(response, request, services.settings, token)
    return response


async def verify_password(services: Services, request: Request, person: Person, password: str | None) -> None:
    """Require the password of a person who has one: an open session alone must not suffice for changes to the account.

    Raises BadInput without a password, ApiError (401) for a wrong one and (429) for too many attempts.
    """
    if not await asyncio.to_thread(services.store.passwords.has_password, person.id):
        return
    if password is None:
        raise BadInput("This needs your password.", param="password")
    with services.access.attempts.track(person.name, get_client_address(request)) as attempt:
        match = await asyncio.to_thread(services.store.passwords.authenticate, person.name, password)
        if match is None or match.id != person.id:
            raise wrong_credentials_error()
        attempt.mark_successful()
