"""Outbound requests: to public addresses only, to the checked address, with limits on time and size."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.api.conftest import on_a_socket
from tests.test_addresses import PRIVATE, fake_resolver
from yearling import outbound as fetching
from yearling.errors import BadInput, Unavailable, UserError
from yearling.outbound import JsonFetcher, PublicAddressTransport

TRUSTED = "https://provider.example"


class Recorder(httpx.AsyncBaseTransport):
    """Records the addresses of connections."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.extensions.get("sni_hostname", "")
        self.requests.append((str(request.url), request.headers["host"], str(name)))
        return httpx.Response(200, json={"ok": True})


async def fetch(url: str) -> tuple[Any, Recorder]:
    recorder = Recorder()
    return await JsonFetcher(TRUSTED, PublicAddressTransport([TRUSTED], recorder)).get(url), recorder


@pytest.mark.parametrize("address", [address for address in PRIVATE if address and "%" not in address and "[" not in address])
async def test_private_addresses_are_rejected(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    for url in (f"https://{host}/x", f"http://{host}/x", f"https://{host}:8443/x"):
        recorder = Recorder()
        with pytest.raises(UserError):
            await JsonFetcher(TRUSTED, PublicAddressTransport([TRUSTED], recorder)).get(url)
        assert recorder.requests == []


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"])
async def test_names_that_resolve_to_private_addresses_are_rejected(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver("8.8.8.8", address))
    with pytest.raises(BadInput):
        await fetch("https://innocent.example/x")


async def test_connection_uses_the_checked_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name cannot resolve differently after the check: the connection uses the checked address; TLS and Host use the name."""
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver("8.8.8.8"))
    calls, recorder = await fetch("https://changing.example/x?y=1")
    assert calls == {"ok": True}
    assert recorder.requests == [("https://8.8.8.8/x?y=1", "changing.example", "changing.example")]


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/", "https:///", "x"]
)
async def test_other_schemes_are_rejected(url: str) -> None:
    with pytest.raises(UserError):
        await fetch(url)


async def test_credentials_in_urls_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput):
        await fetch("https://user:password@8.8.8.8/")


async def test_only_the_trusted_origin_may_be_private(monkeypatch: pytest.MonkeyPatch) -> None:
    _, recorder = await fetch(f"{TRUSTED}/keys")
    assert recorder.requests[0][0] == f"{TRUSTED}/keys"
    monkeypatch.setattr(socket, "getaddrinfo", fake_resolver("10.0.0.1"))
    for url in ("https://provider.example:8443/", "http://provider.example/", "https://a.provider.example/"):
        with pytest.raises(BadInput):
            await fetch(url)


@asynccontextmanager
async def served() -> AsyncGenerator[str, None]:
    async def large(_: Request) -> Response:
        async def chunks() -> AsyncGenerator[bytes, None]:
            for _ in range(100):
                yield b" " * 65536

        return StreamingResponse(chunks())

    async def slow(_: Request) -> Response:
        await asyncio.sleep(30)
        return JSONResponse({})

    async def elsewhere(_: Request) -> Response:
        return RedirectResponse("/fine")

    async def fine(_: Request) -> Response:
        return JSONResponse({"fine": True})

    routes = {"/large": large, "/slow": slow, "/elsewhere": elsewhere, "/fine": fine}
    async with on_a_socket(Starlette(routes=[Route(path, answer) for path, answer in routes.items()])) as address:
        yield address


async def test_size_time_and_redirects_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as address:
        fetcher = JsonFetcher(address)
        assert await fetcher.get(f"{address}/fine") == {"fine": True}
        for path, word in (("large", "bytes"), ("elsewhere", "307"), ("nothing", "404")):
            with pytest.raises(Unavailable, match=word):
                await fetcher.get(f"{address}/{path}")
        monkeypatch.setattr(fetching, "TIMEOUT_S", 0.3)
        with pytest.raises(Unavailable, match="answer"):
            await fetcher.get(f"{address}/slow")


async def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with served() as address:
        assert await JsonFetcher(address).get(f"{address}/fine") == {"fine": True}
