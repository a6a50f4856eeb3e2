"""`/v1/conversations`, `/v1/folders` and `/v1/comparisons`: a person's own history, as trees, in folders, found by words.

Whose a conversation is, the store decides. Deleting deletes: messages, samples, blobs, the words of edits and notes on deleted
answers, and what the search index knew of them.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import personal_data as own_data
from yearling.api.conversations import personal_schemas as library_schemas
from yearling.api.conversations import schemas, views
from yearling.api.http.body import read_body
from yearling.api.http.files import file_response
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.services import get_services, store_response
from yearling.errors import BadInput, Conflict
from yearling.feedback import LiveConsensus
from yearling.store import BINARY_MEDIA_TYPE, UNCHANGED, DeletedContent, Store, attachments_from_facts

router = APIRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]
_BINARY = {"type": "string", "format": "binary"}

ConversationLimit = Annotated[int, Query(ge=1, le=200)]
SearchQuery = Annotated[str, Query(max_length=200, description="All of these words occur in a message or in the title.")]


@router.get("/v1/conversations", operation_id="list_conversations", responses=response_docs(schemas.ConversationList))
async def list_conversations(
    request: Request, q: SearchQuery = "", folder: str | None = None, after: str | None = None, limit: ConversationLimit = 50
) -> Response:
    """The asker's conversations, newest activity first; `after` is `next` of the page before."""
    services, person = get_services(request), current_person(request)

    def work(store: Store) -> dict[str, Any]:
        page = store.history.list_page(person.id, query=q, folder_id=folder, cursor=after, limit=limit)
        return {"object": "list", "data": [views.hit_view(entry) for entry in page.entries], "next": page.next_cursor}

    return await store_response(services, work)


@router.post(
    "/v1/conversations",
    operation_id="create_conversation",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.ConversationRequest),
    responses=response_docs(schemas.ConversationSummary),
)
async def create_conversation(request: Request) -> Response:
    """A new conversation, without messages."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ConversationRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        created = store.conversations.create(person.id, body.title, folder_id=body.folder)
        return views.summary_view(store.history.get_entry(created.id, person_id=person.id))

    return await store_response(services, work)


@router.get(
    "/v1/conversations/{conversation_id}", operation_id="get_conversation", responses=response_docs(schemas.ConversationTree)
)
async def get_conversation(request: Request, conversation_id: str) -> Response:
    """The whole tree, with the turns that run in it and the comparisons that wait for a choice."""
    services, person = get_services(request), current_person(request)
    turns = services.running_turns.list_for_conversation(conversation_id, person_id=person.id)

    def work(store: Store) -> dict[str, Any]:
        entry = store.history.get_entry(conversation_id, person_id=person.id)
        tree = store.conversations.list_messages(conversation_id, person_id=person.id)
        comparisons = store.comparisons.list_for_conversation(conversation_id, person_id=person.id)
        return views.tree_view(services.running_consensus, person.id, entry, tree, comparisons, turns)

    return await store_response(services, work)


@router.patch(
    "/v1/conversations/{conversation_id}",
    operation_id="change_conversation",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(schemas.ConversationChange),
    responses=response_docs(schemas.ConversationSummary),
)
async def change_conversation(request: Request, conversation_id: str) -> Response:
    """Rename a conversation, put it into a folder or take it out, or use another of its branches."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ConversationChange, max_bytes=services.settings.max_body_bytes)
    given = body.model_fields_set

    def work(store: Store) -> dict[str, Any]:
        store.conversations.update(
            conversation_id,
            person_id=person.id,
            title=body.title if body.title is not None else UNCHANGED,
            folder_id=body.folder if "folder" in given else UNCHANGED,
            leaf_id=body.leaf if body.leaf is not None else UNCHANGED,
        )
        return views.summary_view(store.history.get_entry(conversation_id, person_id=person.id))

    return await store_response(services, work)


@router.delete(
    "/v1/conversations/{conversation_id}",
    operation_id="delete_conversation",
    dependencies=_REQUIRE_MEMBER,
    responses=response_docs(schemas.DeletedMessages),
)
async def delete_conversation(request: Request, conversation_id: str) -> Response:
    """Delete a conversation with everything that is kept of it. A turn that runs in it is stopped first."""
    services, person = get_services(request), current_person(request)
    await asyncio.to_thread(services.store.conversations.get, conversation_id, person_id=person.id)
    await services.running_turns.discard_conversation(conversation_id, person_id=person.id)

    def work(_: Store) -> dict[str, Any]:
        removed = own_data.delete_conversation(services.running_consensus.log, person.id, conversation_id)
        return _deleted(conversation_id, removed)

    return await store_response(services, work)


