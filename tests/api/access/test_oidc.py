"""Signing in by a provider, against a small one: what works, and every way in which it must not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.api.conftest import Bench, Maker
from tests.api.oidc_provider import SmallProvider
from tests.api.people.test_routes import PAGE, fresh, has_password, signed_in
from yearling.errors import NotFound
from yearling.store import hash_token

pytestmark = pytest.mark.slow


async def start(api: Bench, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await api.client.post("/v1/auth/oidc/start", json=body, headers=headers)


async def there_and_back(provider: SmallProvider, started: httpx.Response) -> str:
    """What the provider sends the browser to: path and query."""
    async with httpx.AsyncClient() as browser:
        back = (await browser.get(started.json()["url"])).headers["location"]
    parts = urlsplit(back)
    return f"{parts.path}?{parts.query}"


async def sign_in(api: Bench, provider: SmallProvider, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    started = await start(api, headers, **body)
    assert started.status_code == 200, started.text
    return await api.client.get(await there_and_back(provider, started), headers=headers)


async def refused(api: Bench, provider: SmallProvider) -> str:
    """The word for it that the page gets."""
    reply = await sign_in(api, provider)
    assert reply.status_code == 303
    assert "yearling_session" not in reply.headers.get("set-cookie", "")
    assert len(api.store.people.list()) == 1
    page, _, word = reply.headers["location"].partition("?error=")
    assert page == "/signin"
    return word


async def test_an_invited_person_joins_and_comes_again(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        has_password(api.store)
        await fresh(api)
        assert (await api.client.get("/v1/auth")).json()["provider"] == {"name": "Single sign-on"}
        assert await refused(api, provider) == "not_invited"
        token, _ = api.store.invitations.create(api.store.people.owner(), "reader")
        reply = await sign_in(api, provider, invitation=token, then="/c/1")
        assert (reply.status_code, reply.headers["location"]) == (303, "/c/1")
        cookies = reply.headers.get_list("set-cookie")
        assert any(one.startswith("yearling_session=") and "HttpOnly" in one and "SameSite=lax" in one for one in cookies)
        me = (await api.client.get("/v1/me")).json()
        assert (me["person"]["name"], me["person"]["role"], me["providers"]) == ("Ada Lovelace", "reader", [provider.issuer])
        api.client.cookies.clear()
        provider.name = "Countess"  # the subject is who it is, not the name
        await sign_in(api, provider)
        assert (await api.client.get("/v1/me")).json()["person"]["id"] == me["person"]["id"]
        with pytest.raises(NotFound):
            api.store.invitations.get_open(token)


async def test_whoever_the_provider_knows_may_be_let_in(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings, oidc_role="member") as api:
        has_password(api.store)
        api.store.people.add("ada lovelace")
        await sign_in(api, provider)
        assert (await api.client.get("/v1/me")).json()["person"]["name"] == "Ada Lovelace 2"


async def test_a_provider_is_added_to_an_account_by_who_is_signed_in(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        has_password(api.store)
        await fresh(api)
        assert (await start(api, link=True)).status_code == 403
        ada = api.store.people.add("Ada")
        headers = signed_in(api.store, "Ada")
        started = await start(api, headers, link=True)
        waiting = {"cookie": f"{headers['cookie']}; {started.headers['set-cookie'].partition(';')[0]}"}
        reply = await api.client.get(await there_and_back(provider, started), headers=waiting)
        assert reply.headers["location"] == "/"
        assert api.store.identities.find_person(provider.issuer, provider.subject) == ada


async def test_nobody_elses_browser_finishes_what_one_began(bench: Maker) -> None:
    """An attacker's own answer, planted in somebody's browser, neither signs them in as the attacker nor links their account."""
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        has_password(api.store)
        api.store.people.add("Ada"), api.store.people.add("Eve")
        as_ada, as_eve = signed_in(api.store, "Ada"), signed_in(api.store, "Eve")
        started = await start(api, as_eve, link=True)
        back, planted = await there_and_back(provider, started), started.headers["set-cookie"].partition(";")[0]
        api.client.cookies.clear()
        without = await api.client.get(back, headers=as_ada)
        assert without.headers["location"] == "/signin?error=expired"
        with_it = await api.client.get(back, headers={"cookie": f"{as_ada['cookie']}; {planted}"})
        assert with_it.headers["location"] == "/signin?error=denied"
        assert api.store.identities.find_person(provider.issuer, provider.subject) is None
        again = await api.client.get(back, headers={"cookie": f"{as_eve['cookie']}; {planted}"})
        assert again.headers["location"] == "/signin?error=expired", "each beginning has one end"


BENT: dict[str, dict[str, Any]] = {
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


async def test_an_answer_that_is_not_right_lets_nobody_in(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings, oidc_role="member", login_attempts=0) as api:
        has_password(api.store)
        words = {}
        for bent, changes in BENT.items():
            straight = {name: getattr(provider, name) for name in changes}
            for name, value in changes.items():
                setattr(provider, name, value)
            words[bent] = await refused(api, provider)
            for name, value in straight.items():
                setattr(provider, name, value)
        assert words == {bent: "denied" if bent in ("no", "no code") else "failed" for bent in BENT}
        assert (await sign_in(api, provider)).headers["location"] == "/", "it was the bending"


async def test_a_description_that_is_not_right_begins_nothing(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        for bent in (
            {"issuer": "https://another.example"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": None},
            {"token_endpoint": "file:///etc/passwd"},
            {"jwks_uri": 7},
        ):
            provider.metadata = bent
            assert (await start(api)).json()["error"]["code"] == "untrusted"


INWARD = (
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
async def test_no_endpoint_leads_into_the_private_network(bench: Maker, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []

    async def connect(self: Any, request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        return await real(self, request)

    real = httpx.AsyncHTTPTransport.handle_async_request
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", connect)
    async with SmallProvider().running() as provider, bench(**provider.settings, oidc_role="member", login_attempts=0) as api:
        has_password(api.store)
        for target in INWARD:
            api.app.state.services.provider._metadata = (0.0, {})
            provider.metadata = {endpoint: target}
            started = await start(api)
            if started.status_code == 200:
                reply = await api.client.get(await there_and_back(provider, started))
                assert reply.headers["location"] == "/signin?error=failed"
        assert len(api.store.people.list()) == 1
    assert {*connected} == {"127.0.0.1"}, "the provider that the owner named, and nobody else"
    assert {urlsplit(provider.issuer).hostname} == {"127.0.0.1"}


async def test_new_keys_of_the_provider_are_fetched_when_they_are_needed(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings, oidc_role="member") as api:
        has_password(api.store)
        for kid in ("one", "two"):
            provider.key = ECKey.generate_key("P-256", {"kid": kid})
            api.client.cookies.clear()
            assert (await sign_in(api, provider)).headers["location"] == "/"
        assert provider.asked.count("keys") == 2
        assert provider.asked.count("description") == 1


async def test_without_a_provider_there_is_none(bench: Maker) -> None:
    async with bench() as api:
        assert (await api.client.get("/v1/auth")).json()["provider"] is None
        assert (await start(api)).status_code == 404
        assert (await api.client.get("/v1/auth/oidc/callback?code=x&state=y")).headers["location"] == "/signin?error=expired"


async def test_nobody_is_sent_elsewhere_afterwards(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        for then in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""):
            assert (await start(api, PAGE, then=then)).status_code == 400


async def test_what_is_secret_is_in_no_address(bench: Maker) -> None:
    async with SmallProvider().running() as provider, bench(**provider.settings) as api:
        has_password(api.store)
        token, _ = api.store.invitations.create(api.store.people.owner())
        started = await start(api, invitation=token)
        cookie = started.cookies["yearling_oidc"]
        assert token not in started.json()["url"]
        assert cookie not in started.json()["url"]
        assert hash_token(token) not in started.json()["url"]
        assert "code_challenge_method=S256" in started.json()["url"]
