"""`/v1/people` and `/v1/invitations`: who is here, in what role, and who may come."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import get_caller, require_role
from yearling.api.access.route_helpers import base_url, change_access, uncached_json
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.people import schemas
from yearling.api.people.views import invitation_view, person_view
from yearling.api.services import get_services
from yearling.store import Store

router = APIRouter(dependencies=[require_role("member", scope="read")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]
_REQUIRE_OWNER = [require_role("owner")]


@router.get("/v1/people", operation_id="list_people", responses=response_docs(schemas.PersonList))
async def list_people(request: Request) -> Response:
    """Everybody who is here: one may vouch for others, so one may know of them."""
    people = await asyncio.to_thread(get_services(request).store.people.list)
    return uncached_json({"object": "list", "data": [person_view(person) for person in people]})


@router.get("/v1/people/{person_id}", operation_id="get_person", responses=response_docs(schemas.PersonView))
async def get_person(request: Request, person_id: str) -> Response:
    """One person."""
    return uncached_json(person_view(await asyncio.to_thread(get_services(request).store.people.get, person_id)))


@router.patch(
    "/v1/people/{person_id}",
    operation_id="set_role",
    dependencies=_REQUIRE_OWNER,
    openapi_extra=json_request_body(schemas.RoleRequest),
    responses=response_docs(schemas.PersonView),
)
async def set_role(request: Request, person_id: str) -> Response:
    """Give a person another role. What streams to them ends; they go on with what the new role allows. Owners only."""
    services, me = get_services(request), get_caller(request).person
    body = await read_body(request, schemas.RoleRequest, max_bytes=services.settings.max_body_bytes)
    return uncached_json(
        person_view(await change_access(request, lambda store: store.people.set_role(person_id, body.role, actor=me.id)))
    )


@router.delete(
    "/v1/people/{person_id}",
    operation_id="remove_person",
    dependencies=_REQUIRE_OWNER,
    responses=response_docs(schemas.DeletedObject),
)
async def remove_person(
    request: Request,
    person_id: str,
    delete_data: Annotated[bool, Query(description="Delete conversations, answers and words as well.")] = False,
) -> Response:
    """Close a person's account: nobody gets in by it any more. Owners only."""
    me = get_caller(request).person

    def work(store: Store) -> None:
        if delete_data:
            store.delete_person(person_id, actor=me.id)
        else:
            store.people.close_account(person_id, actor=me.id)

    await change_access(request, work)
    return uncached_json({"object": "deleted", "id": person_id})


@router.delete(
    "/v1/people/{person_id}/access",
    operation_id="end_access",
    dependencies=_REQUIRE_OWNER,
    responses=response_docs(schemas.EndedAccess),
)
async def end_access(request: Request, person_id: str) -> Response:
    """End all sessions of a person and revoke all their keys, after a theft. The password stays. Owners only."""
    me = get_caller(request).person
    ended = await change_access(request, lambda store: store.people.revoke_access(person_id, actor=me.id))
    return uncached_json({"object": "ended", **ended})


@router.get(
    "/v1/invitations",
    operation_id="list_invitations",
    dependencies=_REQUIRE_MAINTAINER,
    responses=response_docs(schemas.InvitationList),
)
async def list_invitations(request: Request) -> Response:
    """All invitations, newest first: open, used and ended."""
    invitations = await asyncio.to_thread(get_services(request).store.invitations.list)
    return uncached_json({"object": "list", "data": [invitation_view(one) for one in invitations]})


@router.post(
    "/v1/invitations",
    operation_id="create_invitation",
    dependencies=_REQUIRE_MAINTAINER,
    openapi_extra=json_request_body(schemas.InvitationRequest),
    responses=response_docs(schemas.NewInvitation),
)
async def create_invitation(request: Request) -> Response:
    """Invite somebody, by a link that works once. Maintainers invite readers and members, owners anybody."""
    services, me = get_services(request), get_caller(request).person
    body = await read_body(request, schemas.InvitationRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        lasts = timedelta(seconds=body.expires_in_s)
        token, invitation = store.invitations.create(me, body.role, note=body.note, lifetime=lasts)
        link = f"{base_url(request, services.settings)}/signup#{token}"
        return {**invitation_view(invitation), "token": token, "link": link}

    return uncached_json(await change_access(request, work))


@router.delete(
    "/v1/invitations/{invitation_id}",
    operation_id="revoke_invitation",
    dependencies=_REQUIRE_MAINTAINER,
    responses=response_docs(schemas.DeletedObject),
)
async def revoke_invitation(request: Request, invitation_id: str) -> Response:
    """Withdraw an invitation that nobody has used yet."""
    me = get_caller(request).person
    await change_access(request, lambda store: store.invitations.revoke(invitation_id, actor=me.id))
    return uncached_json({"object": "deleted", "id": invitation_id})