@router.delete(
    "/v1/conversations/{conversation_id}/messages/{message_id}",
    operation_id="delete_message",
    dependencies=_REQUIRE_MEMBER,
    responses=response_docs(schemas.DeletedMessages),
)
async def delete_message(request: Request, conversation_id: str, message_id: str) -> Response:
    """Delete a message with everything under it, and the samples of these."""
    services, person = get_services(request), current_person(request)
    await asyncio.to_thread(services.store.conversations.get, conversation_id, person_id=person.id)
    await services.running_turns.discard_conversation(conversation_id, person_id=person.id)

    def work(store: Store) -> dict[str, Any]:
        removed = store.delete_message(message_id, conversation_id=conversation_id, person_id=person.id)
        services.running_consensus.log.delete_own_texts(person.id, removed.sample_ids)
        return _deleted(message_id, removed)

    return await store_response(services, work)


@router.post(
    "/v1/conversations/{conversation_id}/messages/{message_id}/edit",
    operation_id="edit_answer",
    dependencies=[require_role("member", scope="feedback")],
    openapi_extra=json_request_body(schemas.MessageEdit),
    responses=response_docs(schemas.EditedMessage),
)
async def edit_answer(request: Request, conversation_id: str, message_id: str) -> Response:
    """Give an answer better words: a branch beside it, and an edit in the log of feedback, from which it can be retracted."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.MessageEdit, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        old = store.conversations.get_message(message_id, conversation_id=conversation_id, person_id=person.id)
        if old.role != "assistant":
            raise BadInput("Only an answer is edited.", advice="To change a question, send it anew under its parent.")
        if not body.text.strip():
            raise BadInput("The text is empty.", param="text")
        board, event = services.running_consensus, None
        if old.sample_id is not None:
            event = board.log.add_edit(person.id, old.sample_id, body.text).id
            board.request_run()
        facts = {"edit_of": old.id, **({"event": event} if event else {})}
        new = store.conversations.add_message(
            conversation_id,
            person_id=person.id,
            role="assistant",
            content=body.text,
            parent_id=old.parent_id,
            facts=facts,
        )
        return {"object": "message.edit", "message": views.message_view(new, hidden=set()), "event": event}

    return await store_response(services, work)


# Files


@router.get(
    "/v1/conversations/{conversation_id}/messages/{message_id}/attachments/{sha256}",
    operation_id="get_attachment",
    responses=response_docs(schemas.MessageView)
    | {
        200: {
            "description": "The file: an image, or bytes to download.",
            "content": {"image/*": {"schema": _BINARY}, BINARY_MEDIA_TYPE: {"schema": _BINARY}},
        }
    },
)
async def get_attachment(request: Request, conversation_id: str, message_id: str, sha256: str) -> Response:
    """A file that came with a message. Raster images are images; everything else is for saving, whatever it claims to be."""
    services, person = get_services(request), current_person(request)

    def work() -> tuple[bytes, str]:
        store = services.store
        ids = {"message_id": message_id, "conversation_id": conversation_id, "person_id": person.id}
        content = store.attachments.read_content(sha256, **ids)
        message = store.conversations.get_message(message_id, conversation_id=conversation_id, person_id=person.id)
        return content, next((one.name for one in attachments_from_facts(message.facts) if one.sha256 == sha256), "")

    content, name = await asyncio.to_thread(work)
    return file_response(request, content, name=name or sha256, etag=sha256)


# Comparisons


@router.get("/v1/comparisons/{comparison_id}", operation_id="get_comparison", responses=response_docs(schemas.ComparisonView))
async def get_comparison(request: Request, comparison_id: str) -> Response:
    """A comparison; its models are told once a choice was made."""
    services, person = get_services(request), current_person(request)
    return await store_response(services, lambda store: _comparison(store, person.id, comparison_id))


@router.post(
    "/v1/comparisons/{comparison_id}/choice",
    operation_id="choose_answer",
    dependencies=[require_role("member", scope="feedback")],
    openapi_extra=json_request_body(schemas.ChoiceRequest),
    responses=response_docs(schemas.ComparisonView),
)
async def choose_answer(request: Request, comparison_id: str) -> Response:
    """Say which answer is better, as an act in the log of feedback, or skip. Then the models are told."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ChoiceRequest, max_bytes=services.settings.max_body_bytes)

    def work(store: Store) -> dict[str, Any]:
        _choose(store, services.running_consensus, person.id, comparison_id, body)
        return _comparison(store, person.id, comparison_id)

    return await store_response(services, work)


