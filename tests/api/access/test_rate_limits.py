"""Rate limits of requests and of attempts to sign in."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.people.test_routes import SAME_ORIGIN, SECRET, session_headers, set_owner_password
from yearling.api.access.rate_limits import BROWSER_COOKIE, RateLimiter
from yearling.api.http.errors import ApiError

KEYS = ("alpha", "beta")


async def test_every_path_counts_towards_the_rate_limit(start_api: ApiFactory) -> None:
    async with start_api(rate_limit_per_minute=3) as api:
        statuses = [(await api.client.get(path)).status_code for path in ("/healthz", "/nowhere", "/v1/models", "/healthz")]
        assert statuses == [200, 404, 200, 429]
        response = await api.chat()
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["type"] == "rate_limit_error"


async def test_guessing_keys_is_limited_without_blocking_valid_keys(start_api: ApiFactory) -> None:
    async with start_api(rate_limit_per_minute=3, api_keys=KEYS) as api:
        guesses = [(await api.client.get("/v1/models", headers={"x-api-key": str(n)})).status_code for n in range(5)]
        assert guesses == [401, 401, 401, 429, 429]
        assert (await api.client.get("/v1/models", headers={"x-api-key": "alpha"})).status_code == 200


def test_token_bucket_refills_evenly() -> None:
    limiter = RateLimiter(60)
    for _ in range(60):
        limiter.check("a", now=0.0)
    with pytest.raises(ApiError) as caught:
        limiter.check("a", now=0.5)
    assert caught.value.headers["retry-after"] == "1"
    limiter.check("b", now=0.5)
    limiter.check("a", now=1.1)
    with pytest.raises(ApiError):
        limiter.check("a", now=1.2)


def test_zero_means_no_rate_limit() -> None:
    limiter = RateLimiter(0)
    for _ in range(1000):
        limiter.check("a", now=0.0)


async def sign_in(api: RunningApi, name: str, password: str, *, address: str = "", cookie: str = "") -> int:
    """The status of a sign-in through a proxy that reports `address`."""
    headers = {**({"x-forwarded-for": address} if address else {}), **({"cookie": cookie} if cookie else {})}
    api.client.cookies.clear()
    await asyncio.sleep(0)  # refused attempts never wait: without this, all of them would be one callback of the loop
    response = await api.client.post("/v1/auth/login", json={"name": name, "password": password}, headers=headers)
    return response.status_code


async def test_password_guesses_are_limited_by_address_and_name(start_api: ApiFactory) -> None:
    async with start_api(login_attempts=3, trusted_proxies=("127.0.0.1",)) as api:
        set_owner_password(api.store)
        guesses = [await sign_in(api, f"name {n}", "guess", address="192.0.2.1") for n in range(4)]
        assert guesses == [401, 401, 401, 429]
        assert await sign_in(api, "name", "guess", address="192.0.2.2") == 401
        # Many addresses against one name: five times as many attempts.
        guesses = [await sign_in(api, "Nobody", "guess", address=f"198.51.100.{n}") for n in range(16)]
        assert guesses == [401] * 15 + [429]
        assert await sign_in(api, "NOBODY", "guess", address="203.0.113.1") == 429
        # An IPv6 network counts as one address.
        guesses = [await sign_in(api, f"name {n}", "guess", address=f"2001:db8::{n}") for n in range(4)]
        assert guesses == [401, 401, 401, 429]


async def test_invitation_guesses_are_limited_by_address(start_api: ApiFactory) -> None:
    async with start_api(login_attempts=3, trusted_proxies=("127.0.0.1",)) as api:
        set_owner_password(api.store)
        body = {"invitation": "guess"}

        async def guess(address: str) -> tuple[int, int]:
            response = await api.client.post("/v1/auth/invitation", json=body, headers={"x-forwarded-for": address})
            return response.status_code, int(response.headers.get("retry-after", 0))

        assert [(await guess("192.0.2.1"))[0] for _ in range(3)] == [404, 404, 404]
        status, retry_after_s = await guess("192.0.2.1")
        assert (status, retry_after_s >= 60) == (429, True)
        assert (await guess("192.0.2.2"))[0] == 404


@pytest.mark.parametrize("name", ["owner", "somebody"])
async def test_one_stranger_locks_nobody_out_behind_a_proxy_that_is_not_trusted(start_api: ApiFactory, name: str) -> None:
    async with start_api(login_attempts=3) as api:
        api.store.passwords.set(api.store.people.owner().id, SECRET, actor="test")
        guesses = [await sign_in(api, name, "guess", address="192.0.2.66") for _ in range(40)]
        assert guesses == [401] * 3 + [429] * 37
        assert await sign_in(api, "owner", SECRET, address="192.0.2.1") == 200


async def test_forged_addresses_do_not_lock_a_person_out_of_their_browser(start_api: ApiFactory) -> None:
    async with start_api(login_attempts=3) as api:
        api.store.passwords.set(api.store.people.owner().id, SECRET, actor="test")
        response = await api.client.post("/v1/auth/login", json={"name": "owner", "password": SECRET})
        token = response.cookies[BROWSER_COOKIE]
        assert "HttpOnly" in response.headers.get_list("set-cookie")[1]
        guesses = [await sign_in(api, "owner", "guess", address=f"198.51.100.{n}") for n in range(40)]
        assert guesses == [401] * 15 + [429] * 25
        assert await sign_in(api, "owner", SECRET, address="192.0.2.1") == 429
        cookie = f"{BROWSER_COOKIE}={token}"
        assert await sign_in(api, "owner", SECRET, address="192.0.2.1", cookie=cookie) == 200
        # The browser has a limit of its own, and its cookie helps neither another name nor after a change.
        assert [await sign_in(api, "owner", "guess", cookie=cookie) for _ in range(4)] == [401, 401, 401, 429]
        assert await sign_in(api, "owner", SECRET, cookie=cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) == 429
        assert await sign_in(api, "somebody", "guess", address="192.0.2.7", cookie=cookie) == 429


async def test_strangers_do_not_keep_a_signed_in_person_from_changing_the_password(start_api: ApiFactory) -> None:
    async with start_api(login_attempts=3) as api:
        api.store.passwords.set(api.store.people.owner().id, SECRET, actor="test")
        mine = session_headers(api.store, "owner")
        for _ in range(20):
            await sign_in(api, "owner", "guess")
        body = {"old": SECRET, "new": "another long password"}
        assert (await api.client.put("/v1/me/password", json={**body, "old": "wrong"}, headers=mine)).status_code == 401
        assert (await api.client.put("/v1/me/password", json=body, headers={**mine, **SAME_ORIGIN})).status_code == 200
