"""What every route takes alike: HEAD, compressed bodies, byte order marks, unknown parameters, pages of other origins."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from tests.api.conftest import ApiFactory, on_a_socket
from tests.api.openai.test_streams import wait_until
from yearling.config import load_settings
from yearling.errors import BadInput
from yearling.inference import FakeEngine

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
JSON = {"content-type": "application/json"}
PAGE = "https://app.example"


# HEAD


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/chats", "/v1/models/fake-model", "/healthz", "/readyz", "/metrics", "/v1/export"]
)
async def test_head_answers_like_get_without_the_body(start_api: ApiFactory, path: str) -> None:
    async with start_api() as api:
        head, get = await api.client.head(path), await api.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers["x-request-id"]
        if "content-length" in get.headers and path not in ("/metrics", "/v1/export"):
            assert head.headers["content-length"] == get.headers["content-length"]


async def test_head_of_what_does_not_exist_or_takes_post_only(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.head("/v1/models/unknown")).status_code == 404
        assert (await api.client.head("/v1/chat/completions")).status_code == 405


async def test_head_over_a_connection_that_is_kept(start_api: ApiFactory) -> None:
    async with start_api() as api, on_a_socket(api.app) as address, httpx.AsyncClient(base_url=address) as client:
        for _ in range(2):
            reply = await client.head("/v1/models")
            assert (reply.status_code, reply.content) == (200, b"")
        assert (await client.get("/v1/models")).json()["data"]


async def test_head_of_a_stream_ends_at_once(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        turn = (await api.client.post("/v1/temporary/turns", json={"messages": [{"role": "user", "text": "Hi"}]})).json()
        reply = await api.client.head(f"/v1/turns/{turn['id']}/events")
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        await wait_until(lambda: api.engine.active == 0)


# Bodies


async def test_a_gzip_body_is_decompressed(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        body = gzip.compress(json.dumps(CHAT).encode())
        reply = await api.client.post("/v1/chat/completions", content=body, headers={**JSON, "content-encoding": "gzip"})
        assert reply.json()["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"no gzip", "gzip", 400, "invalid_encoding"),
        (gzip.compress(b"{}" * 100)[:-4], "gzip", 400, "invalid_encoding"),
        (gzip.compress(b"{}") + b"more", "gzip", 400, "invalid_encoding"),
        (zlib.compress(b"{}"), "deflate", 415, "unsupported_content_encoding"),
        (b"{}", "br", 415, "unsupported_content_encoding"),
        (gzip.compress(b" " * 3_000_000), "gzip", 413, "request_too_large"),
    ],
    ids=["no gzip", "cut", "trailing", "deflate", "br", "bomb"],
)
async def test_other_encodings_are_refused(start_api: ApiFactory, body: bytes, encoding: str, status: int, code: str) -> None:
    async with start_api(max_body_bytes=2_000_000) as api:
        headers = {**JSON, "content-encoding": encoding}
        reply = await api.client.post("/v1/chat/completions", content=body, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_a_byte_order_mark_is_ignored(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        body = b"\xef\xbb\xbf" + json.dumps(CHAT).encode()
        assert (await api.client.post("/v1/chat/completions", content=body, headers=JSON)).status_code == 200


# Queries


@pytest.mark.parametrize("path", ["/v1/chats?folders=x", "/v1/models?limit=3", "/v1/chats?q=a&Limit=3"])
async def test_unknown_parameters_are_refused(start_api: ApiFactory, path: str) -> None:
    async with start_api() as api:
        reply = await api.client.get(path)
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert (error["code"], error["param"]) == (
            "unknown_parameter",
            path.rpartition("&")[2].rpartition("?")[2].partition("=")[0],
        )
        assert (await api.client.post("/v1/chat/completions?stream=true", json=CHAT)).status_code == 400
        assert not api.engine.requests


async def test_an_invalid_parameter_is_named(start_api: ApiFactory) -> None:
    async with start_api() as api:
        error = (await api.client.get("/v1/chats?limit=many")).json()["error"]
        assert (error["param"], error["code"]) == ("limit", "invalid_value")


# Pages


async def test_a_browser_gets_the_page_at_an_unknown_address(start_api: ApiFactory) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with start_api() as api:
        reply = await api.client.get("/no/such/page", headers=browser)
        assert reply.status_code == 404
        if reply.headers["content-type"].startswith("text/html"):  # otherwise the page has not been built
            assert reply.text == (await api.client.get("/", headers=browser)).text
            assert "content-security-policy" in reply.headers
        else:
            assert (await api.client.get("/", headers=browser)).status_code == 404
        for path, headers in (("/v1/no/such/route", browser), ("/no/such/page", {"accept": "*/*"}), ("/assets/none.js", browser)):
            reply = await api.client.get(path, headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")


# Other origins


def preflight(origin: str = PAGE) -> dict[str, str]:
    requested = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-lang"}
    return {"origin": origin, **requested}


async def test_no_origin_is_allowed_unless_configured(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("k",)) as api:
        key = {"authorization": "Bearer k"}
        for reply in (
            await api.client.options("/v1/models", headers=preflight()),
            await api.client.get("/v1/models", headers={"origin": PAGE, **key}),
        ):
            assert reply.status_code in (401, 403, 405)
            assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_configured_origin_may_use_the_api_with_a_key(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"]), api_keys=("k",), cors_origins=(PAGE,)) as api:
        reply = await api.client.options("/v1/chat/completions", headers=preflight())
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert "x-stainless-lang" in reply.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in reply.headers
        headers = {"origin": PAGE, "authorization": "Bearer k"}
        reply = await api.client.post("/v1/chat/completions", json=CHAT, headers=headers)
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in reply.headers["access-control-expose-headers"]
        reply = await api.client.post("/v1/chat/completions", json=CHAT, headers={"origin": PAGE})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (401, PAGE), "the page can read errors"
        for other in ("https://app.example.evil", "http://app.example", "https://other.example"):
            reply = await api.client.options("/v1/chat/completions", headers=preflight(other))
            assert reply.status_code == 400
            assert "access-control-allow-origin" not in reply.headers
            reply = await api.client.post("/v1/chat/completions", json=CHAT, headers={**headers, "origin": other})
            assert reply.status_code == 403


@pytest.mark.parametrize("origin", ["*", "https://app.example/", "app.example", "https://user@app.example"])
def test_an_origin_must_be_exact(tmp_path: Any, origin: str) -> None:
    with pytest.raises(BadInput, match="cors_origins"):
        load_settings(data_dir=tmp_path, cors_origins=(origin,))
