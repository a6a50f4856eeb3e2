"""Mastodon's stream, feeds, and folders of JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from yearling.clock import now_utc
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.html_text import html_to_text
from yearling.retrieval.posts.events import CursorTooOldError, Post, PostDeleted, PostSource, StreamItem
from yearling.retrieval.posts.feeds import read_feed
from yearling.retrieval.posts.jsonl_folder import MAX_LINE_BYTES, JsonlFolderSource
from yearling.retrieval.posts.mastodon import MAX_MISSED, MastodonSource
from yearling.retrieval.web.fetching import FetchedPage


async def take(source: PostSource, count: int, cursor: str = "") -> list[StreamItem]:
    items: list[StreamItem] = []
    async with asyncio.timeout(20), aclosing(source.read(cursor)) as stream:
        async for item in stream:
            items.append(item)
            if len(items) == count:
                break
    return items


def texts(items: list[StreamItem]) -> list[str]:
    return [item.event.text for item in items if isinstance(item.event, Post)]


def status(number: int, **changes: Any) -> dict[str, Any]:
    account = {"acct": "ann", "display_name": "Ann", "url": "https://m.example/@ann"}
    content = f"<p>post {number}<br>more</p><script>x</script>"
    values = {"id": str(number), "account": account, "content": content, "reblog": None}
    return {
        **values,
        "created_at": "2026-11-30T10:00:00.000Z",
        "url": f"https://m.example/@ann/{number}",
        "language": "en",
        **changes,
    }


class Mastodon(httpx.AsyncBaseTransport):
    """A Mastodon server with a timeline of posts 1 to `newest`, and a stream of given bytes."""

    def __init__(self, *pieces: bytes, newest: int = 0) -> None:
        self.pieces, self.newest = pieces, newest
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if "timelines" not in request.url.path:
            return httpx.Response(200, stream=_Stream(self.pieces))
        first = int(request.url.params["min_id"]) + 1
        page = [status(number) for number in range(first, min(first + 40, self.newest + 1))]
        return httpx.Response(200, json=page[::-1])


class _Stream(httpx.AsyncByteStream):
    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


async def test_mastodon_sends_edits_and_deletes_posts() -> None:
    stream = b":thump\n\n" + event("update", status(7)) + event("status.update", status(7, content="edited\u2028here"))
    stream += event("delete", "7") + event("notification", {}) + event("update", status(8, reblog={})) + event("update", "x")
    stream += event("update", status(9, visibility="private")) + event("delete", "../x") + b"event: update\r\ndata: {}\r\n\r\n"
    pieces = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    items = await take(MastodonSource("https://m.example/", transport=Mastodon(*pieces)), 99)
    assert texts(items) == ["post 7\nmore", "edited here"]
    post = items[0].event
    assert isinstance(post, Post)
    assert (post.uri, post.author, post.author_name) == ("https://m.example/statuses/7", "https://m.example/@ann", "Ann")
    assert post.created_utc == datetime(2026, 11, 30, 10, tzinfo=UTC)
    assert items[2].event == PostDeleted(uri=post.uri)
    assert [item.is_malformed for item in items] == [False] * 5 + [True, False, True, True]


async def test_mastodon_fills_the_gap_after_a_cut() -> None:
    server = Mastodon(event("update", status(101)), newest=100)
    items = await take(MastodonSource("https://m.example", transport=server), 99, cursor="10")
    assert texts(items) == [f"post {number}\nmore" for number in range(11, 102)]
    assert server.paths[:2] == ["/api/v1/streaming/public", "/api/v1/timelines/public"]
    with pytest.raises(CursorTooOldError, match="oldest of them"):
        await take(MastodonSource("https://m.example", transport=Mastodon(newest=1000)), 2 * MAX_MISSED, cursor="1")
    with pytest.raises(BadInput):
        await take(MastodonSource("https://m.example", transport=server), 1, cursor="x")


async def test_mastodon_endless_lines_are_cut() -> None:
    with pytest.raises(Unavailable, match="too long"):
        await take(MastodonSource("https://m.example", transport=Mastodon(*[b"x" * 100_000] * 20)), 1)
    with pytest.raises(Unavailable, match="too long"):
        await take(MastodonSource("https://m.example", transport=Mastodon(*[b"data: xxxxxxxxxxxxxxxx\n" * 5_000] * 20)), 1)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One &amp; two</p><p>three<br/>four</p>", "One & two\nthree\nfour"),
        ("<a href='javascript:x'>link</a> <b>bold", "link bold"),
        ("<style>p{}</style><script>alert(1)</script>text", "text"),
        ("<" * 1000, "<" * 1000),
        ("before <![foo[bar]]> after", "before"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


def feed_page(content: bytes) -> FetchedPage:
    url = "https://a.example/feed"
    return FetchedPage(
        url=url, final_url=url, media_type="application/rss+xml", charset="utf-8", content=content, fetched_utc=now_utc()
    )


def test_rss_and_atom() -> None:
    rss = """<rss version="2.0"><channel><title>News</title>
      <item><guid>b</guid><title>Second</title><description>&lt;p&gt;Body&lt;/p&gt;</description>
        <link>https://a.example/b</link><pubDate>Mon, 30 Nov 2026 11:00:00 GMT</pubDate></item>
      <item><guid>a</guid><title>第一</title><pubDate>Mon, 30 Nov 2026 10:00:00 GMT</pubDate></item>
      <item><description></description></item></channel></rss>"""
    items = read_feed(feed_page(rss.encode()))
    assert texts(items) == ["第一", "Second\nBody"]
    assert sum(item.is_malformed for item in items) == 1
    post = items[1].event
    assert isinstance(post, Post)
    assert (post.uri, post.author_name, post.url) == ("https://a.example/feed#b", "News", "https://a.example/b")
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Log</title><entry><id>urn:1</id><title>T</title>
      <author><name>Ann</name></author><link href="javascript:alert(1)"/><updated>2999-01-01T00:00:00Z</updated>
      <content type="html">&lt;script&gt;x&lt;/script&gt;long body</content></entry></feed>"""
    (item,) = read_feed(feed_page(atom.encode()))
    assert isinstance(item.event, Post)
    assert (item.event.uri, item.event.author_name, item.event.text, item.event.url) == ("urn:1", "Ann", "T\nlong body", "")
    assert item.event.created_utc <= now_utc()


