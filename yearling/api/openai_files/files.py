"""`/v1/files`: OpenAI's Files API over the documents of the caller's library.

A file is a document, so its ID works at `/v1/documents` too, and a citation's `file_id` works here. The same content is not kept
twice, and another content under the same name is a new version of the file, which keeps its ID.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.errors import ApiError
from yearling.api.http.files import file_response
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.multipart import read_upload_form
from yearling.api.http.router import ApiRouter, file_content
from yearling.api.openai_files import file_schemas as schemas
from yearling.api.openai_files.ids import record_id
from yearling.api.openai_files.views import file_view, page_view
from yearling.api.services import get_services, store_response
from yearling.store import MAX_DOCUMENT_NAME_CHARS, DocumentPlace, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]
_PURPOSES = ("assistants", "user_data")
_FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The file, with its name."},
        "purpose": {"type": "string", "enum": list(_PURPOSES), "description": "Both mean the same here: to be searched."},
    },
    "required": ["file", "purpose"],
}

FileId = Annotated[str, Path(description="ID of the file.")]


@router.post(
    "/v1/files",
    operation_id="upload_file",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.FileObject,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def upload_file(request: Request) -> JsonResponse:
    """Upload a file to the caller's library, where only they can find it. It is read in the background."""
    services, person = get_services(request), current_person(request)
    with tempfile.TemporaryDirectory() as temporary:
        path = FilePath(temporary) / "file"
        with path.open("wb") as file:
            form = await read_upload_form(
                request, file.write, file_field="file", max_file_bytes=services.settings.max_document_bytes
            )
        if unknown := sorted(form.fields.keys() - {"purpose"}):
            raise ApiError(400, f"The field {unknown[0][:100]} is not supported.", param=unknown[0][:100], code="unsupported")
        if form.fields.get("purpose") not in _PURPOSES:
            raise ApiError(400, f"The purpose must be {' or '.join(_PURPOSES)}.", param="purpose", code="invalid_value")
        if not form.size_bytes:
            raise ApiError(400, "The form has no file, or an empty one.", param="file", code="invalid_value")
        name = os.path.basename(form.file_name.replace("\\", "/")) or "file"
        place = DocumentPlace(library_of=person.id)
        added = await asyncio.to_thread(
            services.store.documents.add, person.id, name[-MAX_DOCUMENT_NAME_CHARS:], path, place=place
        )
    services.documents.wake()
    return JsonResponse(file_view(added.document))


@router.get("/v1/files", operation_id="list_files", response_model=schemas.FileList)
async def list_files(
    request: Request,
    after: Annotated[str | None, Query(max_length=64, description="ID of the last file of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Maximum number of files.")] = 10_000,
    order: Annotated[Literal["asc", "desc"], Query(description="`desc` lists the newest files first.")] = "desc",
    purpose: Annotated[
        str | None,
        Query(max_length=64, description="Only files of this purpose. No file has another one than those of uploads."),
    ] = None,
) -> JsonResponse:
    """List the files of the caller's library."""
    person = current_person(request)
    behind = None if after is None else record_id("file-", after)

    def query(store: Store) -> JsonObject:
        if purpose is not None and purpose not in _PURPOSES:
            return page_view([], limit)
        found = store.documents.list(
            person.id,
            place=DocumentPlace(library_of=person.id),
            before=behind,
            limit=limit + 1,
            newest_first=order == "desc",
        )
        return page_view([file_view(document) for document in found], limit)

    return await store_response(request, query)


@router.get("/v1/files/{file_id}", operation_id="get_file", response_model=schemas.FileObject)
async def get_file(request: Request, file_id: FileId) -> JsonResponse:
    """Get a file: one of the library, or any other document that the caller may see."""
    person, key = current_person(request), record_id("file-", file_id)
    return await store_response(request, lambda store: file_view(store.documents.get(key, person_id=person.id)))


@router.get(
    "/v1/files/{file_id}/content",
    operation_id="get_file_content",
    responses={200: {"description": "The file as it was uploaded.", "content": file_content("application/octet-stream")}},
)
async def get_file_content(request: Request, file_id: FileId) -> Response:
    """Get the content of a file."""
    services, person, key = get_services(request), current_person(request), record_id("file-", file_id)

    def read() -> tuple[str, str, bytes]:
        document = services.store.documents.get(key, person_id=person.id)
        sha256 = document.version.content_sha256
        return document.name, sha256, services.store.documents.read_content(key, sha256, person_id=person.id)

    name, sha256, content = await asyncio.to_thread(read)
    return file_response(request, content, name=os.path.basename(name), etag=sha256)


@router.delete(
    "/v1/files/{file_id}", operation_id="delete_file", dependencies=_REQUIRE_MEMBER, response_model=schemas.DeletedFile
)
async def delete_file(request: Request, file_id: FileId) -> JsonResponse:
    """Delete a file with its text, also from all vector stores."""
    person, key = current_person(request), record_id("file-", file_id)

    def delete(store: Store) -> JsonObject:
        store.documents.delete(key, person_id=person.id)
        return {"id": file_id, "object": "file", "deleted": True}

    return await store_response(request, delete)
