"""`/v1/vector_stores`: OpenAI's Vector Stores API. A vector store is a named collection of files of the caller's library.

A file is read once, however many vector stores it is in. Vector stores are visible to their person only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.openai_files import vector_store_schemas as schemas
from yearling.api.openai_files.filters import passes
from yearling.api.openai_files.ids import record_id
from yearling.api.openai_files.views import batch_view, collected_file_view, page_view, search_view, vector_store_view
from yearling.api.services import get_services, store_response
from yearling.store import Attributes, DocumentState, SearchScope, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]
_STATES: dict[str, DocumentState] = {"in_progress": "waiting", "completed": "indexed", "failed": "failed"}

VectorStoreId = Annotated[str, Path(description="ID of the vector store.")]
FileId = Annotated[str, Path(description="ID of the file.")]
BatchId = Annotated[str, Path(description="ID of the batch.")]
After = Annotated[str | None, Query(max_length=64, description="ID of the last object of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of objects.")]
Order = Annotated[Literal["asc", "desc"], Query(description="`desc` lists the newest objects first.")]


@router.post(
    "/v1/vector_stores",
    operation_id="create_vector_store",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.VectorStoreObject,
)
async def create_vector_store(request: Request, body: JsonBody[schemas.NewVectorStore]) -> JsonResponse:
    """Create a vector store, with files of the caller's library or without."""
    files: dict[str, Attributes] = {record_id("file-", file_id): {} for file_id in body.file_ids or ()}

    def create(store: Store, person_id: str) -> JsonObject:
        created = store.file_collections.create(
            person_id, name=body.name or "", description=body.description or "", metadata=body.metadata, files=files
        )
        return vector_store_view(created)

    return await _respond(request, create)


@router.get("/v1/vector_stores", operation_id="list_vector_stores", response_model=schemas.VectorStoreList)
async def list_vector_stores(request: Request, after: After = None, limit: Limit = 20, order: Order = "desc") -> JsonResponse:
    """List the caller's vector stores."""
    behind = None if after is None else record_id("vs_", after)

    def query(store: Store, person_id: str) -> JsonObject:
        found = store.file_collections.list(person_id, after=behind, limit=limit + 1, newest_first=order == "desc")
        return page_view([vector_store_view(each) for each in found], limit)

    return await _respond(request, query)


@router.get("/v1/vector_stores/{vector_store_id}", operation_id="get_vector_store", response_model=schemas.VectorStoreObject)
async def get_vector_store(request: Request, vector_store_id: VectorStoreId) -> JsonResponse:
    """Get a vector store."""
    key = record_id("vs_", vector_store_id)
    return await _respond(request, lambda store, person: vector_store_view(store.file_collections.get(key, person_id=person)))


@router.post(
    "/v1/vector_stores/{vector_store_id}",
    operation_id="update_vector_store",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.VectorStoreObject,
)
async def update_vector_store(
    request: Request, vector_store_id: VectorStoreId, body: JsonBody[schemas.VectorStoreChange]
) -> JsonResponse:
    """Change the name or the metadata of a vector store."""
    key = record_id("vs_", vector_store_id)

    def update(store: Store, person_id: str) -> JsonObject:
        changed = store.file_collections.update(key, person_id=person_id, name=body.name, metadata=body.metadata)
        return vector_store_view(changed)

    return await _respond(request, update)


@router.delete(
    "/v1/vector_stores/{vector_store_id}",
    operation_id="delete_vector_store",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DeletedVectorStore,
)
async def delete_vector_store(request: Request, vector_store_id: VectorStoreId) -> JsonResponse:
    """Delete a vector store. Its files stay in the library."""
    key = record_id("vs_", vector_store_id)

    def delete(store: Store, person_id: str) -> JsonObject:
        store.file_collections.delete(key, person_id=person_id)
        return {"id": vector_store_id, "object": "vector_store.deleted", "deleted": True}

    return await _respond(request, delete)


@router.post(
    "/v1/vector_stores/{vector_store_id}/search",
    operation_id="search_vector_store",
    response_model=schemas.VectorStoreSearchPage,
)
async def search_vector_store(
    request: Request, vector_store_id: VectorStoreId, body: JsonBody[schemas.VectorStoreSearch]
) -> JsonResponse:
    """Find the passages of a vector store that match a question best, by words and by meaning."""
    services, person, key = get_services(request), current_person(request), record_id("vs_", vector_store_id)
    queries = [body.query] if isinstance(body.query, str) else body.query
    attributes = await asyncio.to_thread(services.store.file_collections.attributes_of, key, person_id=person.id)
    wanted = None
    if body.filters is not None:
        wanted = frozenset(document_id for document_id, own in attributes.items() if passes(own, body.filters))
    scope = SearchScope(person_id=person.id, with_everybody=False, file_collection_ids=frozenset({key}), document_ids=wanted)
    index = await services.documents.prepare_search()
    result = await index.search("\n".join(queries), scope=scope, limit=body.max_num_results)

    def view(store: Store) -> JsonObject:
        found = {hit.document_id for hit in result.hits}
        return search_view(queries, result, attributes, store.documents.names_of(found, person_id=person.id))

    return await store_response(request, view)


