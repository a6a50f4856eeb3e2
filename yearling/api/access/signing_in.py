"""`/v1/auth`: signing in and out, and becoming a person here by an invitation. Open to people who are not known.

Attempts are limited per name and per address before any password is looked at, and an unknown name takes as long as a known one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import Caller, allow_anyone
from yearling.api.access.route_helpers import (
    change_access,
    clear_session_cookie,
    get_client_address,
    get_user_agent,
    set_session_cookie,
    uncached_json,
    wrong_credentials_error,
)
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.people import schemas
from yearling.api.people.views import me_view
from yearling.api.services import Services, get_services
from yearling.records import Person
from yearling.store import Store

router = APIRouter(dependencies=[allow_anyone])


@router.get("/v1/auth", operation_id="get_sign_in", responses=response_docs(schemas.SignInView))
async def get_sign_in(request: Request) -> Response:
    """Whether one has to sign in, how one can, and who asks."""
    services, caller = get_services(request), caller_or_none(request)

    def work(store: Store) -> dict[str, Any]:
        return {
            "object": "sign_in",
            "needed": caller is None or caller.auth_method != "loopback",
            "password": True,
            "provider": {"name": services.settings.oidc_name} if services.settings.oidc_issuer else None,
            "me": me_view(store, caller) if caller else None,
        }

    return uncached_json(await asyncio.to_thread(work, services.store))


@router.post(
    "/v1/auth/login",
    operation_id="sign_in",
    openapi_extra=json_request_body(schemas.LoginRequest),
    responses=response_docs(schemas.MeView),
)
async def sign_in(request: Request) -> Response:
    """Sign in by name and password. The answer sets the cookie of a session."""
    services = get_services(request)
    body = await read_body(request, schemas.LoginRequest, max_bytes=services.settings.max_body_bytes)
    with services.access.attempts.track(body.name, get_client_address(request)) as attempt:
        person = await asyncio.to_thread(services.store.passwords.authenticate, body.name, body.password)
        if person is None:
            raise wrong_credentials_error()
        attempt.mark_successful()
    return await signed_in_response(services, request, person, how="password")


@router.post("/v1/auth/logout", operation_id="sign_out", responses=response_docs(schemas.SignedOut))
async def sign_out(request: Request) -> Response:
    """End the session by which is asked. Streams that run by it end."""
    services = get_services(request)
    await _close_current_session(services, request)
    response = uncached_json({"object": "signed_out"})
    clear_session_cookie(response, request, services.settings)
    return response


@router.post(
    "/v1/auth/invitation",
    operation_id="look_at_invitation",
    openapi_extra=json_request_body(schemas.InvitationLookup),
    responses=response_docs(schemas.InvitationPreview),
)
async def look_at_invitation(request: Request) -> Response:
    """What one is invited to, while the invitation is open."""
    services = get_services(request)
    body = await read_body(request, schemas.InvitationLookup, max_bytes=services.settings.max_body_bytes)
    with services.access.attempts.track("", get_client_address(request)) as attempt:
        invitation = await asyncio.to_thread(services.store.invitations.get_open, body.invitation)
        attempt.mark_successful()
    return uncached_json({"object": "invited", "role": invitation.role, "expires_utc": invitation.expires_utc.isoformat()})


@router.post(
    "/v1/auth/signup",
    operation_id="sign_up",
    openapi_extra=json_request_body(schemas.SignUpRequest),
    responses=response_docs(schemas.MeView),
)
async def sign_up(request: Request) -> Response:
    """Become a person here by an invitation, which is used up by that. The answer sets the cookie of a session."""
    services = get_services(request)
    body = await read_body(request, schemas.SignUpRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> Person:
        store.invitations.get_open(body.invitation)  # before the work of hashing is done for who has none
        return store.invitations.accept(body.invitation, body.name, password_hash=store.passwords.hash_password(body.password))

    with services.access.attempts.track("", get_client_address(request)) as attempt:
        person = await change_access(request, work)
        attempt.mark_successful()
    return await signed_in_response(services, request, person, how="invitation")


async def signed_in_response(services: Services, request: Request, person: Person, *, how: str) -> Response:
    """A new session for who has shown who they are; the one that they had before ends."""
    token, caller = await open_session(services, request, person, how=how)
    response = uncached_json(await asyncio.to_thread(me_view, services.store, caller))
    set_session_cookie(response, request, services.settings, token)
    return response


async def open_session(services: Services, request: Request, person: Person, *, how: str) -> tuple[str, Caller]:
    """The session's token, and who asks by it."""
    await _close_current_session(services, request)
    token, session = await change_access(
        request, lambda store: store.sessions.open(person.id, method=how, agent=get_user_agent(request))
    )
    return token, Caller(person=person, auth_method="session", credential_id=session.id)


def caller_or_none(request: Request) -> Caller | None:
    """Who asks, where that is known."""
    caller: Caller | None = request.scope["state"].get("caller")
    return caller


async def _close_current_session(services: Services, request: Request) -> None:
    caller = caller_or_none(request)
    if caller is not None and caller.auth_method == "session":
        await change_access(request, lambda store: store.sessions.close(caller.credential_id, person_id=caller.person.id))
