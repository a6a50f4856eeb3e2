"""`/v1/me` and `/v1/keys`: the caller's own account: password, sessions, API keys, and deleting the account.

API keys need the scope `admin` for this, and cannot create keys with more scopes than they have.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import get_caller, require_role
from yearling.api.access.route_helpers import clear_session_cookie, remember_browser, set_session_cookie
from yearling.api.access.sessions import open_session, verify_password
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.people import schemas
from yearling.api.people.views import key_view, me_view, session_view
from yearling.api.services import change_access, get_services, store_response
from yearling.clock import now_utc
from yearling.errors import BadInput, NotAllowed
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_ADMIN_SCOPE = [require_role("reader", scope="admin")]


@router.get("/v1/me", operation_id="get_me", response_model=schemas.MeView)
async def get_me(request: Request) -> JsonResponse:
    """Return the caller and what they may do."""
    caller = get_caller(request)
    return await store_response(request, lambda store: me_view(store, caller))


@router.put("/v1/me/password", operation_id="set_password", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.MeView)
async def set_password(request: Request, body: JsonBody[schemas.PasswordRequest]) -> JsonResponse:
    """Set the caller's password. All their other sessions end. Once the owner has a password, everyone has to sign in."""
    services, caller = get_services(request), get_caller(request)
    person = caller.person
    await verify_password(services.store, services.access, request, person, body.old)
    keep_session_id = caller.credential_id if caller.auth_method == "session" else ""
    await change_access(
        request,
        lambda store: store.passwords.set(person.id, body.new, actor=person.id, keep_session_id=keep_session_id),
    )
    token = ""
    if caller.auth_method == "loopback":  # from now on everyone has to sign in: sign in the person who set the password
        token, caller = await open_session(services.access, request, person, method="first password")
    response = JsonResponse(await asyncio.to_thread(me_view, services.store, caller))
    if token:
        set_session_cookie(response, request, services.settings, token)
        remember_browser(response, request, services.settings, services.access.attempts.browser_token(person.name))
    return response


@router.post("/v1/me/delete", operation_id="delete_me", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.DeletedObject)
async def delete_me(request: Request, body: JsonBody[schemas.DeleteAccountRequest]) -> JsonResponse:
    """Delete the caller's account and all data in it. Their judgements stay in the public log, pseudonymous and without text."""
    services, person = get_services(request), get_caller(request).person
    if body.name != person.name:
        raise BadInput("This is not your name.", advice="Enter your own name to delete your account.", param="name")
    await verify_password(services.store, services.access, request, person, body.password)
    await change_access(request, lambda store: store.delete_person(person.id, actor=person.id))
    response = _deleted_response(person.id)
    clear_session_cookie(response, request, services.settings)
    return response


@router.get(
    "/v1/me/sessions", operation_id="list_sessions", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.SessionList
)
async def list_sessions(request: Request) -> JsonResponse:
    """List the caller's sessions, newest first."""
    caller = get_caller(request)

    def query(store: Store) -> JsonObject:
        sessions = store.sessions.list(caller.person.id)
        return {"object": "list", "data": [session_view(session, caller) for session in sessions]}

    return await store_response(request, query)


@router.delete(
    "/v1/me/sessions/{session_id}",
    operation_id="end_session",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    response_model=schemas.DeletedObject,
)
async def end_session(request: Request, session_id: Annotated[str, Path(description="ID of the session.")]) -> JsonResponse:
    """Sign out of one session."""
    person = get_caller(request).person
    await change_access(request, lambda store: store.sessions.close(session_id, person_id=person.id))
    return _deleted_response(session_id)


@router.delete(
    "/v1/me/sessions",
    operation_id="end_other_sessions",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    response_model=schemas.EndedAccess,
)
async def end_other_sessions(request: Request) -> JsonResponse:
    """Sign out everywhere but here."""
    caller = get_caller(request)
    keep_session_id = caller.credential_id if caller.auth_method == "session" else ""
    num_ended = await change_access(
        request, lambda store: store.sessions.close_others(caller.person.id, keep_session_id=keep_session_id)
    )
    return JsonResponse({"object": "ended", "sessions": num_ended, "keys": 0})


@router.get("/v1/keys", operation_id="list_keys", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.KeyList)
async def list_keys(request: Request) -> JsonResponse:
    """List the caller's API keys, newest first."""
    person_id = get_caller(request).person.id

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [key_view(key) for key in store.api_keys.list(person_id)]}

    return await store_response(request, query)


@router.post("/v1/keys", operation_id="create_key", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.NewKey)
async def create_key(request: Request, body: JsonBody[schemas.KeyRequest]) -> JsonResponse:
    """Create an API key. Only this response contains the key."""
    caller = get_caller(request)
    if not caller.scopes.issuperset(body.scopes):
        raise NotAllowed("A key cannot create a key with more scopes than its own.", param="scopes")
    expires_utc = now_utc() + timedelta(seconds=body.expires_in_s) if body.expires_in_s else None

    def change(store: Store) -> JsonObject:
        secret, key = store.api_keys.create(caller.person.id, body.name, body.scopes, expires_utc=expires_utc)
        return {**key_view(key), "key": secret}

    return JsonResponse(await change_access(request, change))


@router.delete(
    "/v1/keys/{key_id}", operation_id="revoke_key", dependencies=_REQUIRE_ADMIN_SCOPE, response_model=schemas.DeletedObject
)
async def revoke_key(request: Request, key_id: Annotated[str, Path(description="ID of the API key.")]) -> JsonResponse:
    """Revoke one of the caller's API keys. Its streams end."""
    person = get_caller(request).person
    await change_access(request, lambda store: store.api_keys.revoke(key_id, person_id=person.id))
    return _deleted_response(key_id)


def _deleted_response(object_id: str) -> JsonResponse:
    return JsonResponse({"object": "deleted", "id": object_id})
