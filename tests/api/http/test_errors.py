"""One envelope for everything that goes wrong before a handler, in it, and around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.api.conftest import Maker
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
async def test_bad_bodies(bench: Maker, body: bytes, headers: dict[str, str], status: int, code: str | None) -> None:
    limit = 4096 if code == "request_too_large" else 8_000_000
    async with bench(max_body_bytes=limit) as api:
        for path in (CHAT, "/v1/responses", "/v1/embeddings"):
            reply = await api.client.post(path, content=body, headers=headers)
            assert reply.status_code == status, reply.text
            error = ErrorEnvelope.model_validate_json(reply.content).error
            assert code in (None, error.code)
            assert reply.headers["x-request-id"]


async def test_a_body_without_a_declared_length_is_bounded_too(bench: Maker) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1000

    async with bench(max_body_bytes=4096) as api:
        assert (await api.client.post(CHAT, content=endless(), headers=JSON)).status_code == 413


async def test_unknown_addresses_and_methods(bench: Maker) -> None:
    async with bench() as api:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "unknown_url"),
            ("GET", "/docs", 404, "unknown_url"),
            ("GET", f"{CHAT}/", 404, "unknown_url"),
            ("GET", CHAT, 405, "method_not_allowed"),
            ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ):
            reply = await api.client.request(method, path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
            if status == 405:
                assert reply.headers["allow"]


@pytest.mark.parametrize(
    ("given", "echoed"), [("abc-1.2_3:4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)]
)
async def test_a_sane_request_id_is_echoed(bench: Maker, given: str, echoed: bool) -> None:
    async with bench() as api:
        reply = await api.client.get("/healthz", headers={"x-request-id": given.encode()})
        assert (reply.headers["x-request-id"] == given) == echoed
        assert reply.headers["x-request-id"]


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged, not printed: tracebacks with all locals take seconds."""
    with structlog.testing.capture_logs() as lines:
        yield list(lines)


class Broken(FakeEngine):
    """Has a bug."""

    async def generate(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    async def stream(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")
        yield

    async def embed(self, sequences: Any) -> Any:
        raise ZeroDivisionError("secret detail")


@pytest.mark.usefixtures("logged")
async def test_our_own_bugs_are_500s_that_tell_nothing(bench: Maker) -> None:
    async with bench(Broken()) as api:
        for reply in (
            await api.chat(),
            await api.chat(stream=True),
            await api.client.post("/v1/embeddings", json={"input": "x"}),
            await api.client.post("/v1/responses", json={"input": "x"}),
        ):
            assert reply.status_code == 500
            assert reply.json()["error"]["code"] == "internal_error"
            assert "secret" not in reply.text


async def test_the_log_holds_no_words_and_no_keys(bench: Maker) -> None:
    with structlog.testing.capture_logs() as lines:
        async with bench(api_keys=("hidden-key",), headers={"x-api-key": "hidden-key"}) as api:
            await api.chat("private words")
            await api.client.get("/v1/models?q=private")
    assert {line["status"] for line in lines} == {200}
    assert {line["route"] for line in lines} == {CHAT, "/v1/models"}
    assert lines[0]["completion_tokens"] > 0
    assert "private" not in json.dumps(lines)
    assert "hidden-key" not in json.dumps(lines)
