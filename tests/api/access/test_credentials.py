"""API keys, host names, origins and rate limits."""

from __future__ import annotations

import pytest

from tests.api.conftest import ApiFactory
from yearling.api.access.credentials import RateLimiter, check_binding
from yearling.api.http.errors import ApiError
from yearling.config import Settings
from yearling.errors import BadInput

KEYS = ("alpha", "beta")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([("authorization", "Bearer alpha")], True),
        ([("authorization", "bearer  beta")], True),
        ([("x-api-key", "alpha")], True),
        ([("x-api-key", "alpha"), ("authorization", "Bearer alpha")], True),
        ([("x-api-key", "alpha"), ("authorization", "Bearer beta")], False),
        ([("x-api-key", "alpha"), ("authorization", "Bearer wrong")], False),
        ([("x-api-key", "alpha"), ("x-api-key", "beta")], False),
        ([("authorization", "Basic alpha")], False),
        ([("x-api-key", "alph")], False),
        ([("x-api-key", "")], False),
        ([], False),
    ],
)
async def test_api_key_is_accepted_in_every_header(start_api: ApiFactory, headers: list[tuple[str, str]], allowed: bool) -> None:
    async with start_api(api_keys=KEYS) as api:
        for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/nowhere"):
            response = await api.client.get(path, headers=headers)
            assert (response.status_code != 401) == allowed
            if not allowed:
                assert response.json()["error"]["code"] == "invalid_api_key"
                assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz"):
            assert (await api.client.get(path, headers=headers)).status_code == 200


async def test_any_key_works_without_accounts(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.client.get("/v1/models", headers={"authorization": "Bearer whatever"})).status_code == 200


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
        ({"origin": "http://localhost:8400"}, True),
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