@pytest.mark.parametrize(
    "content", [b"", b"no feed", b"<rss>" * 10_000, b'<!DOCTYPE x [<!ENTITY a "b">]><rss>&a;</rss>', b"\xff\xfe"]
)
def test_what_is_no_feed_gives_no_posts(content: bytes) -> None:
    assert texts(read_feed(feed_page(content))) == []


def test_feed_that_names_a_file_does_not_open_it(tmp_path: Path) -> None:
    path = tmp_path / "secret.rss"
    path.write_text("<rss version='2.0'><channel><item><guid>x</guid><title>secret</title></item></channel></rss>")
    assert texts(read_feed(feed_page(str(path).encode()))) == []


async def test_folder_is_read_where_it_was_left(tmp_path: Path) -> None:
    def line(number: int, **changes: Any) -> str:
        return json.dumps({"uri": f"u{number}", "text": f"post {number}", "created": "2026-11-30T10:00:00Z", **changes}) + "\n"

    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(line(1) + "broken\n\n" + line(2, deleted=True) + line(3)[:-5])
    second.write_text(line(4, author="ann", url="ftp://x"))
    source = JsonlFolderSource(tmp_path, poll_s=0.01)
    items = await take(source, 5)
    assert texts(items) == ["post 1", "post 4"]
    assert items[3].event == PostDeleted(uri="u2")
    assert [item.is_malformed for item in items] == [False, True, False, False, False]
    cursor = items[-1].cursor
    with first.open("a") as file:
        file.write(line(3)[-5:] + "x" * (2 * MAX_LINE_BYTES) + "\n" + line(5))
    items = await take(source, 3, cursor=cursor)
    assert texts(items) == ["post 3", "post 5"]
    assert items[1].is_malformed
    first.write_text(line(6))  # another file with the old name
    assert texts(await take(source, 1, cursor=items[-1].cursor)) == ["post 6"]
    for broken in ("x", "[]", '{"a": -1}', '{"a": "b"}'):
        with pytest.raises(BadInput):
            await take(source, 1, cursor=broken)
