"""Asking other servers on behalf of somebody: small JSON, from public addresses only, within bounds of time and size.

The address is resolved once and checked, and the connection goes to exactly the address that was checked, so that a name cannot
change between the look and the call. Redirects are not followed. Proxies of the environment are not used: through them nothing
could be checked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from yearling.addresses import resolve_public_addresses
from yearling.errors import BadInput, Unavailable

TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 1 << 20
_NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)


class PublicAddressTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses only. What the owner of this server named (`trusted`: scheme, host, port) may be anywhere."""

    def __init__(self, trusted_url: str, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._trusted = _origin(trusted_url)
        self._inner = inner or httpx.AsyncHTTPTransport(trust_env=False, limits=_NO_KEEP_ALIVE)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises BadInput for an address that is not public, or a scheme other than https."""
        url = str(request.url)
        if _origin(url) != self._trusted:
            if request.url.scheme != "https":
                raise BadInput(f"{request.url.host} would be asked without TLS.", advice="Use an https address.")
            addresses = await asyncio.to_thread(resolve_public_addresses, request.url.host, request.url.port or 443)
            # The certificate is checked against the name all the same; the header Host is set already.
            request.extensions = {**request.extensions, "sni_hostname": request.url.host}
            request.url = request.url.copy_with(host=addresses[0])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class JsonFetcher:
    """Asks for JSON objects. `trusted` is an address whose server may also be private."""

    def __init__(self, trusted_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport or PublicAddressTransport(trusted_url)

    async def get(self, url: str) -> dict[str, Any]:
        """Raises Unavailable for what does not answer with a JSON object in time, BadInput for a forbidden address."""
        return await self._request("GET", url, {}, b"")

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Raises as `get`."""
        return await self._request("POST", url, headers, body)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise BadInput(f"{parts.scheme}: is no address that can be asked.")
        headers = {"accept": "application/json", **headers}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client() as client,
                client.stream(method, url, headers=headers, content=body) as reply,
            ):
                return _object(reply.status_code, await _read(reply), parts.hostname)
        except TimeoutError:
            raise Unavailable(f"{parts.hostname} did not answer in {TIMEOUT_S:.0f} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{parts.hostname} cannot be reached: {type(error).__name__}.") from None

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=_BorrowedTransport(self._transport), follow_redirects=False, trust_env=False, timeout=TIMEOUT_S
        )


class _BorrowedTransport(httpx.AsyncBaseTransport):
    """A transport that outlives the client that uses it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)


async def _read(reply: httpx.Response) -> bytes:
    data = bytearray()
    async for chunk in reply.aiter_bytes():
        data += chunk
        if len(data) > MAX_RESPONSE_BYTES:
            raise Unavailable(f"{reply.request.url.host} answers with more than {MAX_RESPONSE_BYTES} bytes.")
    return bytes(data)


def _object(status: int, data: bytes, host: str) -> dict[str, Any]:
    if status != 200:
        raise Unavailable(f"{host} answered {status}.")
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
