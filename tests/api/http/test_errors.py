"""Every error has the error envelope: before a handler, in it, and around it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from tests.api.conftest import ApiFactory
from yearling.api.http.errors import to_api_error
from yearling.api.http.local_paths import hide_local_paths
from yearling.api.http.schemas import ErrorEnvelope
from yearling.errors import StorageFailed, Untrusted, UserError
from yearling.inference import FakeEngine

JSON = {"content-type": "application/json"}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "invalid_json"),
        (b"", JSON, 400, "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', JSON, 400, "invalid_json"),
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


class Broken(FakeEngine):
    """An engine with a bug."""

    async def generate(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    async def stream(self, request: Any) -> Any:
        raise ZeroDivisionError("secret detail")
        yield

    async def score_tokens(self, ids: Any, **options: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    async def embed(self, sequences: Any) -> Any:
        raise ZeroDivisionError("secret detail")


async def test_bugs_return_500_without_details(start_api: ApiFactory, capsys: pytest.CaptureFixture[str]) -> None:
    async with start_api(Broken()) as api:
        for response in (
            await api.chat("private words"),
            await api.chat("private words", stream=True),
            await api.client.post("/v1/embeddings", json={"input": "private words", "model": "fake-model"}),
            await api.client.post("/v1/responses", json={"input": "private words"}),
            await api.client.post(
                "/v1/completions", json={"prompt": "private words", "echo": True, "logprobs": 0, "max_tokens": 0}
            ),
        ):
            assert response.status_code == 500
            assert response.json()["error"]["code"] == "internal_error"
            assert "secret" not in response.text
    printed = "".join(capsys.readouterr())
    assert printed.count("ZeroDivisionError") >= 5
    assert "private words" not in printed


async def test_log_contains_no_texts_and_no_keys(start_api: ApiFactory) -> None:
    with structlog.testing.capture_logs() as lines:
        async with start_api(api_keys=("hidden-key",), headers={"x-api-key": "hidden-key"}) as api:
            await api.chat("private words")
            await api.client.get("/v1/models?q=private")
    assert {line["status"] for line in lines} == {200, 400}  # a model has no parameter `q`
    assert {line["route"] for line in lines} == {CHAT, "/v1/models"}
    assert lines[0]["completion_tokens"] > 0
    assert "private" not in json.dumps(lines)
    assert "hidden-key" not in json.dumps(lines)


async def test_no_response_is_cached_or_guessed_at(start_api: ApiFactory) -> None:
    async with start_api() as api:
        for method, path, status in (
            ("GET", "/v1/models", 200),
            ("GET", "/v1/folders", 200),
            ("GET", "/v1/export", 200),
            ("GET", "/healthz", 200),
            ("GET", "/metrics", 200),
            ("GET", "/openapi.json", 200),
            ("GET", "/nowhere", 404),
            ("DELETE", "/v1/models", 405),
            ("POST", CHAT, 415),
        ):
            response = await api.client.request(method, path)
            assert response.status_code == status
            assert response.headers["x-content-type-options"] == "nosniff", path
            assert response.headers["cache-control"] == "no-store", path
        refused = await api.client.get("/v1/models", headers={"host": "evil.example"})
        assert (refused.status_code, refused.headers["x-content-type-options"]) == (403, "nosniff")
        stream = await api.chat(stream=True)
        assert (stream.headers["x-content-type-options"], stream.headers["cache-control"]) == ("nosniff", "no-cache")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The data folder /tmp/a b/data cannot be used.", "The data folder a b/data cannot be used."),
        ("The data folder /usr/share/yearling is read-only.", "The data folder yearling is read-only."),
        ("The database /usr/x/yearling.db is damaged: bad page.", "The database yearling.db is damaged: bad page."),
        ("'/usr/models/a.gguf' is no GGUF file.", "'a.gguf' is no GGUF file."),
        ("See sqlite:////usr/data/yearling.db, or file:///etc/passwd.", "See yearling.db, or passwd."),
        ("Not below /usr.", "Not below usr."),
        (
            "Use POST /v1/chat/completions, or https://example.org/usr/x.",
            "Use POST /v1/chat/completions, or https://example.org/usr/x.",
        ),
        ("either/or, 1/2, a /users/ list", "either/or, 1/2, a /users/ list"),
    ],
)
def test_paths_of_the_server_are_cut_down_to_their_names(text: str, shown: str) -> None:
    assert hide_local_paths(text) == shown


async def test_errors_name_no_paths_to_clients_but_in_the_log(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = (StorageFailed, Untrusted, UserError)
    async with start_api() as api:
        place = f"{api.settings.data_dir}/yearling.db"
        for error_type in errors:
            assert (
                str(api.settings.data_dir) not in to_api_error(error_type(f"{place} is damaged.", advice=f"See {place}.")).message
            )

        def fail(*_: Any) -> None:
            raise StorageFailed(f"The database {place} is damaged.")

        monkeypatch.setattr(api.store.people, "list", fail)
        monkeypatch.setattr(api.store, "check_writable", fail)
        with structlog.testing.capture_logs() as lines:
            for path, status in (("/v1/people", 507), ("/readyz", 503)):
                response = await api.client.get(path)
                assert response.status_code == status
                assert "yearling.db is damaged" in response.text
                assert str(api.settings.data_dir) not in response.text
        assert place in lines[0]["error"]


async def test_half_of_a_character_becomes_a_replacement_character(start_api: ApiFactory) -> None:
    """In every field, and only there: pairs, escaped backslashes and invalid JSON stay what they are."""
    body = rb'{"messages": [{"role": "user", "content": "Cut \ud83d, whole \ud83d\ude00, escaped \\ud83d"}], "user": "\udc00"}'
    async with start_api() as api:
        response = await api.client.post(CHAT, content=body, headers=JSON)
        assert response.status_code == 200, response.text
        assert api.samples()[0].messages[-1]["content"] == "Cut \ufffd, whole \U0001f600, escaped \\ud83d"
        created = await api.client.post("/v1/folders", content=rb'{"name": "Cut \ud83d"}', headers=JSON)
        assert created.json()["name"] == "Cut \ufffd"
        assert [entry["name"] for entry in (await api.client.get("/v1/folders")).json()["data"]] == ["Cut \ufffd"]
        for broken in (rb'{"name": "Cut \ud83d"', rb'{"name": "\ud83d", "unknown": 1}', rb'{"name": 1}'):
            assert (await api.client.post("/v1/folders", content=broken, headers=JSON)).status_code == 400


async def test_text_that_was_stored_with_half_a_character_is_shown(start_api: ApiFactory) -> None:
    async with start_api() as api:
        owner = api.store.people.owner().id
        api.store.folders.create(owner, "Cut \ud83d")
        api.store.memories.add(owner, "\ud83d\ude00 and \ude00")
        assert [entry["name"] for entry in (await api.client.get("/v1/folders")).json()["data"]] == ["Cut \ufffd"]
        assert [entry["text"] for entry in (await api.client.get("/v1/memories")).json()["data"]] == ["\U0001f600 and \ufffd"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"messages":[' + b"1," * 3_900_000 + b"1]}", 413),
        (b'{"messages":[' + b"{}," * 2_600_000 + b"{}]}", 413),
        (b"{" + b",".join(b'"%d":1' % number for number in range(600_000)) + b"}", 413),
        (b'{"messages":[' + b'"",' * 2_500_000 + b'""]}', 413),
        (b'{"messages":[' + b"1," * 90_000 + b"1]}", 400),
        (b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}", 400),
        (b'{"' + b"x" * 5_000_000 + b'":1}', 400),
        (b'{"messages":[{"role":"user","content":"' + b"\\ud800" * 1_300_000 + b'"}]}', 400),
        (b'{"messages":[{"role":"user","content":"' + rb"\",[{" * 1_000_000 + b'"}]}', 400),
        (b'{"messages":[{"role":"user","content":"' + rb"\\" * 2_000_000 + b'"}]}', 400),
    ],
    ids=["numbers", "objects", "fields", "strings", "invalid", "unknown", "long name", "halves", "text", "backslashes"],
)
async def test_no_body_holds_the_event_loop(start_api: ApiFactory, body: bytes, status: int) -> None:
    """The watchdog fails this test if a callback burns. The last three are only too long for the model."""
    async with start_api() as api:
        response = await api.client.post(CHAT, content=body, headers=JSON)
        assert response.status_code == status, response.text[:300]
        assert len(response.content) < 2000
