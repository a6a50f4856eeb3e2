"""`/v1/auth`: sign-in, sign-out and sign-up by invitation. Open to unauthenticated callers.

Attempts are limited per address and per name before any password is checked. An unknown name takes as long as a known one.
"""

from __future__ import annotations

import asyncio

from fastapi import Request

from yearling.api.access.live_request import caller_or_none
from yearling.api.access.policy import allow_anyone
from yearling.api.access.route_helpers import (
    clear_session_cookie,
    get_browser_token,
    get_client_networks,
    remember_browser,
    set_session_cookie,
    wrong_credentials_error,
)
from yearling.api.access.sessions import close_current_session, open_session
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset
from yearling.api.people import schemas
from yearling.api.people.views import me_view
from yearling.api.services import change_access, get_services, store_response
from yearling.records import Person
from yearling.store import Store

router = ApiRouter(dependencies=[allow_anyone])


@router.get("/v1/auth", operation_id="get_sign_in", response_model=schemas.SignInView)
async def get_sign_in(request: Request) -> JsonResponse:
    """Return whether sign-in is required, which ways there are, and who is signed in."""
    settings, caller = get_services(request).settings, caller_or_none(request)

    def query(store: Store) -> JsonObject:
        return {
            "object": "sign_in",
            "needed": caller is None or caller.auth_method != "loopback",
            "password": True,
            "provider": {"name": settings.oidc_name} if settings.oidc_issuer else None,
            "me": me_view(store, caller) if caller else None,
        }

    return await store_response(request, query)


@router.post("/v1/auth/login", operation_id="sign_in", response_model=schemas.MeView)
async def sign_in(request: Request, body: JsonBody[schemas.LoginRequest]) -> JsonResponse:
    """Sign in with a name and a password. The response sets a session cookie."""
    services = get_services(request)
    with services.access.attempts.track(body.name, get_client_networks(request), browser=get_browser_token(request)) as attempt:
        person = await asyncio.to_thread(services.store.passwords.authenticate, body.name, body.password)
        if person is None:
            raise wrong_credentials_error()
        attempt.mark_successful()
    return await _sign_in_response(request, person, method="password")


@router.post("/v1/auth/logout", operation_id="sign_out", response_model=schemas.SignedOut)
async def sign_out(request: Request) -> JsonResponse:
    """End the current session. Its streams end too."""
    services = get_services(request)
    await close_current_session(services.access, request)
    response = JsonResponse({"object": "signed_out"})
    clear_session_cookie(response, request, services.settings)
    return response


@router.post("/v1/auth/invitation", operation_id="look_at_invitation", response_model=schemas.InvitationPreview)
async def look_at_invitation(request: Request, body: JsonBody[schemas.InvitationLookup]) -> JsonResponse:
    """Return what an open invitation offers."""
    services = get_services(request)
    with services.access.attempts.track("", get_client_networks(request)) as attempt:
        invitation = await asyncio.to_thread(services.store.invitations.get_open, body.invitation)
        attempt.mark_successful()
    preview = {"object": "invited", "role": invitation.role, "expires_utc": format_utc_offset(invitation.expires_utc)}
    return JsonResponse(preview)


@router.post("/v1/auth/signup", operation_id="sign_up", response_model=schemas.MeView)
async def sign_up(request: Request, body: JsonBody[schemas.SignUpRequest]) -> JsonResponse:
    """Create an account by invitation, which is then used up. The response sets a session cookie."""
    services = get_services(request)

    def change(store: Store) -> Person:
        store.invitations.get_open(body.invitation)  # hashing is expensive, so check the invitation first
        password_hash = store.passwords.hash_password(body.password)
        return store.invitations.accept(body.invitation, body.name, password_hash=password_hash)

    with services.access.attempts.track("", get_client_networks(request)) as attempt:
        person = await change_access(request, change)
        attempt.mark_successful()
    return await _sign_in_response(request, person, method="invitation")


async def _sign_in_response(request: Request, person: Person, *, method: str) -> JsonResponse:
    """Open a session for a person who has proven their identity. The response describes them and sets the cookie."""
    services = get_services(request)
    token, caller = await open_session(services.access, request, person, method=method)
    response = JsonResponse(await asyncio.to_thread(me_view, services.store, caller))
    set_session_cookie(response, request, services.settings, token)
    remember_browser(response, request, services.settings, services.access.attempts.browser_token(person.name))
    return response
