"""`/v1/auth/oidc`: signing in by a provider (OpenID Connect), joining by one, and adding one to an account.

What was asked is remembered here, for some minutes, under a cookie of the browser that asked; an answer that comes by another
browser is nobody's. Who is not known yet needs an invitation, unless the owner lets in everybody whom the provider knows.
"""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from yearling.api.access.credentials import read_cookie
from yearling.api.access.oidc_client import OidcIdentity, OidcProvider
from yearling.api.access.pending_sign_ins import PENDING_TTL_S
from yearling.api.access.policy import Caller, allow_anyone
from yearling.api.access.route_helpers import (
    base_url,
    change_access,
    get_client_address,
    is_https,
    set_session_cookie,
    uncached_json,
)
from yearling.api.access.signing_in import caller_or_none, open_session
from yearling.api.http.body import read_body
from yearling.api.http.errors import ApiError
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.people import schemas
from yearling.api.services import Services, get_services
from yearling.errors import Conflict, NotAllowed, NotFound, UserError
from yearling.records import Person, PersonRole
from yearling.store import Store, hash_token, new_token

router = APIRouter(dependencies=[allow_anyone])

OIDC_COOKIE = "yearling_oidc"
_PATH = "/v1/auth/oidc"
_MAX_NAME_ATTEMPTS = 50
_log = structlog.get_logger("yearling.api")


@router.post(
    "/v1/auth/oidc/start",
    operation_id="start_oidc",
    openapi_extra=json_request_body(schemas.OidcRequest),
    responses=response_docs(schemas.ProviderAddress),
)
async def start_oidc(request: Request) -> Response:
    """Begin to sign in by the provider. The answer says where the browser is to go, and sets a cookie for its return."""
    services = get_services(request)
    body = await read_body(request, schemas.OidcRequest, max_bytes=services.settings.max_body_bytes)
    provider = _require_provider(services)
    link = _require_linking_caller(request) if body.link else None
    url, asked = await provider.start_authorization(base_url(request, services.settings) + "/v1/auth/oidc/callback")
    token = new_token()
    invitation = hash_token(body.invitation) if body.invitation else ""
    services.pending_sign_ins.put(token, asked, invitation_hash=invitation, linking_caller=link, return_path=body.then)
    response = uncached_json({"object": "provider_address", "url": url})
    secure = is_https(request, services.settings)
    response.set_cookie(OIDC_COOKIE, token, max_age=PENDING_TTL_S, path=_PATH, secure=secure, httponly=True, samesite="lax")
    return response


@router.get(
    "/v1/auth/oidc/callback",
    operation_id="finish_oidc",
    response_class=Response,
    responses={303: {"description": "Back to the page; to `/signin?error=...` when it did not work."}},
)
async def finish_oidc(request: Request) -> Response:
    """Where the provider sends the browser back to."""
    services = get_services(request)
    try:
        with services.access.attempts.track("", get_client_address(request)) as attempt:
            response = await _finish(services, request)
            attempt.mark_successful()
    except (UserError, ApiError) as error:
        code = _code(error)
        _log.warning("oidc_refused", code=code, why=type(error).__name__)
        response = RedirectResponse(f"/signin?error={code}", 303)
    response.delete_cookie(OIDC_COOKIE, path=_PATH)
    response.headers["cache-control"] = "no-store"
    return response


async def _finish(services: Services, request: Request) -> Response:
    pending = services.pending_sign_ins.take(read_cookie(request.scope["headers"], OIDC_COOKIE))
    if pending is None:
        raise ApiError(400, "This sign-in took too long, or began in another browser.", code="expired")
    identity = await _require_provider(services).complete_authorization(pending.authorization, dict(request.query_params))
    if pending.linking_caller is not None:
        await _link_identity(request, pending.linking_caller, identity)
        person = pending.linking_caller.person
    else:
        person = await change_access(
            request, lambda store: _find_or_create_person(store, identity, pending.invitation_hash, services.settings.oidc_role)
        )
    token, _ = await open_session(services, request, person, how="oidc")
    response = RedirectResponse(pending.return_path, 303)
    set_session_cookie(response, request, services.settings, token)
    return response


async def _link_identity(request: Request, began: Caller, identity: OidcIdentity) -> None:
    """Only for who began it, by the same right: else somebody else's answer could be planted in their browser."""
    if caller_or_none(request) != began:
        raise NotAllowed("Adding a provider began by another session.")
    await change_access(request, lambda store: store.identities.link(began.person.id, identity.issuer, identity.subject))


def _find_or_create_person(store: Store, identity: OidcIdentity, invitation: str, role: PersonRole | Literal[""]) -> Person:
    known = store.identities.find_person(identity.issuer, identity.subject)
    if known is not None:
        return known
    for number in range(1, _MAX_NAME_ATTEMPTS + 1):
        name = identity.name if number == 1 else f"{identity.name} {number}"
        try:
            if invitation:
                return store.invitations.accept_by_identity(invitation, name, issuer=identity.issuer, subject=identity.subject)
            if not role:
                raise NotFound("Nobody here is known by this identity.", advice="Ask for an invitation.")
            return store.identities.create_person(name, role, issuer=identity.issuer, subject=identity.subject)
        except Conflict as error:
            if error.param != "name":
                raise
    raise Conflict("All names like this one are taken.")


def _require_linking_caller(request: Request) -> Caller:
    caller = caller_or_none(request)
    if caller is None or caller.auth_method not in ("session", "loopback"):
        raise NotAllowed("To add a provider to your account, sign in first.")
    return caller


def _require_provider(services: Services) -> OidcProvider:
    if services.oidc_provider is None:
        raise NotFound("There is no provider to sign in by.", advice="An owner can set oidc_issuer.")
    return services.oidc_provider


def _code(error: Exception) -> str:
    """For the page, which has words for it in the reader's language."""
    if isinstance(error, ApiError):
        return "expired" if error.code == "expired" else "too_many"
    if isinstance(error, NotFound):
        return "not_invited"
    if isinstance(error, Conflict):
        return "taken"
    return "denied" if isinstance(error, NotAllowed) else "failed"
