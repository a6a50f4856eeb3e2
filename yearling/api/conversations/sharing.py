"""`/v1/shares` and `/v1/shared`: links to a branch of a conversation, and what they show to whoever has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import allow_anyone, current_person, require_role
from yearling.api.conversations import personal_schemas as schemas
from yearling.api.conversations.views import format_utc, hidden_comparisons, share_view
from yearling.api.http.body import read_body
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.services import get_services
from yearling.store import Store

router = APIRouter()


@router.get(
    "/v1/shares", operation_id="list_shares", dependencies=[require_role("reader")], responses=response_docs(schemas.ShareList)
)
async def list_shares(request: Request) -> Response:
    """The asker's links, newest first."""
    person = current_person(request)
    return await _uncached_response(
        request, lambda store: {"object": "list", "data": [share_view(one) for one in store.shares.list(person.id)]}
    )


@router.post(
    "/v1/shares",
    operation_id="create_share",
    dependencies=[require_role("member")],
    openapi_extra=json_request_body(schemas.ShareRequest),
    responses=response_docs(schemas.ShareView),
)
async def create_share(request: Request) -> Response:
    """Make a link to a branch of a conversation as it is now. Who has the link can read it, without signing in."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ShareRequest, max_bytes=services.settings.max_body_bytes)
    return await _uncached_response(
        request, lambda store: share_view(store.shares.create(body.conversation, person_id=person.id, leaf_id=body.leaf))
    )


@router.delete(
    "/v1/shares/{share_id}",
    operation_id="revoke_share",
    dependencies=[require_role("member")],
    responses=response_docs(schemas.ShareList),
)
async def revoke_share(request: Request, share_id: str) -> Response:
    """Revoke a link: from now on it shows nothing. Returns the links that are left."""
    person = current_person(request)

    def work(store: Store) -> dict[str, Any]:
        store.shares.revoke(share_id, person_id=person.id)
        return {"object": "list", "data": [share_view(one) for one in store.shares.list(person.id)]}

    return await _uncached_response(request, work)


@router.get(
    "/v1/shared/{share_id}", operation_id="get_shared", dependencies=[allow_anyone], responses=response_docs(schemas.SharedView)
)
async def get_shared(request: Request, share_id: str) -> Response:
    """What a link shows: the words of one branch, and nothing of whose they are."""

    def work(store: Store) -> dict[str, Any]:
        share, conversation, branch = store.shares.resolve(share_id)
        hidden = hidden_comparisons(store.comparisons.list_for_conversation(conversation.id, person_id=share.person_id), ())
        shown = [one for one in branch if one.role in ("user", "assistant") and not one.facts.get("hidden")]
        return {
            "object": "shared",
            "title": conversation.title,
            "created_utc": format_utc(share.created_utc),
            "messages": [
                {
                    "role": one.role,
                    "text": one.content,
                    "created_utc": format_utc(one.created_utc),
                    "model": None if one.facts.get("comparison") in hidden else one.model or None,
                }
                for one in shown
            ],
        }

    return await _uncached_response(request, work)


async def _uncached_response(request: Request, work: Callable[[Store], dict[str, Any]]) -> Response:
    body = await asyncio.to_thread(work, get_services(request).store)
    # A revoked link must not go on living in somebody's cache.
    return Response(to_json_bytes(body), media_type="application/json", headers={"cache-control": "no-store"})
