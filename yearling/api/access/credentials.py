"""What a request shows before anyone is looked up: keys, cookies and addresses.

`origins.py` checks hosts and pages, `registry.py` finds the caller, `policy.py` decides what the caller may do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.types import Scope

from yearling.addresses import network_of
from yearling.api.access.policy import unauthenticated_error

RawHeaders = list[tuple[bytes, bytes]]

SESSION_COOKIE = "yearling_session"

UNAUTHENTICATED_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths on which the gate authenticates nobody."""


def extract_api_key(headers: RawHeaders) -> str | None:
    """The API key of a request, from `x-api-key` or `authorization`; None without one.

    Raises ApiError (401) for two different keys.
    """
    keys = set()
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            keys.add(text)
        elif name == b"authorization":
            scheme, _, key = text.partition(" ")
            keys.add(key.strip() if scheme.lower() == "bearer" else text)
    if len(keys) > 1:
        raise unauthenticated_error("The request contains two different API keys.")
    return keys.pop() if keys else None


def read_cookie(headers: RawHeaders, name: str) -> str:
    """The value of a cookie; empty if the cookie is missing, or sent twice, which happens only if someone planted one."""
    values = []
    for header, value in headers:
        if header == b"cookie":
            pairs = (pair.strip().partition("=") for pair in value.decode("latin-1").split(";"))
            values += [content for key, _, content in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def client_networks(scope: Scope, trusted_proxies: Collection[str]) -> tuple[str, ...]:
    """The networks that a request comes from, nearest to the client first, for limits. The last one cannot be forged.

    That is the address which trusted proxies report in `x-forwarded-for`, otherwise the peer's. If a peer that is not trusted
    reports an address, that is named first, together with the peer: many people may share an unconfigured proxy.
    """
    peer = str((scope.get("client") or ("", 0))[0])
    forwarded = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    entries = reversed(forwarded.split(",")) if forwarded else iter(())
    address = peer
    while address in trusted_proxies:
        # Of the reported addresses, the last one that is not a trusted proxy counts. Clients can forge those before it.
        reported = _parse_address(next(entries, ""))
        if reported is None:
            return (network_of(address),)
        address = reported
    if address == peer and forwarded:
        claimed = _parse_address(next(entries, ""))
        return (f"{network_of(claimed or '?')} through {network_of(peer)}", network_of(peer))
    return (network_of(address),)


def _parse_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
