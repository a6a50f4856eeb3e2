"""`/v1/memories`: what is remembered of the asker, to see, add to, reword, switch off and delete."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import current, require
from yearling.api.conversations import personal_schemas as schemas
from yearling.api.conversations.turn_inputs import settings_of
from yearling.api.conversations.views import utc
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, replies
from yearling.api.services import get_services, store_response
from yearling.store import KEEP, Memory, Store

router = APIRouter(dependencies=[require("reader")])

_REQUIRE_MEMBER = [require("member")]


@router.get("/v1/memories", operation_id="list_memories", responses=replies(schemas.MemoryList))
async def list_memories(request: Request) -> Response:
    """Everything that is remembered of the asker, newest first, each with the message that it came from."""
    person = current(request)
    return await store_response(get_services(request), lambda store: _listed(store, person.id))


@router.post(
    "/v1/memories",
    operation_id="add_memory",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.MemoryRequest),
    responses=replies(schemas.MemoryView),
)
async def add_memory(request: Request) -> Response:
    """Have something remembered."""
    services, person = get_services(request), current(request)
    body = await read_body(request, schemas.MemoryRequest, most_bytes=services.settings.max_body_bytes)
    return await store_response(get_services(request), lambda store: _view(store.memories.add(person.id, body.text), {}))


@router.delete(
    "/v1/memories", operation_id="forget_everything", dependencies=_REQUIRE_MEMBER, responses=replies(schemas.MemoryList)
)
async def forget_everything(request: Request) -> Response:
    """Delete all memories."""
    person = current(request)

    def work(store: Store) -> dict[str, Any]:
        store.memories.delete_all(person.id)
        return _listed(store, person.id)

    return await store_response(get_services(request), work)


@router.patch(
    "/v1/memories/{memory_id}",
    operation_id="change_memory",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.MemoryChange),
    responses=replies(schemas.MemoryView),
)
async def change_memory(request: Request, memory_id: str) -> Response:
    """Reword a memory, or switch it on or off."""
    services, person = get_services(request), current(request)
    body = await read_body(request, schemas.MemoryChange, most_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        changed = store.memories.change(
            memory_id,
            person_id=person.id,
            text=KEEP if body.text is None else body.text,
            active=KEEP if body.active is None else body.active,
        )
        return _view(changed, _source_conversations(store, [changed]))

    return await store_response(get_services(request), work)


@router.delete(
    "/v1/memories/{memory_id}", operation_id="delete_memory", dependencies=_REQUIRE_MEMBER, responses=replies(schemas.MemoryList)
)
async def delete_memory(request: Request, memory_id: str) -> Response:
    """Delete a memory; returns what is left."""
    person = current(request)

    def work(store: Store) -> dict[str, Any]:
        store.memories.delete(memory_id, person_id=person.id)
        return _listed(store, person.id)

    return await store_response(get_services(request), work)


def _listed(store: Store, person_id: str) -> dict[str, Any]:
    memories = store.memories.list(person_id)
    places = _source_conversations(store, memories)
    on = bool(settings_of(store, person_id)["memory"])
    return {"object": "list", "on": on, "data": [_view(one, places) for one in memories]}


def _source_conversations(store: Store, memories: list[Memory]) -> dict[str, str]:
    return store.memories.places([one.message_id for one in memories if one.message_id])


def _view(one: Memory, places: dict[str, str]) -> dict[str, Any]:
    return {
        "object": "memory",
        "id": one.id,
        "text": one.text,
        "active": one.active,
        "origin": one.origin,
        "edited": one.edited,
        "conversation": places.get(one.message_id or ""),
        "message": one.message_id,
        "created_utc": utc(one.created_utc),
        "updated_utc": utc(one.updated_utc),
    }
