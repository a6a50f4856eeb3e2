"""`/v1/memories`: what the assistant remembers about the caller, to read, add, reword, switch off and delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import memory_schemas as schemas
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import store_response
from yearling.chat import get_personal_settings
from yearling.store import UNCHANGED, Memory, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]

MemoryId = Annotated[str, Path(description="ID of the memory.")]


@router.get("/v1/memories", operation_id="list_memories", response_model=schemas.MemoryList)
async def list_memories(request: Request) -> JsonResponse:
    """List the caller's memories, newest first, each with the message that it comes from."""
    person = current_person(request)
    return await store_response(request, lambda store: _list_view(store, person.id))


@router.post("/v1/memories", operation_id="add_memory", dependencies=_REQUIRE_MEMBER, response_model=schemas.MemoryView)
async def add_memory(request: Request, body: JsonBody[schemas.MemoryRequest]) -> JsonResponse:
    """Add a memory."""
    person = current_person(request)
    return await store_response(request, lambda store: _view(store.memories.add(person.id, body.text), {}))


@router.delete("/v1/memories", operation_id="forget_everything", dependencies=_REQUIRE_MEMBER, response_model=schemas.MemoryList)
async def forget_everything(request: Request) -> JsonResponse:
    """Delete all of the caller's memories."""
    person = current_person(request)

    def delete_all(store: Store) -> JsonObject:
        store.memories.delete_all(person.id)
        return _list_view(store, person.id)

    return await store_response(request, delete_all)


@router.patch(
    "/v1/memories/{memory_id}", operation_id="change_memory", dependencies=_REQUIRE_MEMBER, response_model=schemas.MemoryView
)
async def change_memory(request: Request, memory_id: MemoryId, body: JsonBody[schemas.MemoryChange]) -> JsonResponse:
    """Reword a memory, or switch it on or off."""
    person = current_person(request)

    def change(store: Store) -> JsonObject:
        memory = store.memories.update(
            memory_id,
            person_id=person.id,
            text=UNCHANGED if body.text is None else body.text,
            active=UNCHANGED if body.active is None else body.active,
        )
        return _view(memory, _source_conversations(store, [memory]))

    return await store_response(request, change)


@router.delete(
    "/v1/memories/{memory_id}", operation_id="delete_memory", dependencies=_REQUIRE_MEMBER, response_model=schemas.MemoryList
)
async def delete_memory(request: Request, memory_id: MemoryId) -> JsonResponse:
    """Delete a memory. Returns the remaining memories."""
    person = current_person(request)

    def delete(store: Store) -> JsonObject:
        store.memories.delete(memory_id, person_id=person.id)
        return _list_view(store, person.id)

    return await store_response(request, delete)


def _list_view(store: Store, person_id: str) -> JsonObject:
    memories = store.memories.list(person_id)
    sources = _source_conversations(store, memories)
    is_on = get_personal_settings(store, person_id).memory
    return {"object": "list", "on": is_on, "data": [_view(memory, sources) for memory in memories]}


def _source_conversations(store: Store, memories: list[Memory]) -> dict[str, str]:
    """Conversation ID by the ID of the message that a memory comes from."""
    return store.memories.conversation_ids_by_message([memory.message_id for memory in memories if memory.message_id])


def _view(memory: Memory, sources: dict[str, str]) -> JsonObject:
    return {
        "object": "memory",
        "id": memory.id,
        "text": memory.text,
        "active": memory.active,
        "origin": memory.origin,
        "edited": memory.edited,
        "conversation": sources.get(memory.message_id or ""),
        "message": memory.message_id,
        "created_utc": format_utc(memory.created_utc),
        "updated_utc": format_utc(memory.updated_utc),
    }
