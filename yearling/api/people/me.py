"""`/v1/me` and `/v1/keys`: one's own account: password, sessions, API keys, and leaving for good.

Keys that are to administer an account need the scope `admin`, and can give no more than they have.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import get_caller, require_role
from yearling.api.access.route_helpers import (
    change_access,
    clear_session_cookie,
    get_client_address,
    set_session_cookie,
    uncached_json,
    wrong_credentials_error,
)
from yearling.api.access.signing_in import open_session
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.people import schemas
from yearling.api.people.views import key_view, me_view, session_view
from yearling.api.services import Services, get_services
from yearling.clock import now_utc
from yearling.errors import BadInput, NotAllowed
from yearling.records import Person
from yearling.store import Store

router = APIRouter(dependencies=[require_role("reader")])

_REQUIRE_ADMIN_SCOPE = [require_role("reader", scope="admin")]


@router.get("/v1/me", operation_id="get_me", responses=response_docs(schemas.MeView))
async def get_me(request: Request) -> Response:
    """Who asks, and what they may."""
    return uncached_json(await asyncio.to_thread(me_view, get_services(request).store, get_caller(request)))


@router.put(
    "/v1/me/password",
    operation_id="set_password",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    openapi_extra=json_request_body(schemas.PasswordRequest),
    responses=response_docs(schemas.MeView),
)
async def set_password(request: Request) -> Response:
    """Give oneself a password. All other sessions end. Once the owner has one, everybody has to sign in."""
    services, caller = get_services(request), get_caller(request)
    body = await read_body(request, schemas.PasswordRequest, max_bytes=services.settings.max_body_bytes)
    person = caller.person
    await _verify_password(services, request, person, body.old)
    keep = caller.credential_id if caller.auth_method == "session" else ""
    await change_access(request, lambda store: store.passwords.set(person.id, body.new, actor=person.id, keep_session_id=keep))
    token = ""
    if caller.auth_method == "loopback":  # from now on one has to sign in; who set the password just did
        token, caller = await open_session(services, request, person, how="first password")
    response = uncached_json(await asyncio.to_thread(me_view, services.store, caller))
    if token:
        set_session_cookie(response, request, services.settings, token)
    return response


@router.post(
    "/v1/me/delete",
    operation_id="delete_me",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    openapi_extra=json_request_body(schemas.DeleteAccountRequest),
    responses=response_docs(schemas.DeletedObject),
)
async def delete_me(request: Request) -> Response:
    """Delete one's account with everything in it. What one judged stays in the public log: under a pseudonym, without words."""
    services, person = get_services(request), get_caller(request).person
    body = await read_body(request, schemas.DeleteAccountRequest, max_bytes=services.settings.max_body_bytes)
    if body.name != person.name:
        raise BadInput("This is not your name.", advice="Write your own name to delete your account.", param="name")
    await _verify_password(services, request, person, body.password)
    await change_access(request, lambda store: store.delete_person(person.id, actor=person.id))
    response = uncached_json({"object": "deleted", "id": person.id})
    clear_session_cookie(response, request, services.settings)
    return response


@router.get(
    "/v1/me/sessions",
    operation_id="list_sessions",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    responses=response_docs(schemas.SessionList),
)
async def list_sessions(request: Request) -> Response:
    """Where one is signed in, newest first."""
    caller = get_caller(request)
    sessions = await asyncio.to_thread(get_services(request).store.sessions.list, caller.person.id)
    return uncached_json({"object": "list", "data": [session_view(session, caller) for session in sessions]})


@router.delete(
    "/v1/me/sessions/{session_id}",
    operation_id="end_session",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    responses=response_docs(schemas.DeletedObject),
)
async def end_session(request: Request, session_id: str) -> Response:
    """Sign out elsewhere, or here."""
    person = get_caller(request).person
    await change_access(request, lambda store: store.sessions.close(session_id, person_id=person.id))
    return uncached_json({"object": "deleted", "id": session_id})


@router.delete(
    "/v1/me/sessions",
    operation_id="end_other_sessions",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    responses=response_docs(schemas.EndedAccess),
)
async def end_other_sessions(request: Request) -> Response:
    """Sign out everywhere but here."""
    caller = get_caller(request)
    keep = caller.credential_id if caller.auth_method == "session" else ""
    ended = await change_access(request, lambda store: store.sessions.close_others(caller.person.id, keep_session_id=keep))
    return uncached_json({"object": "ended", "sessions": ended, "keys": 0})


@router.get("/v1/keys", operation_id="list_keys", dependencies=_REQUIRE_ADMIN_SCOPE, responses=response_docs(schemas.KeyList))
async def list_keys(request: Request) -> Response:
    """One's own API keys, newest first."""
    keys = await asyncio.to_thread(get_services(request).store.api_keys.list, get_caller(request).person.id)
    return uncached_json({"object": "list", "data": [key_view(key) for key in keys]})


@router.post(
    "/v1/keys",
    operation_id="create_key",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    openapi_extra=json_request_body(schemas.KeyRequest),
    responses=response_docs(schemas.NewKey),
)
async def create_key(request: Request) -> Response:
    """A new API key. It is told now and never again."""
    services, caller = get_services(request), get_caller(request)
    body = await read_body(request, schemas.KeyRequest, max_bytes=services.settings.max_body_bytes)
    if not caller.scopes.issuperset(body.scopes):
        raise NotAllowed("A key cannot make a key with more scopes than its own.", param="scopes")
    expires_utc = now_utc() + timedelta(seconds=body.expires_in_s) if body.expires_in_s else None

    def work(store: Store) -> dict[str, Any]:
        secret, key = store.api_keys.create(caller.person.id, body.name, body.scopes, expires_utc=expires_utc)
        return {**key_view(key), "key": secret}

    return uncached_json(await change_access(request, work))


@router.delete(
    "/v1/keys/{key_id}",
    operation_id="revoke_key",
    dependencies=_REQUIRE_ADMIN_SCOPE,
    responses=response_docs(schemas.DeletedObject),
)
async def revoke_key(request: Request, key_id: str) -> Response:
    """Revoke one of one's own keys. Streams that run by it end."""
    person = get_caller(request).person
    await change_access(request, lambda store: store.api_keys.revoke(key_id, person_id=person.id))
    return uncached_json({"object": "deleted", "id": key_id})


async def _verify_password(services: Services, request: Request, person: Person, password: str | None) -> None:
    """That it is the person who asks, by the password where there is one: a session left open is not enough for this."""
    if not await asyncio.to_thread(services.store.passwords.has_password, person.id):
        return
    if password is None:
        raise BadInput("Your password is needed for this.", param="password")
    with services.access.attempts.track(person.name, get_client_address(request)) as attempt:
        found = await asyncio.to_thread(services.store.passwords.authenticate, person.name, password)
        if found is None or found.id != person.id:
            raise wrong_credentials_error()
        attempt.mark_successful()
