"""Pages are fetched from public addresses only, whatever leads there, and within limits."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.test_addresses import PRIVATE, fake_resolver
from yearling.errors import BadInput, Unavailable, UserError
from yearling.retrieval.web.fetching import FetchLimits, PageFetcher

HTML = {"content-type": "text/html; charset=UTF-8"}

HOSTILE = [
    *(f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in PRIVATE if address and address[0] != "["),
    "https://localhost/",
    "http://localhost.localdomain/",
    "http://0/",
    "http://0.0.0.0/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "https://user:password@8.8.8.8/",
    "https://8.8.8.8@127.0.0.1/",
    "http://127.0.0.1\\@8.8.8.8/",
    "http://8.8.8.8:25/",
    "http://8.8.8.8:6379/",
    "http://8.8.8.8:99999/",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://8.8.8.8/",
    "gopher://8.8.8.8/_GET",
    "data:text/html,x",
    "javascript:alert(1)",
    "jar:http://8.8.8.8!/",
    "//8.8.8.8/",
    "http:///etc/passwd",
    "http://",
    "8.8.8.8",
    "",
    "http://8.8.8.8/ x",
    "http://8.8.8.8/\r\nHost: internal",
    "http://8.8.8.8/\x00",
    "http://8.8.8.8/" + "a" * 5000,
    "http://" + "a" * 300 + "/",
]


class Web(httpx.AsyncBaseTransport):
    """Answers by address, and records where connections went."""

    def __init__(self, answers: dict[str, Callable[[], httpx.Response]]) -> None:
        self.answers = answers
        self.requested: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requested.append(str(request.url))
        url = str(request.url.copy_with(host=request.headers["host"].partition(":")[0]))
        return self.answers[url]()


class Body(httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def page(text: bytes = b"<p>Hello</p>", headers: dict[str, str] | None = None) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(200, headers={**HTML, **(headers or {})}, stream=Body(text))


def redirect(location: str) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(302, headers=[(b"location", location.encode()), (b"set-cookie", b"a=b")], stream=Body())


@pytest.fixture(autouse=True)
def _resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are public, and addresses are themselves."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> Any:
        if host.endswith(".example"):
            return fake_resolver("10.0.0.1" if host.startswith("inside") else "8.8.8.8")(host, port)
        return real(host, port, flags=socket.AI_NUMERICHOST, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_there_are_at_least_sixty_hostile_addresses() -> None:
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("url", HOSTILE)
async def test_hostile_addresses_are_not_fetched(url: str) -> None:
    web = Web({})
    with pytest.raises(UserError):
        await PageFetcher(transport=web).fetch(url)
    assert web.requested == []


@pytest.mark.parametrize("url", [url for url in HOSTILE if url and not url.startswith(("8.8", "//")) and " " not in url])
async def test_redirects_to_hostile_addresses_are_not_followed(url: str) -> None:
    web = Web({"https://open.example/": redirect(url)})
    with pytest.raises(UserError):
        await PageFetcher(transport=web).fetch("https://open.example/")
    assert web.requested == ["https://8.8.8.8/"]


async def test_name_that_changes_its_address_is_checked_at_every_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the connection goes to the address that was checked, and the next hop is checked again."""
    addresses = iter(["8.8.8.8", "127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: fake_resolver(next(addresses))(host, port))
    web = Web({"https://changing.example/": redirect("https://changing.example/again")})
    with pytest.raises(BadInput, match="not public"):
        await PageFetcher(transport=web).fetch("https://changing.example/")
    assert web.requested == ["https://8.8.8.8/"]


async def test_page_is_read_after_redirects() -> None:
    web = Web(
        {
            "http://a.example/x": redirect("/y"),
            "http://a.example/y": redirect("https://b.example/z"),
            "https://b.example/z": page(),
        }
    )
    found = await PageFetcher(transport=web).fetch("http://a.example/x")
    assert (found.url, found.final_url) == ("http://a.example/x", "https://b.example/z")
    assert (found.media_type, found.charset, found.content) == ("text/html", "utf-8", b"<p>Hello</p>")


async def test_fragment_is_no_part_of_the_host() -> None:
    web = Web({"http://8.8.8.8#@127.0.0.1/": page()})
    await PageFetcher(transport=web).fetch("http://8.8.8.8#@127.0.0.1/")
    assert web.requested == ["http://8.8.8.8#@127.0.0.1/"]


async def test_redirects_end() -> None:
    web = Web({f"https://a.example/{number}": redirect(f"/{number + 1}") for number in range(10)})
    with pytest.raises(Unavailable, match="redirects more than 5 times"):
        await PageFetcher(transport=web).fetch("https://a.example/0")
    assert len(web.requested) == 6


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bodies_are_decompressed_up_to_the_limit(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    small, bomb = compress(b"<p>Hello</p>"), compress(bytes(50_000_000))
    headers = {"content-encoding": encoding}
    web = Web({"https://a.example/": page(small, headers), "https://b.example/": page(bomb, headers)})
    fetcher = PageFetcher(transport=web, limits=FetchLimits(max_bytes=100_000))
    assert (await fetcher.fetch("https://a.example/")).content == b"<p>Hello</p>"
    with pytest.raises(Unavailable, match="larger than 100,000 bytes"):
        await fetcher.fetch("https://b.example/")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (page(bytes(200_000)), "larger than"),
        (page(headers={"content-type": "video/mp4"}), "video/mp4"),
        (page(headers={"content-type": ""}), "no media type"),
        (page(headers={"content-type": "image/svg+xml"}), "svg"),
        (page(headers={"content-encoding": "br"}), "compression"),
        (page(b"damaged", {"content-encoding": "gzip"}), "damaged"),
        (lambda: httpx.Response(404, headers=HTML), "status 404"),
        (lambda: httpx.Response(500, headers=HTML), "status 500"),
        (lambda: httpx.Response(302, headers=HTML), "status 302"),
    ],
)
async def test_what_cannot_be_read_says_why(answer: Callable[[], httpx.Response], why: str) -> None:
    fetcher = PageFetcher(transport=Web({"https://a.example/": answer}), limits=FetchLimits(max_bytes=100_000))
    with pytest.raises(Unavailable, match=why):
        await fetcher.fetch("https://a.example/")


async def test_only_the_owners_origin_may_be_private() -> None:
    web = Web({"http://inside.example:8888/search": page()})
    fetcher = PageFetcher(transport=web, trusted_urls=["http://inside.example:8888"])
    assert (await fetcher.fetch("http://inside.example:8888/search")).content
    for url in ("http://inside.example/", "https://inside.example:8888/", "http://inside2.example:8888/"):
        with pytest.raises(BadInput):
            await fetcher.fetch(url)


async def test_foreign_page_does_not_lead_to_the_owners_private_origin() -> None:
    inside = "http://inside.example:8888"
    web = Web({"https://evil.example/": redirect(f"{inside}/admin"), f"{inside}/a": redirect("/b"), f"{inside}/b": page()})
    fetcher = PageFetcher(transport=web, trusted_urls=[inside])
    with pytest.raises(BadInput, match="only the owner"):
        await fetcher.fetch("https://evil.example/")
    assert (await fetcher.fetch(f"{inside}/a")).final_url == f"{inside}/b"


async def test_compressed_pages_are_whole_or_refused() -> None:
    gzipped = {"content-encoding": "gzip"}
    members = gzip.compress(b"one ") + gzip.compress(b"two")
    cut = gzip.compress(bytes(range(256)) * 50)[:-20]
    web = Web({"https://a.example/": page(members, gzipped), "https://b.example/": page(cut, gzipped)})
    assert (await PageFetcher(transport=web).fetch("https://a.example/")).content == b"one two"
    with pytest.raises(Unavailable, match="damaged"):
        await PageFetcher(transport=web).fetch("https://b.example/")


async def test_name_is_resolved_as_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"]

    monkeypatch.setattr("yearling.outbound.resolve_public_addresses", resolve)
    web = Web({"https://8.8.8.8/": page(), "https://xn--fa-hia.de/": page()})
    await PageFetcher(transport=web).fetch("https://fa\u00df.de/")
    assert asked == ["xn--fa-hia.de"]  # and not fass.de, which is another domain
