"""`/v1/people` and `/v1/invitations`: people, their roles, and invitations."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import get_caller, require_role
from yearling.api.access.route_helpers import base_url
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.people import schemas
from yearling.api.people.views import invitation_view, person_view
from yearling.api.services import change_access, get_services, store_response
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("member", scope="read")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]
_REQUIRE_OWNER = [require_role("owner")]

PersonId = Annotated[str, Path(description="ID of the person.")]


@router.get("/v1/people", operation_id="list_people", response_model=schemas.PersonList)
async def list_people(request: Request) -> JsonResponse:
    """List everyone with an account. Members may see the list."""
    return await store_response(
        request, lambda store: {"object": "list", "data": [person_view(person) for person in store.people.list()]}
    )


@router.get("/v1/people/{person_id}", operation_id="get_person", response_model=schemas.PersonView)
async def get_person(request: Request, person_id: PersonId) -> JsonResponse:
    """Return one person."""
    return await store_response(request, lambda store: person_view(store.people.get(person_id)))


@router.patch("/v1/people/{person_id}", operation_id="set_role", dependencies=_REQUIRE_OWNER, response_model=schemas.PersonView)
async def set_role(request: Request, person_id: PersonId, body: JsonBody[schemas.RoleRequest]) -> JsonResponse:
    """Give a person another role. Their streams end. Owners only."""
    actor = get_caller(request).person
    person = await change_access(request, lambda store: store.people.set_role(person_id, body.role, actor=actor.id))
    return JsonResponse(person_view(person))


@router.delete(
    "/v1/people/{person_id}", operation_id="remove_person", dependencies=_REQUIRE_OWNER, response_model=schemas.DeletedObject
)
async def remove_person(
    request: Request,
    person_id: PersonId,
    delete_data: Annotated[bool, Query(description="Also delete conversations, answers and texts.")] = False,
) -> JsonResponse:
    """Close a person's account. It can no longer be used. Owners only."""
    actor = get_caller(request).person

    def change(store: Store) -> None:
        if delete_data:
            store.delete_person(person_id, actor=actor.id)
        else:
            store.people.close_account(person_id, actor=actor.id)

    await change_access(request, change)
    return JsonResponse({"object": "deleted", "id": person_id})


@router.delete(
    "/v1/people/{person_id}/access",
    operation_id="end_access",
    dependencies=_REQUIRE_OWNER,
    response_model=schemas.EndedAccess,
)
async def end_access(request: Request, person_id: PersonId) -> JsonResponse:
    """End all sessions of a person and revoke all their API keys, such as after a theft. The password stays. Owners only."""
    actor = get_caller(request).person
    counts = await change_access(request, lambda store: store.people.revoke_access(person_id, actor=actor.id))
    return JsonResponse({"object": "ended", **counts})


@router.get(
    "/v1/invitations",
    operation_id="list_invitations",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.InvitationList,
)
async def list_invitations(request: Request) -> JsonResponse:
    """List all invitations, newest first, whether open, used or expired."""

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [invitation_view(invitation) for invitation in store.invitations.list()]}

    return await store_response(request, query)


@router.post(
    "/v1/invitations",
    operation_id="create_invitation",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.NewInvitation,
)
async def create_invitation(request: Request, body: JsonBody[schemas.InvitationRequest]) -> JsonResponse:
    """Create an invitation link that works once. Maintainers invite readers and members; owners invite for any role."""
    settings, actor = get_services(request).settings, get_caller(request).person

    def change(store: Store) -> JsonObject:
        lifetime = timedelta(seconds=body.expires_in_s)
        token, invitation = store.invitations.create(actor, body.role, note=body.note, lifetime=lifetime)
        link = f"{base_url(request, settings)}/signup#{token}"
        return {**invitation_view(invitation), "token": token, "link": link}

    return JsonResponse(await change_access(request, change))


@router.delete(
    "/v1/invitations/{invitation_id}",
    operation_id="revoke_invitation",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.DeletedObject,
)
async def revoke_invitation(
    request: Request, invitation_id: Annotated[str, Path(description="ID of the invitation.")]
) -> JsonResponse:
    """Withdraw an invitation that has not been used."""
    actor = get_caller(request).person
    await change_access(request, lambda store: store.invitations.revoke(invitation_id, actor=actor.id))
    return JsonResponse({"object": "deleted", "id": invitation_id})
