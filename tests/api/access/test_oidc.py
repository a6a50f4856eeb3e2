"""Sign-in through an OpenID Connect provider, against a fake one: valid flows, and every invalid response."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.oidc_provider import FakeOidcProvider
from tests.api.people.test_routes import SAME_ORIGIN, refresh_access, session_headers, set_owner_password
from yearling.errors import NotFound
from yearling.store import hash_token

pytestmark = pytest.mark.slow


async def start(api: RunningApi, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await api.client.post("/v1/auth/oidc/start", json=body, headers=headers)


async def callback_url(provider: FakeOidcProvider, started: httpx.Response) -> str:
    """The path and query to which the provider redirects the browser."""
    async with httpx.AsyncClient() as browser:
        callback = (await browser.get(started.json()["url"])).headers["location"]
    parts = urlsplit(callback)
    return f"{parts.path}?{parts.query}"


async def sign_in(
    api: RunningApi, provider: FakeOidcProvider, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    started = await start(api, headers, **body)
    assert started.status_code == 200, started.text
    return await api.client.get(await callback_url(provider, started), headers=headers)


async def sign_in_error(api: RunningApi, provider: FakeOidcProvider) -> str:
    """The error code that the page receives. Asserts that nobody was signed in."""
    response = await sign_in(api, provider)
    assert response.status_code == 303
    assert "yearling_session" not in response.headers.get("set-cookie", "")
    assert len(api.store.people.list()) == 1
    page, _, word = response.headers["location"].partition("?error=")
    assert page == "/signin"
    return word


async def test_invited_person_signs_up_and_signs_in_again(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        set_owner_password(api.store)
        await refresh_access(api)
        assert (await api.client.get("/v1/auth")).json()["provider"] == {"name": "Single sign-on"}
        assert await sign_in_error(api, provider) == "not_invited"
        token, _ = api.store.invitations.create(api.store.people.owner(), "reader")
        response = await sign_in(api, provider, invitation=token, then="/c/1")
        assert (response.status_code, response.headers["location"]) == (303, "/c/1")
        cookies = response.headers.get_list("set-cookie")
        assert any(
            cookie.startswith("yearling_session=") and "HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in cookies
        )
        me = (await api.client.get("/v1/me")).json()
        assert (me["person"]["name"], me["person"]["role"], me["providers"]) == ("Ada Lovelace", "reader", [provider.issuer])
        api.client.cookies.clear()
        provider.name = "Countess"  # the subject identifies a person, not the name
        await sign_in(api, provider)
        assert (await api.client.get("/v1/me")).json()["person"]["id"] == me["person"]["id"]
        with pytest.raises(NotFound):
            api.store.invitations.get_open(token)


async def test_oidc_role_admits_everyone_whom_the_provider_knows(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings, oidc_role="member") as api:
        set_owner_password(api.store)
        api.store.people.add("ada lovelace")
        await sign_in(api, provider)
        assert (await api.client.get("/v1/me")).json()["person"]["name"] == "Ada Lovelace 2"


async def test_signed_in_person_links_a_provider(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        set_owner_password(api.store)
        await refresh_access(api)
        assert (await start(api, link=True)).status_code == 403
        ada = api.store.people.add("Ada")
        headers = session_headers(api.store, "Ada")
        started = await start(api, headers, link=True)
        waiting = {"cookie": f"{headers['cookie']}; {started.headers['set-cookie'].partition(';')[0]}"}
        response = await api.client.get(await callback_url(provider, started), headers=waiting)
        assert response.headers["location"] == "/"
        assert api.store.identities.find_person(provider.issuer, provider.subject) == ada


async def test_sign_in_cannot_be_completed_in_another_browser(start_api: ApiFactory) -> None:
    """An attacker's response, planted in a victim's browser, neither signs the victim in nor links the victim's account."""
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        set_owner_password(api.store)
        api.store.people.add("Ada"), api.store.people.add("Eve")
        as_ada, as_eve = session_headers(api.store, "Ada"), session_headers(api.store, "Eve")
        started = await start(api, as_eve, link=True)
        callback, planted = await callback_url(provider, started), started.headers["set-cookie"].partition(";")[0]
        api.client.cookies.clear()
        without = await api.client.get(callback, headers=as_ada)
        assert without.headers["location"] == "/signin?error=expired"
        with_it = await api.client.get(callback, headers={"cookie": f"{as_ada['cookie']}; {planted}"})
        assert with_it.headers["location"] == "/signin?error=denied"
        assert api.store.identities.find_person(provider.issuer, provider.subject) is None
        second_try = await api.client.get(callback, headers={"cookie": f"{as_eve['cookie']}; {planted}"})
        assert second_try.headers["location"] == "/signin?error=expired", "a sign-in can be completed once"


