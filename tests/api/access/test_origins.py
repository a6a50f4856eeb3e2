"""Host names, web pages of other origins, and the address that a server binds."""

from __future__ import annotations

import json

import pytest

from tests.api.conftest import ApiFactory
from tests.api.conversations.chat_exports import OPEN_WEBUI
from yearling.api.access.origins import check_binding
from yearling.config import Settings
from yearling.errors import BadInput

KEYS = ("alpha", "beta")
UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "127.0.0.1:8400"}, True),
        ({"host": "localhost"}, True),
        ({"host": "[::1]:8400"}, True),
        ({"host": "Box.lan:1"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": ""}, False),
        ({"host": "[::1].evil.example"}, False),
        ({"host": "[::1]evil.example"}, False),
        ({"host": "[::1]:8400.evil.example"}, False),
        ({"host": "localhost:8400@evil.example"}, False),
        ({"host": "evil.example:@localhost"}, False),
        ({"host": "localhost:"}, False),
        ({"host": "localhost:99999"}, False),
        ({"host": "localhost/evil.example"}, False),
        ({"host": "[0:0:0:0:0:0:0:1]"}, True),
        ({"origin": "http://127.0.0.1"}, True),
        ({"origin": "http://127.0.0.1:80"}, True),
        ({"host": "localhost:8400", "origin": "http://localhost:8400"}, True),
        ({"host": "[::1]:8400", "origin": "http://[::1]:8400"}, True),
        ({"host": "localhost:8400", "origin": "http://localhost:3000"}, False),
        ({"host": "localhost:8400", "origin": "http://localhost"}, False),
        ({"host": "localhost:8400", "origin": "http://127.0.0.1:8400"}, False),
        ({"origin": "http://localhost:8400"}, False),
        ({"origin": "http://127.0.0.1@evil.example"}, False),
        ({"origin": "file://"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[bad"}, False),
    ],
    ids=str,
)
async def test_loopback_server_rejects_other_hosts_and_origins(
    start_api: ApiFactory, headers: dict[str, str], allowed: bool
) -> None:
    async with start_api(allowed_hosts=("box.lan",)) as api:
        for path in ("/v1/models", "/healthz"):
            response = await api.client.get(path, headers=headers)
            assert response.status_code == (200 if allowed else 403)
            assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["assistant.example", "127.0.0.1:8400"])
async def test_page_at_the_public_url_may_call_through_a_proxy(start_api: ApiFactory, host: str) -> None:
    async with start_api(public_url="https://assistant.example:8443", headers={"host": host}) as api:
        for origin, status in (
            ("https://assistant.example:8443", 200),
            ("https://assistant.example:9000", 403),
            ("http://assistant.example:8443", 403),
        ):
            assert (await api.client.get("/v1/models", headers={"origin": origin})).status_code == status


async def test_public_server_accepts_any_host_but_only_its_own_origin(start_api: ApiFactory) -> None:
    async with start_api(host="0.0.0.0", api_keys=KEYS, headers={"x-api-key": "alpha", "host": "assistant.example"}) as api:
        for origin, status in (("https://assistant.example", 200), ("https://evil.example", 403)):
            assert (await api.client.get("/v1/models", headers={"origin": origin})).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_public_binding_needs_keys_or_accounts(host: str) -> None:
    with pytest.raises(BadInput):
        check_binding(Settings(host=host), has_accounts=False)
    check_binding(Settings(host=host, api_keys=KEYS), has_accounts=False)
    check_binding(Settings(host=host), has_accounts=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_binding_needs_no_keys(host: str) -> None:
    check_binding(Settings(host=host), has_accounts=False)


CROSS_SITE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "http://localhost"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site", "content-type": "text/plain"},
]


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
async def test_other_pages_change_nothing_without_accounts(start_api: ApiFactory, headers: dict[str, str]) -> None:
    """With an invented API key too: without accounts every key works."""
    async with start_api() as api:
        typed = {"content-type": "application/json", **headers}
        assert (await api.client.post("/v1/import", content=json.dumps(OPEN_WEBUI), headers=typed)).status_code == 403
        for more in ({}, {"authorization": "Bearer invented"}):
            for method, path, body in (
                ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
                ("POST", "/v1/memories", {"text": "planted"}),
                ("PUT", "/v1/me/password", {"new": "a long password"}),
                ("PATCH", "/v1/settings", {"length": "short"}),
                ("DELETE", "/v1/memories", None),
                ("POST", "/v1/auth/login", {"name": "owner", "password": "x"}),
            ):
                response = await api.client.request(method, path, json=body, headers={**more, **headers})
                assert (response.status_code, response.json()["error"]["code"]) == (403, "host_not_allowed"), path
        assert api.store.conversations.list(api.store.people.owner().id) == []
        assert not api.store.people.has_accounts()


async def test_own_page_and_programs_change_things_without_accounts(start_api: ApiFactory) -> None:
    async with start_api() as api:
        for headers in ({}, {"origin": "http://127.0.0.1"}, {"sec-fetch-site": "same-origin"}):
            assert (await api.client.post("/v1/folders", json={"name": str(headers)[:40]}, headers=headers)).status_code == 200
        # A link on another page may lead to the page.
        assert (await api.client.get("/", headers={"sec-fetch-site": "cross-site"})).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None])
async def test_only_declared_content_types_are_read(start_api: ApiFactory, kind: str | None) -> None:
    """The types that a browser sends from any page without asking, and none at all."""
    headers = {} if kind is None else {"content-type": kind}
    async with start_api() as api:
        for path in ("/v1/import", "/v1/auth/logout", f"/v1/turns/{UNKNOWN}/stop", "/v1/chat/completions"):
            response = await api.client.post(path, content=json.dumps(OPEN_WEBUI), headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type"), path
        assert api.store.conversations.list(api.store.people.owner().id) == []


async def test_routes_without_a_body_accept_none_and_json(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.post("/v1/auth/logout")).status_code == 200
        assert (await api.client.post("/v1/auth/logout", json={})).status_code == 200
        assert (await api.client.post("/v1/auth/logout", headers={"content-type": "text/plain"})).status_code == 200
