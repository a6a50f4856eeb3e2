"""`/v1/conversations`: OpenAI's Conversations API. Clients keep the items of a conversation, and `/v1/responses` adds to them.

These conversations are apart from people's chat history, which is at `/v1/chats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.openai import conversation_schemas as schemas
from yearling.api.openai.conversation_items import ID_PREFIX, record_id, stored_item
from yearling.api.services import store_response
from yearling.store import ApiConversation, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]

ApiConversationId = Annotated[str, Path(description="ID of the conversation.")]
ItemId = Annotated[str, Path(description="ID of the item.")]
Include = Annotated[list[str] | None, Query(description="Ignored. Items always contain everything.")]
IncludeBrackets = Annotated[list[str] | None, Query(alias="include[]", description="Another name of `include`.")]


@router.post(
    "/v1/conversations",
    operation_id="create_conversation",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationObject,
)
async def create_conversation(request: Request, body: JsonBody[schemas.NewConversationRequest]) -> JsonResponse:
    """Create a conversation for `/v1/responses`. Chats of the web client are at `/v1/chats`."""
    person = current_person(request)
    new_items = [stored_item(item) for item in body.items or ()]

    def create(store: Store) -> JsonObject:
        return _conversation_json(store.api_conversations.create(person.id, metadata=body.metadata, new_items=new_items))

    return await store_response(request, create)


@router.get("/v1/conversations/{conversation_id}", operation_id="get_conversation", response_model=schemas.ConversationObject)
async def get_conversation(request: Request, conversation_id: ApiConversationId) -> JsonResponse:
    """Return a conversation without its items."""
    person, key = current_person(request), record_id(conversation_id)
    return await store_response(request, lambda store: _conversation_json(store.api_conversations.get(key, person_id=person.id)))


@router.post(
    "/v1/conversations/{conversation_id}",
    operation_id="update_conversation",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationObject,
)
async def update_conversation(
    request: Request, conversation_id: ApiConversationId, body: JsonBody[schemas.ConversationUpdate]
) -> JsonResponse:
    """Replace the metadata of a conversation."""
    person, key = current_person(request), record_id(conversation_id)

    def update(store: Store) -> JsonObject:
        return _conversation_json(store.api_conversations.update(key, person_id=person.id, metadata=body.metadata or {}))

    return await store_response(request, update)


@router.delete(
    "/v1/conversations/{conversation_id}",
    operation_id="delete_conversation",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DeletedConversation,
)
async def delete_conversation(request: Request, conversation_id: ApiConversationId) -> JsonResponse:
    """Delete a conversation with its items. Responses stay until they are deleted themselves."""
    person, key = current_person(request), record_id(conversation_id)

    def delete(store: Store) -> JsonObject:
        store.api_conversations.delete(key, person_id=person.id)
        return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}

    return await store_response(request, delete)


@router.get(
    "/v1/conversations/{conversation_id}/items",
    operation_id="list_conversation_items",
    response_model=schemas.ConversationItemList,
)
async def list_conversation_items(
    request: Request,
    conversation_id: ApiConversationId,
    after: Annotated[str | None, Query(description="ID of the last item of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="`desc` lists the newest items first.")] = "desc",
    include: Include = None,
    include_brackets: IncludeBrackets = None,
) -> JsonResponse:
    """List the items of a conversation."""
    person, key = current_person(request), record_id(conversation_id)

    def query(store: Store) -> JsonObject:
        page = store.api_conversations.list_items(
            key, person_id=person.id, after=after, limit=limit, newest_first=order == "desc"
        )
        return _item_list_json(page.items, has_more=page.has_more)

    return await store_response(request, query)


@router.post(
    "/v1/conversations/{conversation_id}/items",
    operation_id="create_conversation_items",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationItemList,
)
async def create_conversation_items(
    request: Request,
    conversation_id: ApiConversationId,
    body: JsonBody[schemas.NewItemsRequest],
    include: Include = None,
    include_brackets: IncludeBrackets = None,
) -> JsonResponse:
    """Append items to a conversation. Returns them with their IDs."""
    person, key = current_person(request), record_id(conversation_id)
    new_items = [stored_item(item) for item in body.items]

    def add(store: Store) -> JsonObject:
        store.api_conversations.add_items(key, new_items, person_id=person.id)
        return _item_list_json(new_items, has_more=False)

    return await store_response(request, add)


@router.get(
    "/v1/conversations/{conversation_id}/items/{item_id}",
    operation_id="get_conversation_item",
    response_model=schemas.ConversationItem,
)
async def get_conversation_item(
    request: Request,
    conversation_id: ApiConversationId,
    item_id: ItemId,
    include: Include = None,
    include_brackets: IncludeBrackets = None,
) -> JsonResponse:
    """Return one item of a conversation."""
    person, key = current_person(request), record_id(conversation_id)
    return await store_response(request, lambda store: store.api_conversations.get_item(key, item_id, person_id=person.id))


@router.delete(
    "/v1/conversations/{conversation_id}/items/{item_id}",
    operation_id="delete_conversation_item",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationObject,
)
async def delete_conversation_item(request: Request, conversation_id: ApiConversationId, item_id: ItemId) -> JsonResponse:
    """Delete one item of a conversation. Returns the conversation."""
    person, key = current_person(request), record_id(conversation_id)

    def delete(store: Store) -> JsonObject:
        return _conversation_json(store.api_conversations.delete_item(key, item_id, person_id=person.id))

    return await store_response(request, delete)


def _conversation_json(conversation: ApiConversation) -> JsonObject:
    return {
        "id": f"{ID_PREFIX}{conversation.id.replace('-', '')}",
        "object": "conversation",
        "created_at": int(conversation.created_utc.timestamp()),
        "metadata": conversation.metadata,
    }


def _item_list_json(items: Sequence[JsonObject], *, has_more: bool) -> JsonObject:
    ids = [item["id"] for item in items]
    first_id, last_id = (ids[0], ids[-1]) if ids else (None, None)
    return {"object": "list", "data": list(items), "first_id": first_id, "last_id": last_id, "has_more": has_more}
