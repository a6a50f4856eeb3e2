"""`/v1/chats`: a person's chat history: conversations, their messages, and the files of messages.

The store checks whose a conversation is. Deleting removes everything: messages, samples, files, the texts of edits and notes on
deleted answers, and their entries in the search index.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import schemas, views
from yearling.api.conversations.parameters import ConversationId, MessageId
from yearling.api.conversations.personal_data import delete_conversation as delete_conversation_data
from yearling.api.http.body import JsonBody
from yearling.api.http.files import file_response
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, file_content
from yearling.api.services import get_services, store_response
from yearling.chat import CHAMPION
from yearling.errors import BadInput
from yearling.store import BINARY_MEDIA_TYPE, UNCHANGED, DeletedContent, Store, attachments_from_facts

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]


@router.get("/v1/chats", operation_id="list_chats", response_model=schemas.ConversationList)
async def list_conversations(
    request: Request,
    q: Annotated[
        str, Query(max_length=200, description="Search: return conversations with a message or a title that has all these words.")
    ] = "",
    folder: Annotated[str | None, Query(description="Return only conversations in the folder with this ID.")] = None,
    after: Annotated[str | None, Query(description="Cursor: the field `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of conversations.")] = 50,
) -> JsonResponse:
    """List the caller's conversations, most recently active first."""
    person = current_person(request)

    def query(store: Store) -> JsonObject:
        page = store.history.list_page(person.id, query=q, folder_id=folder, cursor=after, limit=limit)
        return {"object": "list", "data": [views.hit_view(entry) for entry in page.entries], "next": page.next_cursor}

    return await store_response(request, query)


@router.post(
    "/v1/chats",
    operation_id="create_chat",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationSummary,
)
async def create_conversation(request: Request, body: JsonBody[schemas.ConversationRequest]) -> JsonResponse:
    """Create a conversation without messages."""
    person = current_person(request)

    def create(store: Store) -> JsonObject:
        created = store.conversations.create(person.id, body.title, folder_id=body.folder)
        return views.summary_view(store.history.get_entry(created.id, person_id=person.id))

    return await store_response(request, create)


@router.get("/v1/chats/{conversation_id}", operation_id="get_chat", response_model=schemas.ConversationTree)
async def get_conversation(request: Request, conversation_id: ConversationId) -> JsonResponse:
    """Return a conversation with all messages, the turns that run in it, and its comparisons."""
    services, person = get_services(request), current_person(request)
    turns = services.running_turns.list_for_conversation(conversation_id, person_id=person.id)

    def query(store: Store) -> JsonObject:
        entry = store.history.get_entry(conversation_id, person_id=person.id)
        tree = store.conversations.list_messages(conversation_id, person_id=person.id)
        comparisons = store.comparisons.list_for_conversation(conversation_id, person_id=person.id)
        return views.tree_view(services.running_consensus, services.pool.title, person.id, entry, tree, comparisons, turns)

    return await store_response(request, query)


@router.patch(
    "/v1/chats/{conversation_id}",
    operation_id="change_chat",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ConversationSummary,
)
async def change_conversation(
    request: Request, conversation_id: ConversationId, body: JsonBody[schemas.ConversationChange]
) -> JsonResponse:
    """Rename a conversation, move it to a folder or out of one, choose its model, or switch to another branch."""
    person = current_person(request)

    def change(store: Store) -> JsonObject:
        store.conversations.update(
            conversation_id,
            person_id=person.id,
            title=body.title if body.title is not None else UNCHANGED,
            folder_id=body.folder if "folder" in body.model_fields_set else UNCHANGED,
            leaf_id=body.leaf if body.leaf is not None else UNCHANGED,
            model=(None if body.model == CHAMPION else body.model) if "model" in body.model_fields_set else UNCHANGED,
        )
        return views.summary_view(store.history.get_entry(conversation_id, person_id=person.id))

    return await store_response(request, change)


@router.delete(
    "/v1/chats/{conversation_id}",
    operation_id="delete_chat",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DeletedMessages,
)
async def delete_conversation(request: Request, conversation_id: ConversationId) -> JsonResponse:
    """Delete a conversation and everything that is stored with it. Running turns stop first."""
    services, person = get_services(request), current_person(request)
    await _discard_running_turns(request, conversation_id)

    def delete(_: Store) -> JsonObject:
        deleted = delete_conversation_data(services.running_consensus.log, person.id, conversation_id)
        return _deleted_view(conversation_id, deleted)

    return await store_response(request, delete)


