"""`/v1/shares` and `/v1/shared`: links to a branch of a conversation, and what they show to whoever has them.

No response may be cached: a revoked link must not live on in a cache.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.live_request import caller_or_none
from yearling.api.access.policy import allow_anyone, current_person, require_role
from yearling.api.conversations import share_schemas as schemas
from yearling.api.conversations.views import hidden_comparisons, share_view
from yearling.api.feedback.views import own_ratings
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import get_services, store_response
from yearling.store import Store, is_shown, rateable_samples

router = ApiRouter()

ShareId = Annotated[str, Path(description="Secret of the share link.")]


@router.get("/v1/shares", operation_id="list_shares", dependencies=[require_role("reader")], response_model=schemas.ShareList)
async def list_shares(request: Request) -> JsonResponse:
    """List the caller's share links, newest first."""
    person = current_person(request)
    return await store_response(request, lambda store: _list_view(store, person.id))


@router.post("/v1/shares", operation_id="create_share", dependencies=[require_role("member")], response_model=schemas.ShareView)
async def create_share(request: Request, body: JsonBody[schemas.ShareRequest]) -> JsonResponse:
    """Create a link to a branch of a conversation as it is now. Whoever has the link can read it without signing in."""
    person = current_person(request)
    return await store_response(
        request, lambda store: share_view(store.shares.create(body.conversation, person_id=person.id, leaf_id=body.leaf))
    )


@router.delete(
    "/v1/shares/{share_id}",
    operation_id="revoke_share",
    dependencies=[require_role("member")],
    response_model=schemas.ShareList,
)
async def revoke_share(request: Request, share_id: ShareId) -> JsonResponse:
    """Revoke a link, which then shows nothing. Returns the remaining links."""
    person = current_person(request)

    def revoke(store: Store) -> JsonObject:
        store.shares.revoke(share_id, person_id=person.id)
        return _list_view(store, person.id)

    return await store_response(request, revoke)


@router.get("/v1/shared/{share_id}", operation_id="get_shared", dependencies=[allow_anyone], response_model=schemas.SharedView)
async def get_shared(request: Request, share_id: ShareId) -> JsonResponse:
    """Return the branch behind a link, without revealing whose conversation it is. Whoever is signed in can rate its answers."""
    services, caller = get_services(request), caller_or_none(request)
    rater = caller.person.id if caller is not None and caller.is_allowed("member", "feedback") else None

    def query(store: Store) -> JsonObject:
        share, conversation, branch = store.shares.resolve(share_id)
        comparisons = store.comparisons.list_for_conversation(conversation.id, person_id=share.person_id)
        hidden = hidden_comparisons(comparisons, ())
        items = rateable_samples(branch, comparisons) if rater is not None else set()
        ratings = own_ratings(services.running_consensus, rater, sorted(items)) if rater is not None else {}
        return {
            "object": "shared",
            "title": conversation.title,
            "created_utc": format_utc(share.created_utc),
            "messages": [
                {
                    "role": message.role,
                    "text": message.content,
                    "created_utc": format_utc(message.created_utc),
                    "model": None if message.facts.get("comparison") in hidden else message.model or None,
                    "item": message.sample_id if message.sample_id in items else None,
                    "rating": ratings.get(message.sample_id or ""),
                }
                for message in branch
                if is_shown(message)
            ],
        }

    return await store_response(request, query)


def _list_view(store: Store, person_id: str) -> JsonObject:
    return {"object": "list", "data": [share_view(share) for share in store.shares.list(person_id)]}
