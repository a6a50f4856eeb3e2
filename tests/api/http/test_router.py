"""Routes with a JSON body, and what the router documents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from tests.api.conftest import ApiFactory
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.openapi import DocumentedFastAPI
from yearling.api.http.router import ApiRoute, ApiRouter
from yearling.api.http.schemas import ResponseModel, StrictModel

WITHOUT_JSON_RESPONSE = {
    "GET /metrics",
    "GET /v1/audit/export",
    "GET /v1/auth/oidc/callback",
    "GET /v1/chats/{conversation_id}/messages/{message_id}/attachments/{sha256}",
    "GET /v1/corrections/export",
    "GET /v1/files/{file_id}/content",
    "GET /v1/documents/{document_id}/content",
    "GET /v1/export",
}
"""Routes that return text, a redirect or a file."""


class Echo(StrictModel):
    """A text."""

    text: str
    """The text."""


class EchoView(ResponseModel):
    """A text and where it came from."""

    text: str
    """The text."""
    place: str
    """The place."""


def echo_app(max_body_bytes: int = 1000) -> FastAPI:
    router = ApiRouter()

    @router.post("/places/{place}", response_model=EchoView)
    async def echo(request: Request, place: str, body: JsonBody[Echo]) -> JsonResponse:
        """Return the text."""
        return JsonResponse({"text": body.text, "place": place})

    app = DocumentedFastAPI(title="Echo")
    app.state.max_body_bytes = max_body_bytes
    app.include_router(router)

    async def handle(_: Request, error: Exception) -> JsonResponse:
        assert isinstance(error, ApiError)
        return error.response()

    app.add_exception_handler(ApiError, handle)
    return app


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"text": "hi"}', 200),
        (b'{"text": 7}', 400),
        (b'{"text": "hi", "more": 1}', 400),
        (b'{"text": "%s"}' % (b"x" * 1000), 413),
    ],
)
async def test_json_body_is_limited_and_validated(content: bytes, status: int) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(echo_app()), base_url="http://127.0.0.1") as client:
        response = await client.post("/places/here", content=content, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    if status == 200:
        assert response.json() == {"text": "hi", "place": "here"}


def test_json_body_and_response_are_documented() -> None:
    operation = echo_app().openapi()["paths"]["/places/{place}"]["post"]
    assert operation["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Echo"}}},
    }
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/EchoView"}
    assert [parameter["name"] for parameter in operation["parameters"]] == ["place"]
    properties: dict[str, Any] = echo_app().openapi()["components"]["schemas"]["EchoView"]["properties"]
    assert properties["place"]["description"] == "The place."


async def test_every_json_route_documents_its_response(start_api: ApiFactory) -> None:
    async with start_api() as api:
        routes = [route for route in api.app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert all(isinstance(route, ApiRoute) for route in routes if route.path.startswith("/v1/"))
    without_model = {
        f"{method} {route.path_format}" for route in routes for method in route.methods or () if not route.response_model
    }
    assert without_model == WITHOUT_JSON_RESPONSE
