"""`/v1/auth/oidc`: sign-in through an OpenID Connect provider, sign-up through one, and adding one to an account.

The server remembers each sign-in for some minutes under a cookie of the browser that started it. It rejects a response that
arrives in another browser. People without an account need an invitation, unless the setting `oidc_role` admits everyone whom the
provider knows.
"""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from yearling.api.access.caller import Caller
from yearling.api.access.credentials import read_cookie
from yearling.api.access.live_request import caller_or_none
from yearling.api.access.oidc_client import OidcIdentity, OidcProvider
from yearling.api.access.pending_sign_ins import PENDING_TTL_S
from yearling.api.access.policy import allow_anyone
from yearling.api.access.route_helpers import base_url, get_client_networks, is_https, set_session_cookie
from yearling.api.access.sessions import open_session
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ERROR_RESPONSES, ApiRouter, allow_any_query
from yearling.api.people import schemas
from yearling.api.services import Services, change_access, get_services
from yearling.errors import Conflict, NotAllowed, NotFound, UserError
from yearling.records import Person, PersonRole
from yearling.store import Store, hash_token, new_token

router = ApiRouter(dependencies=[allow_anyone], responses={})

OIDC_COOKIE = "yearling_oidc"
_PATH = "/v1/auth/oidc"
_MAX_NAME_ATTEMPTS = 50
_log = structlog.get_logger("yearling.api")


@router.post("/v1/auth/oidc/start", operation_id="start_oidc", response_model=schemas.ProviderAddress, responses=ERROR_RESPONSES)
async def start_oidc(request: Request, body: JsonBody[schemas.OidcRequest]) -> JsonResponse:
    """Start to sign in through the provider. Open the returned URL in the browser; the response sets a cookie for its return."""
    services = get_services(request)
    provider = _require_provider(services)
    linking_caller = _require_linking_caller(request) if body.link else None
    url, authorization = await provider.start_authorization(base_url(request, services.settings) + "/v1/auth/oidc/callback")
    token = new_token()
    services.pending_sign_ins.put(
        token,
        authorization,
        invitation_hash=hash_token(body.invitation) if body.invitation else "",
        linking_caller=linking_caller,
        return_path=body.then,
    )
    response = JsonResponse({"object": "provider_address", "url": url})
    secure = is_https(request, services.settings)
    response.set_cookie(OIDC_COOKIE, token, max_age=PENDING_TTL_S, path=_PATH, secure=secure, httponly=True, samesite="lax")
    return response


@router.get(
    "/v1/auth/oidc/callback",
    operation_id="finish_oidc",
    dependencies=[allow_any_query],
    response_class=Response,
    responses={303: {"description": "Redirect to the page, or to `/signin?error=...` after a failure."}},
)
async def finish_oidc(request: Request) -> Response:
    """Complete a sign-in. The provider redirects the browser to this address."""
    services = get_services(request)
    try:
        with services.access.attempts.track("", get_client_networks(request)) as attempt:
            response = await _finish(services, request)
            attempt.mark_successful()
    except (UserError, ApiError) as error:
        code = _error_code(error)
        _log.warning("oidc_sign_in_failed", code=code, error_type=type(error).__name__)
        response = RedirectResponse(f"/signin?error={code}", 303)
    response.delete_cookie(OIDC_COOKIE, path=_PATH)
    return response


async def _finish(services: Services, request: Request) -> Response:
    pending = services.pending_sign_ins.take(read_cookie(request.scope["headers"], OIDC_COOKIE))
    if pending is None:
        raise ApiError(400, "This sign-in has expired, or started in another browser.", code="expired")
    identity = await _require_provider(services).complete_authorization(pending.authorization, dict(request.query_params))
    if pending.linking_caller is not None:
        await _link_identity(request, pending.linking_caller, identity)
        person = pending.linking_caller.person
    else:
        invitation_hash, role = pending.invitation_hash, services.settings.oidc_role
        person = await change_access(request, lambda store: _find_or_create_person(store, identity, invitation_hash, role))
    token, _ = await open_session(services.access, request, person, method="oidc")
    response = RedirectResponse(pending.return_path, 303)
    set_session_cookie(response, request, services.settings, token)
    return response


async def _link_identity(request: Request, linking_caller: Caller, identity: OidcIdentity) -> None:
    """Raises NotAllowed unless the same caller started this: otherwise an attacker's identity could be linked to the account."""
    if caller_or_none(request) != linking_caller:
        raise NotAllowed("Another session started to add this provider.")
    person_id = linking_caller.person.id
    await change_access(request, lambda store: store.identities.link(person_id, identity.issuer, identity.subject))


def _find_or_create_person(store: Store, identity: OidcIdentity, invitation_hash: str, role: PersonRole | Literal[""]) -> Person:
    """Raises NotFound for an unknown identity without an invitation, Conflict if no similar name is free."""
    person = store.identities.find_person(identity.issuer, identity.subject)
    if person is not None:
        return person
    issuer, subject = identity.issuer, identity.subject
    for number in range(1, _MAX_NAME_ATTEMPTS + 1):
        name = identity.name if number == 1 else f"{identity.name} {number}"
        try:
            if invitation_hash:
                return store.invitations.accept_by_identity(invitation_hash, name, issuer=issuer, subject=subject)
            if not role:
                raise NotFound("No account belongs to this identity.", advice="Ask for an invitation.")
            return store.identities.create_person(name, role, issuer=issuer, subject=subject)
        except Conflict as error:
            if error.param != "name":
                raise
    raise Conflict("All names like this one are taken.")


def _require_linking_caller(request: Request) -> Caller:
    caller = caller_or_none(request)
    if caller is None or caller.auth_method not in ("session", "loopback"):
        raise NotAllowed("Sign in before you add a provider to your account.")
    return caller


def _require_provider(services: Services) -> OidcProvider:
    if services.oidc_provider is None:
        raise NotFound("This server has no OpenID Connect provider.", advice="An owner can set oidc_issuer.")
    return services.oidc_provider


def _error_code(error: Exception) -> str:
    """The code that the page translates into the reader's language."""
    if isinstance(error, ApiError):
        return "expired" if error.code == "expired" else "too_many"
    if isinstance(error, NotFound):
        return "not_invited"
    if isinstance(error, Conflict):
        return "taken"
    return "denied" if isinstance(error, NotAllowed) else "failed"
