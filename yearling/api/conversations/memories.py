"""`/v1/memories`: what is remembered of the asker, to see, add to, reword, switch off and delete."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import personal_schemas as schemas
from yearling.api.conversations.views import format_utc
from yearling.api.http.body import read_body
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.services import get_services, store_response
from yearling.chat import get_personal_settings
from yearling.store import UNCHANGED, Memory, Store

router = APIRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]


@router.get("/v1/memories", operation_id="list_memories", responses=response_docs(schemas.MemoryList))
async def list_memories(request: Request) -> Response:
    """Everything that is remembered of the asker, newest first, each with the message that it came from."""
    person = current_person(request)
    return await store_response(get_services(request), lambda store: _listed(store, person.id))


@router.post(
    "/v1/memories",
    operation_id="add_memory",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.MemoryRequest),
    responses=response_docs(schemas.MemoryView),
)
async def add_memory(request: Request) -> Response:
    """Have something remembered."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.MemoryRequest, max_bytes=services.settings.max_body_bytes)
    return await store_response(get_services(request), lambda store: _view(store.memories.add(person.id, body.text), {}))


@router.delete(
    "/v1/memories", operation_id="forget_everything", dependencies=_REQUIRE_MEMBER, responses=response_docs(schemas.MemoryList)
)
async def forget_everything(request: Request) -> Response:
    """Delete all memories."""
    person = current_person(request)

    def work(store: Store) -> dict[str, Any]:
        store.memories.delete_all(person.id)
        return _listed(store, person.id)

    return await store_response(get_services(request), work)


@router.patch(
    "/v1/memories/{memory_id}",
    operation_id="change_memory",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.MemoryChange),
    responses=response_docs(schemas.MemoryView),
)
async def change_memory(request: Request, memory_id: str) -> Response:
    """Reword a memory, or switch it on or off."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.MemoryChange, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        changed = store.memories.update(
            memory_id,
            person_id=person.id,
            text=UNCHANGED if body.text is None else body.text,
            active=UNCHANGED if body.active is None else body.active,
        )
        return _view(changed, _source_conversations(store, [changed]))

    return await store_response(get_services(request), work)


@router.delete(
    "/v1/memories/{memory_id}",
    operation_id="delete_memory",
    dependencies=_REQUIRE_MEMBER,
    responses=response_docs(schemas.MemoryList),
)
async def delete_memory(request: Request, memory_id: str) -> Response:
    """Delete a memory; returns what is left."""
    person = current_person(request)

    def work(store: Store) -> dict[str, Any]:
        store.memories.delete(memory_id, person_id=person.id)
        return _listed(store, person.id)

    return await store_response(get_services(request), work)


def _listed(store: Store, person_id: str) -> dict[str, Any]:
    memories = store.memories.list(person_id)
    places = _source_conversations(store, memories)
    on = get_personal_settings(store, person_id).memory
    return {"object": "list", "on": on, "data": [_view(one, places) for one in memories]}


def _source_conversations(store: Store, memories: list[Memory]) -> dict[str, str]:
    return store.memories.conversation_ids_by_message([one.message_id for one in memories if one.message_id])


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
        "created_utc": format_utc(one.created_utc),
        "updated_utc": format_utc(one.updated_utc),
    }
