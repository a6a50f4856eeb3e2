"""The routes of documents, for the suites that call every route. Ada's document is in one of her folders."""

from __future__ import annotations

from tests.api.route_record import Ids, Route, route


def _search(ids: Ids) -> dict[str, object]:
    return {"query": "Words", "folder": ids["folder"]}


DOCUMENT_ROUTES: tuple[Route, ...] = (
    route("GET /v1/documents", "mine", "reader", "read"),
    route(
        "POST /v1/documents",
        "owned",
        "member",
        "chat",
        at="/v1/documents?name=new.txt&folder={folder}",
        file=b"Words of a document.",
    ),
    route("POST /v1/documents/search", "owned", "reader", "read", _search),
    route("GET /v1/documents/{document_id}", "owned", "reader", "read", at="/v1/documents/{document}"),
    route("GET /v1/documents/{document_id}/versions", "owned", "reader", "read", at="/v1/documents/{document}/versions"),
    route("GET /v1/documents/{document_id}/content", "owned", "reader", "read", at="/v1/documents/{document}/content"),
    route("GET /v1/documents/{document_id}/text", "owned", "reader", "read", at="/v1/documents/{document}/text"),
    route("POST /v1/documents/{document_id}/retry", "owned", "member", "chat", at="/v1/documents/{document}/retry"),
    route(
        "PATCH /v1/documents/{document_id}",
        "owned",
        "member",
        "chat",
        lambda ids: {"name": "renamed.txt"},
        at="/v1/documents/{document}",
    ),
    route("DELETE /v1/documents/{document_id}", "owned", "member", "chat", at="/v1/documents/{document}"),
)
