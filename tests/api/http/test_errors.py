"""Every error has the error envelope: before a handler, in it, and around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.api.conftest import ApiFactory
from yearling.api.http.schemas import ErrorEnvelope
from yearling.inference import FakeEngine

JSON = {"content-type": "application/json"}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "invalid_json"),
        (b"", JSON, 400, "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', JSON, 400, "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', JSON, 400, "invalid_json"),
        (b"[" * 100_000, JSON, 400, "invalid_json"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, JSON, 400, "invalid_json"),
        (b"[]", JSON, 400, "invalid_value"),
        (b"null", JSON, 400, "invalid_value"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', JSON, 400, None),
        (b"{}", {}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "application/json; charset=UTF-8"}, 400, "missing_required_parameter"),
        (b" " * 5000, JSON, 413, "request_too_large"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_invalid_bodies_are_rejected(
    start_api: ApiFactory, body: bytes, headers: dict[str, str], status: int, code: str | None
) -> None:
    limit = 4096 if code == "request_too_large" else 8_000_000
    async with start_api(max_body_bytes=limit) as api:
        for path in (CHAT, "/v1/responses", "/v1/embeddings"):
            response = await api.client.post(path, content=body, headers=headers)
            assert response.status_code == status, response.text
            error = ErrorEnvelope.model_validate_json(response.content).error
            assert code in (None, error.code)
            assert response.headers["x-request-id"]


async def test_body_without_content_length_is_limited(start_api: ApiFactory) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1000

    async with start_api(max_body_bytes=4096) as api:
        assert (await api.client.post(CHAT, content=endless(), headers=JSON)).status_code == 413


async def test_unknown_paths_and_methods_are_rejected(start_api: ApiFactory) -> None:
    async with start_api() as api:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "unknown_url"),
            ("GET", "/docs", 404, "unknown_url"),
            ("GET", f"{CHAT}/", 404, "unknown_url"),
            ("GET", CHAT, 405, "method_not_allowed"),
            ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ):
            response = await api.client.request(method, path)
            assert (response.status_code, response.json()["error"]["code"]) == (status, code)
            if status == 405:
                assert response.headers["allow"]


@pytest.mark.parametrize(
    ("request_id", "echoed"), [("abc-1.2_3:4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)]
)
async def test_valid_request_id_is_echoed(start_api: ApiFactory, request_id: str, echoed: bool) -> None:
    async with start_api() as api:
        response = await api.client.get("/healthz", headers={b"x-request-id": request_id.encode()})
        assert (response.headers["x-request-id"] == request_id) == echoed
        assert response.headers["x-request-id"]


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """The log entries. Printing tracebacks with all locals would take seconds."""
    with structlog.testing.capture_logs() as lines:
        yield list(lines)


class Broken(FakeEngine):
    """An engine with a bug."""

    async def generate(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    async def stream(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")
        yield

    async def score_tokens(self, ids: Any, **options: Any) -> Any:
        raise NotImplementedError

    async def embed(self, sequences: Any) -> Any:
        raise ZeroDivisionError("secret detail")


@pytest.mark.usefixtures("logged")
async def test_bugs_return_500_without_details(start_api: ApiFactory) -> None:
    async with start_api(Broken()) as api:
        for response in (
            await api.chat(),
            await api.chat(stream=True),
            await api.client.post("/v1/embeddings", json={"input": "x"}),
            await api.client.post("/v1/responses", json={"input": "x"}),
        ):
            assert response.status_code == 500
            assert response.json()["error"]["code"] == "internal_error"
            assert "secret" not in response.text


async def test_log_contains_no_texts_and_no_keys(start_api: ApiFactory) -> None:
    with structlog.testing.capture_logs() as lines:
        async with start_api(api_keys=("hidden-key",), headers={"x-api-key": "hidden-key"}) as api:
            await api.chat("private words")
            await api.client.get("/v1/models?q=private")
    assert {line["status"] for line in lines} == {200}
    assert {line["route"] for line in lines} == {CHAT, "/v1/models"}
    assert lines[0]["completion_tokens"] > 0
    assert "private" not in json.dumps(lines)
    assert "hidden-key" not in json.dumps(lines)
