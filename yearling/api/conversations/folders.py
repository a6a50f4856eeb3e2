"""`/v1/folders`: folders for conversations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import schemas
from yearling.api.conversations.views import folder_view
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.services import store_response
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]

FolderId = Annotated[str, Path(description="ID of the folder.")]


@router.get("/v1/folders", operation_id="list_folders", response_model=schemas.FolderList)
async def list_folders(request: Request) -> JsonResponse:
    """List the caller's folders, by name."""
    person = current_person(request)

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [folder_view(folder) for folder in store.folders.list(person.id)]}

    return await store_response(request, query)


@router.post("/v1/folders", operation_id="create_folder", dependencies=_REQUIRE_MEMBER, response_model=schemas.FolderView)
async def create_folder(request: Request, body: JsonBody[schemas.FolderRequest]) -> JsonResponse:
    """Create a folder."""
    person = current_person(request)
    return await store_response(request, lambda store: folder_view(store.folders.create(person.id, body.name)))


@router.patch(
    "/v1/folders/{folder_id}", operation_id="rename_folder", dependencies=_REQUIRE_MEMBER, response_model=schemas.FolderView
)
async def rename_folder(request: Request, folder_id: FolderId, body: JsonBody[schemas.FolderRequest]) -> JsonResponse:
    """Rename a folder."""
    person = current_person(request)
    return await store_response(
        request, lambda store: folder_view(store.folders.rename(folder_id, body.name, person_id=person.id))
    )


@router.delete(
    "/v1/folders/{folder_id}", operation_id="delete_folder", dependencies=_REQUIRE_MEMBER, response_model=schemas.FolderView
)
async def delete_folder(request: Request, folder_id: FolderId) -> JsonResponse:
    """Delete a folder. The conversations in it stay."""
    person = current_person(request)

    def delete(store: Store) -> JsonObject:
        folder = store.folders.get(folder_id, person_id=person.id)
        store.delete_folder(folder_id, person_id=person.id)
        return folder_view(folder)

    return await store_response(request, delete)
