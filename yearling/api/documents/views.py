"""Documents as the API shows them."""

from __future__ import annotations

from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc
from yearling.errors import NotFound, Untrusted
from yearling.retrieval import Hit, SearchResult
from yearling.store import AddedDocument, CanonicalText, Document, DocumentVersion, Location, Span, Store, locations_of


def version_view(version: DocumentVersion) -> JsonObject:
    """A `DocumentVersionView`."""
    changes = version.changes
    return {
        "object": "document.version",
        "id": version.id,
        "state": version.state,
        "reason": version.reason,
        "content": version.content_sha256,
        "text": version.text_sha256,
        "size_bytes": version.size_bytes,
        "media_type": version.media_type,
        "title": version.title,
        "characters": version.num_chars,
        "pages": version.num_pages,
        "passages": version.num_passages,
        "warnings": list(version.warnings),
        "changes": None if changes is None else {"added": changes.num_added, "removed": changes.num_removed},
        "created": format_utc(version.created_utc),
    }


def document_view(document: Document, person_id: str) -> JsonObject:
    """A `DocumentView` for a person."""
    return {
        "object": "document",
        "id": document.id,
        "name": document.name,
        "scope": document.scope,
        "conversation": document.conversation_id,
        "folder": document.folder_id,
        "mine": document.person_id == person_id,
        "version": version_view(document.version),
        "searchable": document.searched_version_id is not None,
        "created": format_utc(document.created_utc),
        "updated": format_utc(document.updated_utc),
    }


def added_view(added: AddedDocument, person_id: str) -> JsonObject:
    """An `AddedDocumentView`."""
    return {
        "object": "document.added",
        "document": document_view(added.document, person_id),
        "duplicate": added.is_duplicate,
        "new_version": added.is_new_version,
    }


def location_view(location: Location) -> JsonObject:
    """A `LocationView`."""
    return {
        "start": location.start,
        "end": location.end,
        "page": location.page,
        "box": None if location.box is None else list(location.box),
        "t0": location.t0_s,
        "t1": location.t1_s,
        "label": location.label,
    }


def text_view(document_id: str, text: CanonicalText, span: Span) -> JsonObject:
    """A `DocumentTextView` of a part."""
    return {
        "object": "document.text",
        "document": document_id,
        "text_sha256": text.sha256,
        "start": span.start,
        "text": text.text[span.start : span.end],
        "characters": len(text.text),
        "locations": [location_view(location) for location in locations_of(span, text.locations)],
    }


def search_view(store: Store, result: SearchResult, person_id: str) -> JsonObject:
    """A `DocumentSearchView`."""
    texts: dict[str, CanonicalText] = {}
    hits = []
    for hit in result.hits:
        try:
            if hit.text_sha256 not in texts:
                texts[hit.text_sha256] = store.documents.read_text(hit.document_id, hit.text_sha256, person_id=person_id)
        except (NotFound, Untrusted):
            continue  # deleted since it was found, or damaged
        hits.append(_hit_view(hit, texts[hit.text_sha256]))
    return {
        "object": "document.search",
        "data": hits,
        "score": result.score,
        "is_in_documents": result.is_in_documents,
        "by_meaning": result.by_meaning,
    }


def _hit_view(hit: Hit, text: CanonicalText) -> JsonObject:
    location = next(iter(locations_of(hit.span, text.locations)), None)
    return {
        "document": hit.document_id,
        "title": hit.title,
        "text_sha256": hit.text_sha256,
        "start": hit.span.start,
        "end": hit.span.end,
        "text": hit.text,
        "score": hit.score,
        "page": location.page if location else None,
        "label": location.label if location else "",
    }
