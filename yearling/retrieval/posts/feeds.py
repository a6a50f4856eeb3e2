"""Entries of an RSS or Atom feed. A feed is fetched whole each time, so an entry whose text changed replaces the earlier one.

An entry that leaves a feed is not deleted: feeds show only their newest entries.
"""

from __future__ import annotations

import asyncio
import calendar
import io
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

import feedparser

from yearling.retrieval.html_text import html_to_text
from yearling.retrieval.posts.events import MAX_NAME_CHARS, MAX_URI_CHARS, Post, StreamItem, clean_text, clean_url
from yearling.retrieval.web.fetching import FetchedPage, PageFetcher

FEED_TYPES = frozenset(
    {
        "application/atom+xml",
        "application/rdf+xml",
        "application/rss+xml",
        "application/xml",
        "text/html",
        "text/plain",
        "text/xml",
    }
)
"""Many servers send feeds as plain XML, and some as HTML or text."""
MAX_ENTRIES = 1_000


class FeedSource:
    """One feed."""

    def __init__(self, url: str, fetcher: PageFetcher) -> None:
        self._url, self._fetcher = url, fetcher

    async def read(self, cursor: str) -> AsyncGenerator[StreamItem, None]:
        """As `PostSource.read`: the entries that the feed has now, oldest first. It needs no cursor."""
        page = await self._fetcher.fetch(self._url, types=FEED_TYPES)
        for item in await asyncio.to_thread(read_feed, page):
            yield item


def read_feed(page: FetchedPage) -> list[StreamItem]:
    """The entries of a feed, oldest first."""
    # A file, not the bytes: feedparser takes a text that names a file for that file.
    feed = feedparser.parse(
        io.BytesIO(page.content), response_headers={"content-type": f"{page.media_type}; charset={page.charset}"}
    )
    title = clean_text(feed.feed.get("title"), MAX_NAME_CHARS)
    items = [_read_entry(entry, page, title) for entry in feed.entries[:MAX_ENTRIES]]
    if not items and feed.bozo:
        return [StreamItem(is_malformed=True)]
    return sorted(items, key=lambda item: item.event.created_utc if isinstance(item.event, Post) else page.fetched_utc)


def _read_entry(entry: Mapping[str, Any], page: FetchedPage, feed_title: str) -> StreamItem:
    link = clean_url(entry.get("link"))
    name = clean_text(entry.get("id"), MAX_URI_CHARS) or link
    contents = [part.get("value", "") for part in entry.get("content", ()) if isinstance(part, dict)]
    body = max([entry.get("summary", ""), *contents], key=len)
    title = html_to_text(str(entry.get("title", "")))
    text = "\n".join(part for part in (title, html_to_text(str(body))) if part)
    if not name or not text:
        return StreamItem(is_malformed=True)
    post = Post(
        uri=name if name.startswith(("http://", "https://", "urn:", "tag:")) else f"{page.url}#{name}"[:MAX_URI_CHARS],
        author=page.url[:MAX_NAME_CHARS],
        author_name=clean_text(entry.get("author"), MAX_NAME_CHARS) or feed_title,
        text=clean_text(text),
        created_utc=_time(entry, page.fetched_utc),
        url=link,
    )
    return StreamItem(event=post)


def _time(entry: Mapping[str, Any], seen_utc: datetime) -> datetime:
    parsed = entry.get("published_parsed") or entry.get("updated_parsed")
    try:
        return min(datetime.fromtimestamp(calendar.timegm(parsed), UTC), seen_utc) if parsed else seen_utc
    except (ValueError, OverflowError, TypeError):
        return seen_utc
