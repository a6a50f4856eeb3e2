"""Requests to other servers, guarded against private addresses (SSRF), and a client for JSON.

A host name is resolved once, the addresses are checked, and the connection goes to a checked address, so that the name cannot
change in between. Redirects are not followed. Proxies from the environment are not used, because nothing could be checked behind
them. Time and size are limited.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from yearling.addresses import resolve_public_addresses
from yearling.errors import BadInput, Unavailable

TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 1 << 20
_NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)


class PublicAddressTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses only, except for the origins of `trusted_urls`, which the server's owner configured."""

    def __init__(
        self, trusted_urls: Collection[str], inner: httpx.AsyncBaseTransport | None = None, *, requires_tls: bool = True
    ) -> None:
        self._trusted = {_origin(url) for url in trusted_urls}
        self._requires_tls = requires_tls
        self._inner = inner or httpx.AsyncHTTPTransport(trust_env=False, limits=_NO_KEEP_ALIVE)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises BadInput for an address that is not public, or a request without TLS where that is required."""
        url = str(request.url)
        if _origin(url) not in self._trusted:
            if self._requires_tls and request.url.scheme != "https":
                raise BadInput(f"The request to {request.url.host} would not use TLS.", advice="Use an https address.")
            host = request.url.raw_host.decode("ascii")  # the name that was asked for, in the encoding of httpx
            addresses = await asyncio.to_thread(resolve_public_addresses, host, request.url.port or 443)
            # The certificate is still checked against the name, and the header Host is already set.
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=addresses[0])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class JsonFetcher:
    """Fetches JSON objects. The origin of `trusted_url` may have a private address."""

    def __init__(self, trusted_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport or PublicAddressTransport([trusted_url])

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Raises Unavailable unless the server returns a JSON object in time, BadInput for a forbidden address."""
        return await self._request("GET", url, headers or {}, b"")

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Raises like `get`."""
        return await self._request("POST", url, headers, body)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise BadInput(f"{parts.scheme}: is not the scheme of a valid web address.")
        headers = {"accept": "application/json", **headers}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client() as client,
                client.stream(method, url, headers=headers, content=body) as response,
            ):
                return _parse_object(response.status_code, await _read(response), parts.hostname)
        except TimeoutError:
            raise Unavailable(f"{parts.hostname} did not answer within {TIMEOUT_S:.0f} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{parts.hostname} cannot be reached: {type(error).__name__}.") from None

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=_BorrowedTransport(self._transport), follow_redirects=False, trust_env=False, timeout=TIMEOUT_S
        )


class _BorrowedTransport(httpx.AsyncBaseTransport):
    """A transport that stays open when the client that uses it closes."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)


async def _read(response: httpx.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_RESPONSE_BYTES:
            raise Unavailable(f"The response of {response.request.url.host} is larger than {MAX_RESPONSE_BYTES} bytes.")
    return bytes(data)


def _parse_object(status: int, data: bytes, host: str) -> dict[str, Any]:
    if status != 200:
        raise Unavailable(f"{host} answered with status {status}.")
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unavailable(f"{host} did not answer with a JSON object.")
    return value


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
