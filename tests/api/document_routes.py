"""The routes of documents, for the suites that call every route.

Ada's document is in one of her folders; her files are in her library, and in a vector store of hers.
"""

from __future__ import annotations

from tests.api.route_record import Ids, Route, route

_STORE = "/v1/vector_stores/{vector_store}"
FORM = (
    b'--edge\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--edge\r\ncontent-disposition: form-data; name="file"; filename="new.txt"\r\n\r\nWords.\r\n--edge--\r\n'
)


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
    # Files and vector stores of OpenAI's API
    route("POST /v1/files", "mine", "member", "chat", file=FORM, media_type="multipart/form-data; boundary=edge"),
    route("GET /v1/files", "mine", "reader", "read"),
    route("GET /v1/files/{file_id}", "owned", "reader", "read", at="/v1/files/{library_file}"),
    route("GET /v1/files/{file_id}/content", "owned", "reader", "read", at="/v1/files/{library_file}/content"),
    route("POST /v1/vector_stores", "owned", "member", "chat", lambda ids: {"file_ids": [ids["library_file"]]}),
    route("GET /v1/vector_stores", "mine", "reader", "read"),
    route("GET /v1/vector_stores/{vector_store_id}", "owned", "reader", "read", at=_STORE),
    route("POST /v1/vector_stores/{vector_store_id}", "owned", "member", "chat", lambda _: {"name": "New"}, at=_STORE),
    route(
        "POST /v1/vector_stores/{vector_store_id}/search",
        "owned",
        "reader",
        "read",
        lambda _: {"query": "Words"},
        at=f"{_STORE}/search",
    ),
    route(
        "POST /v1/vector_stores/{vector_store_id}/files",
        "owned",
        "member",
        "chat",
        lambda ids: {"file_id": ids["library_file"]},
        at=f"{_STORE}/files",
    ),
    route("GET /v1/vector_stores/{vector_store_id}/files", "owned", "reader", "read", at=f"{_STORE}/files"),
    route(
        "GET /v1/vector_stores/{vector_store_id}/files/{file_id}",
        "owned",
        "reader",
        "read",
        at=f"{_STORE}/files/{{stored_file}}",
    ),
    route(
        "POST /v1/vector_stores/{vector_store_id}/file_batches",
        "owned",
        "member",
        "chat",
        lambda ids: {"file_ids": [ids["library_file"]]},
        at=f"{_STORE}/file_batches",
    ),
    route(
        "GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}",
        "owned",
        "reader",
        "read",
        at=f"{_STORE}/file_batches/{{file_batch}}",
    ),
    route(
        "DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}",
        "owned",
        "member",
        "chat",
        at=f"{_STORE}/files/{{stored_file}}",
    ),
    route("DELETE /v1/vector_stores/{vector_store_id}", "owned", "member", "chat", at=_STORE),
    route("DELETE /v1/files/{file_id}", "owned", "member", "chat", at="/v1/files/{library_file}"),
)