@router.post(
    "/v1/vector_stores/{vector_store_id}/files",
    operation_id="create_vector_store_file",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.VectorStoreFileObject,
)
async def create_vector_store_file(
    request: Request, vector_store_id: VectorStoreId, body: JsonBody[schemas.NewVectorStoreFile]
) -> JsonResponse:
    """Add a file of the caller's library to a vector store; one that is in it gets the new attributes."""
    key, file_key = record_id("vs_", vector_store_id), record_id("file-", body.file_id)

    def add(store: Store, person_id: str) -> JsonObject:
        store.file_collections.add_files(key, {file_key: body.attributes or {}}, person_id=person_id)
        return collected_file_view(store.file_collections.get_file(key, file_key, person_id=person_id))

    return await _respond(request, add)


@router.get(
    "/v1/vector_stores/{vector_store_id}/files",
    operation_id="list_vector_store_files",
    response_model=schemas.VectorStoreFileList,
)
async def list_vector_store_files(
    request: Request,
    vector_store_id: VectorStoreId,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
    state: Annotated[
        Literal["in_progress", "completed", "failed", "cancelled"] | None,
        Query(alias="filter", description="Only files in this state. None is ever `cancelled`."),
    ] = None,
) -> JsonResponse:
    """List the files of a vector store, by the time of their upload."""
    key = record_id("vs_", vector_store_id)
    behind = None if after is None else record_id("file-", after)

    def query(store: Store, person_id: str) -> JsonObject:
        found = store.file_collections.list_files(
            key,
            person_id=person_id,
            state=None if state is None else _STATES.get(state),
            after=behind,
            limit=0 if state == "cancelled" else limit + 1,
            newest_first=order == "desc",
        )
        return page_view([collected_file_view(each) for each in found], limit)

    return await _respond(request, query)


@router.get(
    "/v1/vector_stores/{vector_store_id}/files/{file_id}",
    operation_id="get_vector_store_file",
    response_model=schemas.VectorStoreFileObject,
)
async def get_vector_store_file(request: Request, vector_store_id: VectorStoreId, file_id: FileId) -> JsonResponse:
    """Get a file of a vector store."""
    key, file_key = record_id("vs_", vector_store_id), record_id("file-", file_id)
    return await _respond(
        request,
        lambda store, person: collected_file_view(store.file_collections.get_file(key, file_key, person_id=person)),
    )


@router.delete(
    "/v1/vector_stores/{vector_store_id}/files/{file_id}",
    operation_id="delete_vector_store_file",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.DeletedVectorStoreFile,
)
async def delete_vector_store_file(request: Request, vector_store_id: VectorStoreId, file_id: FileId) -> JsonResponse:
    """Take a file out of a vector store. The file itself stays."""
    key, file_key = record_id("vs_", vector_store_id), record_id("file-", file_id)

    def remove(store: Store, person_id: str) -> JsonObject:
        store.file_collections.remove_file(key, file_key, person_id=person_id)
        return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}

    return await _respond(request, remove)


@router.post(
    "/v1/vector_stores/{vector_store_id}/file_batches",
    operation_id="create_vector_store_file_batch",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.VectorStoreFileBatchObject,
)
async def create_vector_store_file_batch(
    request: Request, vector_store_id: VectorStoreId, body: JsonBody[schemas.NewFileBatch]
) -> JsonResponse:
    """Add files of the caller's library to a vector store, all or none."""
    if (body.file_ids is None) == (body.files is None):
        raise ApiError(400, "Give either file_ids or files.", param="file_ids", code="invalid_value")
    key = record_id("vs_", vector_store_id)
    files: dict[str, Attributes] = {record_id("file-", each): body.attributes or {} for each in body.file_ids or ()}
    files |= {record_id("file-", each.file_id): each.attributes or {} for each in body.files or ()}
    return await _respond(
        request, lambda store, person: batch_view(store.file_collections.add_files(key, files, person_id=person))
    )


@router.get(
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}",
    operation_id="get_vector_store_file_batch",
    response_model=schemas.VectorStoreFileBatchObject,
)
async def get_vector_store_file_batch(request: Request, vector_store_id: VectorStoreId, batch_id: BatchId) -> JsonResponse:
    """Get a batch, with how many of its files are in each state."""
    key, batch_key = record_id("vs_", vector_store_id), record_id("vsfb_", batch_id)
    return await _respond(
        request, lambda store, person: batch_view(store.file_collections.get_batch(key, batch_key, person_id=person))
    )


async def _respond(request: Request, query: Callable[[Store, str], JsonObject]) -> JsonResponse:
    person = current_person(request)
    return await store_response(request, lambda store: query(store, person.id))