@router.delete(
    "/v1/chats/{conversation_id}/messages/{message_id}",
    operation_id="delete_message",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DeletedMessages,
)
async def delete_message(request: Request, conversation_id: ConversationId, message_id: MessageId) -> JsonResponse:
    """Delete a message and all messages below it, with their samples. Running turns stop first."""
    services, person = get_services(request), current_person(request)
    await _discard_running_turns(request, conversation_id)

    def delete(store: Store) -> JsonObject:
        deleted = store.delete_message(message_id, conversation_id=conversation_id, person_id=person.id)
        services.running_consensus.log.delete_own_texts(person.id, deleted.sample_ids)
        return _deleted_view(message_id, deleted)

    return await store_response(request, delete)


@router.post(
    "/v1/chats/{conversation_id}/messages/{message_id}/edit",
    operation_id="edit_answer",
    dependencies=[require_role("member", scope="feedback")],
    response_model=schemas.EditedMessage,
)
async def edit_answer(
    request: Request, conversation_id: ConversationId, message_id: MessageId, body: JsonBody[schemas.MessageEdit]
) -> JsonResponse:
    """Reword an answer. The new text becomes a branch next to the answer, and an edit in the feedback log."""
    services, person = get_services(request), current_person(request)

    def edit(store: Store) -> JsonObject:
        original = store.conversations.get_message(message_id, conversation_id=conversation_id, person_id=person.id)
        if original.role != "assistant":
            raise BadInput(
                "Only answers can be edited.", advice="To change a question, send a new one with the same parent message."
            )
        if not body.text.strip():
            raise BadInput("The text is empty.", param="text")
        consensus, event_id = services.running_consensus, None
        if original.sample_id is not None:
            event_id = consensus.log.add_edit(person.id, original.sample_id, body.text).id
            consensus.request_run()
        edited = store.conversations.add_message(
            conversation_id,
            person_id=person.id,
            role="assistant",
            content=body.text,
            parent_id=original.parent_id,
            facts={"edit_of": original.id, **({"event": event_id} if event_id else {})},
        )
        return {
            "object": "message.edit",
            "message": views.message_view(edited, services.pool.title, hidden=set()),
            "event": event_id,
        }

    return await store_response(request, edit)


@router.get(
    "/v1/chats/{conversation_id}/messages/{message_id}/attachments/{sha256}",
    operation_id="get_attachment",
    response_description="The file: an image, or bytes to download.",
    responses={200: {"content": file_content("image/*", BINARY_MEDIA_TYPE)}},
)
async def get_attachment(
    request: Request,
    conversation_id: ConversationId,
    message_id: MessageId,
    sha256: Annotated[str, Path(description="SHA-256 of the file, in hexadecimal.")],
) -> Response:
    """Return a file of a message. Browsers display raster images and download everything else."""
    services, person = get_services(request), current_person(request)

    def read() -> tuple[bytes, str]:
        store = services.store
        content = store.attachments.read_content(
            sha256, message_id=message_id, conversation_id=conversation_id, person_id=person.id
        )
        message = store.conversations.get_message(message_id, conversation_id=conversation_id, person_id=person.id)
        names = (attachment.name for attachment in attachments_from_facts(message.facts) if attachment.sha256 == sha256)
        return content, next(names, "")

    content, name = await asyncio.to_thread(read)
    return file_response(request, content, name=name or sha256, etag=sha256)


async def _discard_running_turns(request: Request, conversation_id: str) -> None:
    """Stop the turns of a conversation and forget their events. Raises NotFound for an unknown conversation."""
    services, person = get_services(request), current_person(request)
    await asyncio.to_thread(services.store.conversations.get, conversation_id, person_id=person.id)
    await services.running_turns.discard_conversation(conversation_id, person_id=person.id)


def _deleted_view(object_id: str, deleted: DeletedContent) -> JsonObject:
    num_messages, num_samples = len(deleted.message_ids), len(deleted.sample_ids)
    return {"object": "deleted", "id": object_id, "messages": num_messages, "samples": num_samples}
