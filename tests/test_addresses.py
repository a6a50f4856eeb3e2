from __future__ import annotations

import socket
from typing import Any

import pytest

from yearling.addresses import is_public, resolve_public_addresses
from yearling.errors import BadInput, Unavailable

PRIVATE = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "[::1]",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:a9fe:a9fe::",
    "",
    "localhost",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "127.1",
)
PUBLIC = ("1.1.1.1", "8.8.8.8", "151.101.0.223", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def fake_resolver(*addresses: str) -> Any:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in addresses]

    return resolve


def test_all_addresses_of_a_name_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver("8.8.8.8", "2606:4700:4700::1111", "8.8.8.8"))
    assert resolve_public_addresses("good.example", 443) == ["8.8.8.8", "2606:4700:4700::1111"]
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver("8.8.8.8", "10.0.0.1"))
    with pytest.raises(BadInput):
        resolve_public_addresses("both.example", 443)
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver())
    with pytest.raises(Unavailable):
        resolve_public_addresses("none.example", 443)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0", "2130706433", "0x7f.1", "127.1", "::1", "::ffff:127.0.0.1"])
def test_spellings_of_this_machine_are_not_public(host: str) -> None:
    with pytest.raises((BadInput, Unavailable)):
        resolve_public_addresses(host, 80)
