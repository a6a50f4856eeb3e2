"""Files, vector stores and what a search found, as OpenAI's API shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from yearling.api.http.json_response import JsonObject
from yearling.api.openai_files.ids import public_id
from yearling.retrieval import SearchResult
from yearling.store import Attributes, CollectedFile, Document, FileBatch, FileCollection, FileCounts

_FILE_STATUS = {"waiting": "uploaded", "indexed": "processed", "failed": "error"}
_COLLECTED_STATUS = {"waiting": "in_progress", "indexed": "completed", "failed": "failed"}


def file_view(document: Document) -> JsonObject:
    """A `FileObject`."""
    return {
        "id": public_id("file-", document.id),
        "object": "file",
        "bytes": document.version.size_bytes,
        "created_at": int(document.created_utc.timestamp()),
        "expires_at": None,
        "filename": document.name,
        "purpose": "user_data",
        "status": _FILE_STATUS[document.version.state],
        "status_details": document.version.reason or None,
    }


def vector_store_view(collection: FileCollection) -> JsonObject:
    """A `VectorStoreObject`."""
    return {
        "id": public_id("vs_", collection.id),
        "object": "vector_store",
        "created_at": int(collection.created_utc.timestamp()),
        "last_active_at": int(collection.updated_utc.timestamp()),
        "name": collection.name,
        "description": collection.description,
        "metadata": collection.metadata,
        "status": "in_progress" if collection.counts.waiting else "completed",
        "usage_bytes": collection.counts.size_bytes,
        "file_counts": _counts_view(collection.counts),
        "expires_after": None,
        "expires_at": None,
    }


def collected_file_view(file: CollectedFile) -> JsonObject:
    """A `VectorStoreFileObject`."""
    version = file.document.version
    error = {"code": "unsupported_file", "message": version.reason} if version.state == "failed" else None
    return {
        "id": public_id("file-", file.document.id),
        "object": "vector_store.file",
        "created_at": int(file.added_utc.timestamp()),
        "vector_store_id": public_id("vs_", file.collection_id),
        "status": _COLLECTED_STATUS[version.state],
        "usage_bytes": version.size_bytes,
        "last_error": error,
        "attributes": file.attributes,
        "chunking_strategy": {"type": "other"},
    }


def batch_view(batch: FileBatch) -> JsonObject:
    """A `VectorStoreFileBatchObject`."""
    return {
        "id": public_id("vsfb_", batch.id),
        "object": "vector_store.files_batch",
        "created_at": int(batch.created_utc.timestamp()),
        "vector_store_id": public_id("vs_", batch.collection_id),
        "status": "in_progress" if batch.counts.waiting else "completed",
        "file_counts": _counts_view(batch.counts),
    }


def page_view(items: Sequence[JsonObject], limit: int) -> JsonObject:
    """A page of a list, from one item more than it may hold."""
    page = list(items[:limit])
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > limit,
    }


def search_view(
    queries: Sequence[str], result: SearchResult, attributes: Mapping[str, Attributes], names: Mapping[str, str]
) -> JsonObject:
    """A `VectorStoreSearchPage`. `names` are those of the documents that are still there."""
    hits = [
        {
            "file_id": public_id("file-", hit.document_id),
            "filename": names[hit.document_id],
            # Of no scale, since scores of two searches cannot be compared: only the order means something.
            "score": 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, hit.score)))),
            "attributes": attributes.get(hit.document_id, {}),
            "content": [{"type": "text", "text": hit.text}],
        }
        for hit in result.hits
        if hit.document_id in names
    ]
    return {
        "object": "vector_store.search_results.page",
        "search_query": list(queries),
        "data": hits,
        "has_more": False,
        "next_page": None,
    }


def _counts_view(counts: FileCounts) -> JsonObject:
    return {
        "in_progress": counts.waiting,
        "completed": counts.indexed,
        "failed": counts.failed,
        "cancelled": 0,
        "total": counts.total,
    }