INVALID_RESPONSES: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "for another client": {"claims": {"aud": "another"}},
    "for several clients": {"claims": {"aud": ["yearling", "another"], "azp": "another"}},
    "from another issuer": {"claims": {"iss": "https://another.example"}},
    "ended": {"claims": {"exp": 1}},
    "not valid yet": {"claims": {"nbf": 2**33}},
    "nobody": {"claims": {"sub": None}},
    "somebody without end": {"claims": {"sub": "x" * 256}},
    "a number": {"claims": {"sub": 7}},
    "another access token": {"claims": {"at_hash": "another"}},
    "signed with the client's secret": {"algorithm": "HS256"},
    "not signed": {"algorithm": "none"},
    "another state": {"query": {"state": "another"}},
    "an answer of another provider": {"query": {"iss": "https://another.example"}},
    "no": {"query": {"error": "access_denied"}},
    "no code": {"query": {"code": ""}},
    "another code": {"query": {"code": "another"}},
    "no JSON": {"token_reply": Response("<html>")},
    "no token": {"token_reply": JSONResponse({})},
    "a list": {"token_reply": JSONResponse([])},
    "no JWT": {"token_reply": JSONResponse({"id_token": "a.b.c"})},
    "elsewhere": {"token_reply": RedirectResponse("http://169.254.169.254/latest/meta-data")},
}


async def test_invalid_provider_responses_are_rejected(start_api: ApiFactory) -> None:
    async with (
        FakeOidcProvider().running() as provider,
        start_api(**provider.settings, oidc_role="member", login_attempts=0) as api,
    ):
        set_owner_password(api.store)
        codes = {}
        for change, changes in INVALID_RESPONSES.items():
            original = {name: getattr(provider, name) for name in changes}
            for name, value in changes.items():
                setattr(provider, name, value)
            codes[change] = await sign_in_error(api, provider)
            for name, value in original.items():
                setattr(provider, name, value)
        assert codes == {change: "denied" if change in ("no", "no code") else "failed" for change in INVALID_RESPONSES}
        assert (await sign_in(api, provider)).headers["location"] == "/", "the unchanged provider is accepted"


async def test_invalid_provider_metadata_is_rejected(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        for change in (
            {"issuer": "https://another.example"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": None},
            {"token_endpoint": "file:///etc/passwd"},
            {"jwks_uri": 7},
        ):
            provider.metadata = change
            assert (await start(api)).json()["error"]["code"] == "untrusted"


PRIVATE_URLS = (
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://127.0.0.1:1/",
    "https://localhost:1/",
    "https://[::1]:1/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://0/",
    "https://2130706433/",
    "https://0x7f.1/",
)


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri"])
async def test_provider_endpoints_cannot_reach_private_addresses(
    start_api: ApiFactory, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []

    async def connect(self: Any, request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        return await real(self, request)

    real = httpx.AsyncHTTPTransport.handle_async_request
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", connect)
    async with (
        FakeOidcProvider().running() as provider,
        start_api(**provider.settings, oidc_role="member", login_attempts=0) as api,
    ):
        set_owner_password(api.store)
        for target in PRIVATE_URLS:
            api.app.state.services.oidc_provider._metadata = (0.0, {})
            provider.metadata = {endpoint: target}
            started = await start(api)
            if started.status_code == 200:
                response = await api.client.get(await callback_url(provider, started))
                assert response.headers["location"] == "/signin?error=failed"
        assert len(api.store.people.list()) == 1
    assert {*connected} == {"127.0.0.1"}, "only the configured provider"
    assert {urlsplit(provider.issuer).hostname} == {"127.0.0.1"}


async def test_rotated_provider_keys_are_fetched(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings, oidc_role="member") as api:
        set_owner_password(api.store)
        for kid in ("one", "two"):
            provider.key = ECKey.generate_key("P-256", {"kid": kid})
            api.client.cookies.clear()
            assert (await sign_in(api, provider)).headers["location"] == "/"
        assert provider.requests.count("keys") == 2
        assert provider.requests.count("description") == 1


async def test_oidc_routes_return_404_without_a_provider(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.get("/v1/auth")).json()["provider"] is None
        assert (await start(api)).status_code == 404
        assert (await api.client.get("/v1/auth/oidc/callback?code=x&state=y")).headers["location"] == "/signin?error=expired"


async def test_return_path_cannot_leave_the_server(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        for then in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""):
            assert (await start(api, SAME_ORIGIN, then=then)).status_code == 400


async def test_urls_contain_no_secrets(start_api: ApiFactory) -> None:
    async with FakeOidcProvider().running() as provider, start_api(**provider.settings) as api:
        set_owner_password(api.store)
        token, _ = api.store.invitations.create(api.store.people.owner())
        started = await start(api, invitation=token)
        cookie = started.cookies["yearling_oidc"]
        assert token not in started.json()["url"]
        assert cookie not in started.json()["url"]
        assert hash_token(token) not in started.json()["url"]
        assert "code_challenge_method=S256" in started.json()["url"]
