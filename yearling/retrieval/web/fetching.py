"""Fetches pages from public addresses, within stated limits of time, size and redirects.

Every hop is resolved, checked and connected to at a checked address (`yearling.outbound`). The body is decompressed here, so that
a small response cannot become a large one. Cookies are neither sent nor kept, and nothing in a page is run.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from email.message import Message

import httpx

from yearling.clock import now_utc
from yearling.errors import BadInput, Unavailable
from yearling.outbound import PublicAddressTransport
from yearling.retrieval.web.turn_urls import MAX_URL_CHARS

READABLE_TYPES = frozenset(
    {
        "application/atom+xml",
        "application/json",
        "application/pdf",
        "application/rss+xml",
        "application/xhtml+xml",
        "application/xml",
        "text/csv",
        "text/html",
        "text/markdown",
        "text/plain",
        "text/xml",
    }
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = frozenset({None, 80, 443, 8080, 8443})
"""Ports of web servers. A port of another service could take the request for something else."""
_HEADERS = {"accept": "text/html, application/pdf, text/plain;q=0.9, */*;q=0.1", "accept-encoding": "gzip, deflate"}
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What one page may cost."""

    timeout_s: float = 15.0
    max_bytes: int = 8 << 20
    """Size of the body after decompression."""
    max_redirects: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """A page as it was at one moment."""

    url: str
    """The address that was asked for."""
    final_url: str
    """The address that answered, after redirects."""
    media_type: str
    charset: str
    """The encoding that the server stated; empty if it stated none."""
    content: bytes
    fetched_utc: datetime


class PageFetcher:
    """Fetches pages. The origins of `trusted_urls`, which the owner configured, may have private addresses."""

    def __init__(
        self,
        *,
        trusted_urls: Collection[str] = (),
        limits: FetchLimits = FetchLimits(),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._trusted_urls = tuple(trusted_urls)
        self._limits = limits
        self._transport = transport

    async def fetch(self, url: str, *, types: Collection[str] = READABLE_TYPES) -> FetchedPage:
        """Fetch a page whose media type is one of `types`.

        Raises BadInput for an address that may not be fetched, or that leads to one, and Unavailable for whatever else keeps the
        page from being read: status, type, size, time, too many redirects.
        """
        address = check_url(url, self._trusted_urls)
        transport = PublicAddressTransport(self._trusted_urls, self._transport, requires_tls=False)
        try:
            async with (
                asyncio.timeout(self._limits.timeout_s),
                httpx.AsyncClient(
                    transport=transport, follow_redirects=False, trust_env=False, timeout=self._limits.timeout_s
                ) as client,
            ):
                for _ in range(self._limits.max_redirects + 1):
                    async with client.stream("GET", address, headers=_HEADERS) as response:
                        if response.status_code in _REDIRECTS and "location" in response.headers:
                            address = self._check_redirect(address, response.headers["location"])
                            client.cookies.clear()
                            continue
                        return await self._read(url, address, response, types)
                raise Unavailable(f"{address.host} redirects more than {self._limits.max_redirects} times.")
        except TimeoutError:
            raise Unavailable(f"{address.host} did not answer within {self._limits.timeout_s:.0f} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise Unavailable(f"{address.host} cannot be read: {type(error).__name__}.") from None

    def _check_redirect(self, address: httpx.URL, location: str) -> httpx.URL:
        """Where a redirect leads. A foreign page must not lead to the private origins that the owner trusts."""
        is_trusted = any(_same_origin(address, trusted) for trusted in self._trusted_urls)
        target = check_url(str(_join(address, location)), self._trusted_urls)
        if not is_trusted and any(_same_origin(target, trusted) for trusted in self._trusted_urls):
            raise BadInput(f"{address.host} redirects to an address that only the owner may name.")
        return target

    async def _read(self, url: str, address: httpx.URL, response: httpx.Response, types: Collection[str]) -> FetchedPage:
        if response.status_code != 200:
            raise Unavailable(f"{address.host} answered with status {response.status_code}.")
        media_type, charset = _content_type(response.headers.get("content-type", ""))
        if media_type not in types:
            raise Unavailable(f"{address.host} sent {media_type or 'no media type'}, which is not read.")
        content = await self._decompress(response, address.host)
        return FetchedPage(
            url=url, final_url=str(address), media_type=media_type, charset=charset, content=content, fetched_utc=now_utc()
        )

    async def _decompress(self, response: httpx.Response, host: str) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", *_WINDOW_BITS):
            raise Unavailable(f"{host} sent the compression {encoding[:40]!r}, which was not asked for.")
        limit, content = self._limits.max_bytes, bytearray()
        try:
            async for piece in _decoded(response.aiter_raw(), _WINDOW_BITS.get(encoding), limit):
                content += piece
                if len(content) > limit:
                    raise Unavailable(f"The page of {host} is larger than {limit:,} bytes.")
        except zlib.error:
            raise Unavailable(f"{host} sent damaged compressed data.") from None
        return bytes(content)


def check_url(url: str, trusted_urls: Collection[str] = ()) -> httpx.URL:
    """The parsed address. Raises BadInput unless it is a plain web address: http or https, a host, no password, a usual port."""
    if len(url) > MAX_URL_CHARS or any(character.isspace() or not character.isprintable() for character in url) or "\\" in url:
        raise BadInput("This is not a web address: it is too long, or has spaces or control characters.")
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise BadInput(f"{url[:100]!r} is not a web address.") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise BadInput(f"{url[:100]!r} is not an address that begins with http:// or https://.")
    if address.userinfo:
        raise BadInput("An address with a user name or password is not fetched.", advice="Remove what stands before the @.")
    is_trusted = any(_same_origin(address, trusted) for trusted in trusted_urls)
    if address.port not in _PORTS and not is_trusted:
        raise BadInput(f"The port {address.port} is none of a web server.", advice="Use the usual port.")
    return address


def _same_origin(address: httpx.URL, trusted: str) -> bool:
    other = httpx.URL(trusted)
    return (address.scheme, address.host, address.port) == (other.scheme, other.host, other.port)


def _join(address: httpx.URL, location: str) -> httpx.URL:
    try:
        return address.join(location)
    except (httpx.InvalidURL, UnicodeError):
        raise BadInput(f"{address.host} redirects to something that is not a web address.") from None


def _content_type(header: str) -> tuple[str, str]:
    """The media type in lower case, and the charset."""
    message = Message()
    message["content-type"] = header[:200]
    media_type = message.get_content_type() if header else ""
    return media_type, str(message.get_content_charset() or "")


async def _decoded(raw: AsyncIterator[bytes], window_bits: int | None, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces of at most `limit` + 1 bytes. Raises zlib.error."""
    if window_bits is None:
        async for piece in raw:
            yield piece
        return
    decoder = zlib.decompressobj(window_bits)
    async for piece in raw:
        while piece:
            if decoder.eof:  # gzip may have several members, one after the other
                decoder = zlib.decompressobj(window_bits)
            yield decoder.decompress(piece, limit + 1)  # what a bomb holds beyond this is never expanded
            piece = decoder.unused_data if decoder.eof else b""
    if not decoder.eof and not decoder.unconsumed_tail:
        raise zlib.error("the data end too early")
