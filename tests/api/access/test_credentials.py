"""API keys, cookies, and the networks that requests come from."""

from __future__ import annotations

import pytest

from tests.api.conftest import ApiFactory
from yearling.addresses import network_of
from yearling.api.access.credentials import client_networks

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
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unix", "unix"),
    ],
)
def test_one_client_holds_an_address_or_a_64_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("peer", "forwarded", "networks"),
    [
        ("192.0.2.1", None, ("192.0.2.1",)),
        ("10.0.0.1", "192.0.2.9", ("192.0.2.9",)),
        ("10.0.0.1", "192.0.2.66, 192.0.2.9, 10.0.0.2", ("192.0.2.9",)),
        ("10.0.0.1", None, ("10.0.0.1",)),
        ("10.0.0.1", "nonsense", ("10.0.0.1",)),
        ("192.0.2.1", "192.0.2.66, 192.0.2.9", ("192.0.2.9 through 192.0.2.1", "192.0.2.1")),
        ("192.0.2.1", "nonsense", ("? through 192.0.2.1", "192.0.2.1")),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str | None, networks: tuple[str, ...]) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_networks({"client": (peer, 1), "headers": headers}, {"10.0.0.1", "10.0.0.2"}) == networks
