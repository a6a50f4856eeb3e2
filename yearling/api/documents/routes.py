"""`/v1/documents`: add files, list, rename and delete them, read their texts, and search.

A document belongs to a conversation, to a folder, or to everybody here, which only maintainers may change. A new file is found by
its words as soon as it is read, in the background, and by meaning afterwards.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.documents import schemas, views
from yearling.api.http.body import JsonBody, receive_body
from yearling.api.http.errors import ApiError
from yearling.api.http.files import file_response
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, file_body, file_content
from yearling.api.services import get_services, store_response
from yearling.errors import BadInput
from yearling.store import MAX_DOCUMENT_NAME_CHARS, Document, DocumentPlace, SearchScope, Span, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]
_MAX_PART_CHARS = 200_000

DocumentId = Annotated[str, Path(description="ID of the document.")]
ConversationId = Annotated[str | None, Query(max_length=64, description="ID of the conversation that it is for.")]
FolderId = Annotated[str | None, Query(max_length=64, description="ID of the folder that it is for.")]
TextHash = Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="The version, by the SHA-256 of its text.")]


@router.get("/v1/documents", operation_id="list_documents", response_model=schemas.DocumentList)
async def list_documents(
    request: Request,
    conversation: ConversationId = None,
    folder: FolderId = None,
    everybody: Annotated[bool, Query(description="List only documents for everybody.")] = False,
    search: Annotated[str, Query(max_length=200, description="Only documents whose names contain this.")] = "",
    after: Annotated[str | None, Query(max_length=64, description="Cursor: the field `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of documents.")] = 50,
) -> JsonResponse:
    """List the documents that the caller may see, newest first: all of them, or those of one place."""
    services, person = get_services(request), current_person(request)
    is_placed = everybody or conversation is not None or folder is not None
    place = DocumentPlace(conversation_id=conversation, folder_id=folder) if is_placed else None
    waiting = await services.documents.index.count_missing()

    def query(store: Store) -> JsonObject:
        found = store.documents.list(person.id, place=place, search=search, limit=limit + 1, before=after)
        return {
            "object": "list",
            "data": [views.document_view(document, person.id) for document in found[:limit]],
            "next": found[limit - 1].id if len(found) > limit else None,
            "waiting_for_meaning": waiting,
        }

    return await store_response(request, query)


@router.post(
    "/v1/documents",
    operation_id="add_document",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.AddedDocumentView,
    openapi_extra=file_body("application/octet-stream"),
)
async def add_document(
    request: Request,
    name: Annotated[
        str, Query(min_length=1, max_length=MAX_DOCUMENT_NAME_CHARS, description="Name of the file, with its ending.")
    ],
    conversation: ConversationId = None,
    folder: FolderId = None,
) -> JsonResponse:
    """Add a file: to a conversation, to a folder, or, with neither, for everybody.

    The body is the file itself. It is read in the background; `version.state` of the document says when that is done. The same
    content in the same place is not added twice, and another content under the same name is a new version.
    """
    services, person = get_services(request), current_person(request)
    place = DocumentPlace(conversation_id=conversation, folder_id=folder)
    with tempfile.TemporaryDirectory() as temporary:
        path = FilePath(temporary) / "file"
        with path.open("wb") as file:
            size_bytes = await receive_body(request, file.write, max_bytes=services.settings.max_document_bytes, name="file")
        if not size_bytes:
            raise ApiError(400, "The file is empty.", code="invalid_value")
        added = await asyncio.to_thread(services.store.documents.add, person.id, name, path, place=place)
    services.documents.wake()
    return JsonResponse(views.added_view(added, person.id))


@router.post("/v1/documents/search", operation_id="search_documents", response_model=schemas.DocumentSearchView)
async def search_documents(request: Request, body: JsonBody[schemas.DocumentSearchRequest]) -> JsonResponse:
    """Find the passages that match a question best, by words and by meaning."""
    services, person = get_services(request), current_person(request)
    scope = SearchScope(
        person_id=person.id,
        conversation_id=body.conversation,
        folder_id=body.folder,
        with_everybody=body.everybody,
        document_ids=None if body.documents is None else frozenset(body.documents),
    )
    index = await services.documents.prepare_search()
    result = await index.search(body.query, scope=scope, limit=body.limit)
    return await store_response(request, lambda store: views.search_view(store, result, person.id))


@router.get("/v1/documents/{document_id}", operation_id="get_document", response_model=schemas.DocumentView)
async def get_document(request: Request, document_id: DocumentId) -> JsonResponse:
    """Get a document."""
    return await _respond(request, lambda store, person: views.document_view(_get(store, document_id, person), person))


@router.get(
    "/v1/documents/{document_id}/versions", operation_id="list_document_versions", response_model=schemas.DocumentVersionList
)
async def list_document_versions(request: Request, document_id: DocumentId) -> JsonResponse:
    """List the versions of a document, newest first."""

    def query(store: Store, person_id: str) -> JsonObject:
        versions = store.documents.list_versions(document_id, person_id=person_id)
        return {"object": "list", "data": [views.version_view(version) for version in versions]}

    return await _respond(request, query)


@router.patch(
    "/v1/documents/{document_id}",
    operation_id="rename_document",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DocumentView,
)
async def rename_document(request: Request, document_id: DocumentId, body: JsonBody[schemas.DocumentChange]) -> JsonResponse:
    """Rename a document."""
    return await _respond(
        request,
        lambda store, person: views.document_view(store.documents.rename(document_id, body.name, person_id=person), person),
    )


@router.post(
    "/v1/documents/{document_id}/retry",
    operation_id="retry_document",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DocumentView,
)
async def retry_document(request: Request, document_id: DocumentId) -> JsonResponse:
    """Read the newest version of a document again, after it failed."""
    response = await _respond(
        request, lambda store, person: views.document_view(store.documents.retry(document_id, person_id=person), person)
    )
    get_services(request).documents.wake()
    return response


@router.get("/v1/documents/{document_id}/text", operation_id="get_document_text", response_model=schemas.DocumentTextView)
async def get_document_text(
    request: Request,
    document_id: DocumentId,
    version: TextHash = None,
    start: Annotated[int, Query(ge=0, description="Begin of the part, in Unicode code points.")] = 0,
    end: Annotated[int | None, Query(ge=0, description="End of the part; default: as much as one answer holds.")] = None,
) -> JsonResponse:
    """Get a part of the text of a document, at most 200,000 characters, with where it stood in the file."""

    def query(store: Store, person_id: str) -> JsonObject:
        text = store.documents.read_text(document_id, version, person_id=person_id)
        stop = min(len(text.text), start + _MAX_PART_CHARS, len(text.text) if end is None else end)
        if start > len(text.text) or stop < start:
            raise BadInput(f"The text has {len(text.text):,} characters.", advice="Ask for a range within it.", param="start")
        return views.text_view(document_id, text, Span(start, stop))

    return await _respond(request, query)


@router.get(
    "/v1/documents/{document_id}/content",
    operation_id="get_document_content",
    responses={200: {"description": "The file as it was added.", "content": file_content("application/octet-stream")}},
)
async def get_document_content(
    request: Request,
    document_id: DocumentId,
    version: Annotated[
        str | None, Query(pattern="^[0-9a-f]{64}$", description="The version, by the SHA-256 of the file.")
    ] = None,
) -> Response:
    """Get the file of a document: of the newest version, or of another one."""
    services, person = get_services(request), current_person(request)

    def read() -> tuple[str, str, bytes]:
        document = _get(services.store, document_id, person.id)
        sha256 = version or document.version.content_sha256
        return document.name, sha256, services.store.documents.read_content(document_id, sha256, person_id=person.id)

    name, sha256, content = await asyncio.to_thread(read)
    return file_response(request, content, name=os.path.basename(name), etag=sha256)


@router.delete(
    "/v1/documents/{document_id}",
    operation_id="delete_document",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DocumentView,
)
async def delete_document(request: Request, document_id: DocumentId) -> JsonResponse:
    """Delete a document with all versions and texts. Search no longer finds it."""

    def delete(store: Store, person_id: str) -> JsonObject:
        view = views.document_view(_get(store, document_id, person_id), person_id)
        store.documents.delete(document_id, person_id=person_id)
        return view

    return await _respond(request, delete)


def _get(store: Store, document_id: str, person_id: str) -> Document:
    return store.documents.get(document_id, person_id=person_id)


async def _respond(request: Request, query: Callable[[Store, str], JsonObject]) -> JsonResponse:
    person = current_person(request)
    return await store_response(request, lambda store: query(store, person.id))