def _choose(store: Store, board: LiveConsensus, person_id: str, comparison_id: str, body: schemas.ChoiceRequest) -> None:
    record = store.comparisons.claim(comparison_id, person_id=person_id)
    if body.outcome == "skip":
        store.comparisons.resolve(comparison_id, person_id=person_id, state="skipped")
        return
    outcome = body.outcome
    try:
        sides = [
            store.conversations.get_message(key, conversation_id=record.conversation_id, person_id=person_id)
            for key in (record.left_id, record.right_id)
        ]
        left, right = (side.sample_id for side in sides)
        if left is None or right is None:
            raise Conflict("Only answers that are kept can be judged.", advice="See the setting `retention`, or skip.")
        event = board.log.compare(person_id, left, right, outcome, tags=body.tags)
    except BaseException:
        store.comparisons.resolve(comparison_id, person_id=person_id, state="open")
        raise
    board.request_run()
    store.comparisons.resolve(comparison_id, person_id=person_id, state="decided", outcome=outcome, event_id=event.id)
    conversation = store.conversations.get(record.conversation_id, person_id=person_id)
    better = record.right_id if outcome == "right" else record.left_id
    if conversation.leaf_id in (record.left_id, record.right_id):
        store.conversations.update(conversation.id, person_id=person_id, leaf_id=better)


def _comparison(store: Store, person_id: str, comparison_id: str) -> dict[str, Any]:
    one = store.comparisons.get(comparison_id, person_id=person_id)
    messages = {
        key: store.conversations.get_message(key, conversation_id=one.conversation_id, person_id=person_id)
        for key in (one.left_id, one.right_id)
    }
    return views.comparison_view(one, messages)


# Folders


@router.get("/v1/folders", operation_id="list_folders", responses=response_docs(library_schemas.FolderList))
async def list_folders(request: Request) -> Response:
    """The asker's folders, by name."""
    services, person = get_services(request), current_person(request)
    return await store_response(
        services, lambda store: {"object": "list", "data": [views.folder_view(one) for one in store.folders.list(person.id)]}
    )


@router.post(
    "/v1/folders",
    operation_id="create_folder",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(library_schemas.FolderRequest),
    responses=response_docs(library_schemas.FolderView),
)
async def create_folder(request: Request) -> Response:
    """A new folder."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, library_schemas.FolderRequest, max_bytes=services.settings.max_body_bytes)
    return await store_response(services, lambda store: views.folder_view(store.folders.create(person.id, body.name)))


@router.patch(
    "/v1/folders/{folder_id}",
    operation_id="rename_folder",
    dependencies=_REQUIRE_MEMBER,
    openapi_extra=json_request_body(library_schemas.FolderRequest),
    responses=response_docs(library_schemas.FolderView),
)
async def rename_folder(request: Request, folder_id: str) -> Response:
    """Give a folder another name."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, library_schemas.FolderRequest, max_bytes=services.settings.max_body_bytes)
    return await store_response(
        services, lambda store: views.folder_view(store.folders.rename(folder_id, body.name, person_id=person.id))
    )


@router.delete(
    "/v1/folders/{folder_id}",
    operation_id="delete_folder",
    dependencies=_REQUIRE_MEMBER,
    responses=response_docs(library_schemas.FolderView),
)
async def delete_folder(request: Request, folder_id: str) -> Response:
    """Delete a folder; the conversations in it stay."""
    services, person = get_services(request), current_person(request)

    def work(store: Store) -> dict[str, Any]:
        folder = store.folders.get(folder_id, person_id=person.id)
        store.folders.delete(folder_id, person_id=person.id)
        return views.folder_view(folder)

    return await store_response(services, work)


# What all of them share


def _deleted(what: str, removed: DeletedContent) -> dict[str, Any]:
    return {"object": "deleted", "id": what, "messages": len(removed.message_ids), "samples": len(removed.sample_ids)}
