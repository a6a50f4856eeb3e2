"""Search engines behind one protocol. Which one is asked, and with which key, is the owner's choice; without one, nothing leaves.

SearXNG (its JSON format has to be switched on in its settings; it takes no count), Brave Search, Tavily, and Kiwix, which serves
books such as Wikipedia without the internet.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin

import feedparser
import httpx

from yearling.errors import BadInput, Unavailable
from yearling.outbound import JsonFetcher, PublicAddressTransport
from yearling.retrieval.html_text import html_to_text
from yearling.retrieval.web.fetching import FetchLimits, PageFetcher, check_url

MAX_QUERY_CHARS = 400
MAX_RESULTS = 20
_MAX_TITLE_CHARS, _MAX_SNIPPET_CHARS = 300, 1_000
_BRAVE = "https://api.search.brave.com/res/v1/web/search"
_TAVILY = "https://api.tavily.com/search"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebResult:
    """One result of a search engine. Title and snippet are plain text."""

    url: str
    title: str
    snippet: str
    published_utc: datetime | None = None


class WebSearch(Protocol):
    """A search engine."""

    name: str
    """What people call it."""
    trusted_url: str
    """The address that the owner gave, whose origin may be private; empty for a public service."""

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        """At most `limit` results, best first, each address once. Raises BadInput for an empty query, and Unavailable."""
        ...


class SearxngSearch:
    """An instance of SearXNG."""

    name = "SearXNG"

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.trusted_url = url
        self._fetcher = _json_fetcher(url, transport)

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        """As `WebSearch.search`."""
        parameters = urlencode({"q": checked_query(query), "format": "json"})
        try:
            found = await self._fetcher.get(f"{self.trusted_url.rstrip('/')}/search?{parameters}")
        except Unavailable as error:
            if str(error).endswith("status 403."):
                raise Unavailable(
                    "SearXNG refuses to answer in JSON.", advice="Add `json` to `search.formats` in its settings.yml."
                ) from None
            raise
        return _results(_rows(_entries(found), "content", "publishedDate"), limit)


class BraveSearch:
    """Brave Search, with a key of its web search API."""

    name = "Brave Search"
    trusted_url = ""

    def __init__(self, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._key = key
        self._fetcher = _json_fetcher("", transport)

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        """As `WebSearch.search`."""
        parameters = urlencode({"q": checked_query(query), "count": min(limit, MAX_RESULTS), "text_decorations": "false"})
        found = await self._fetcher.get(f"{_BRAVE}?{parameters}", headers={"x-subscription-token": self._key})
        web = found.get("web")
        entries = _entries(web if isinstance(web, dict) else {})
        return _results(_rows(entries, "description", "page_age"), limit)


class TavilySearch:
    """Tavily, with a key of its API."""

    name = "Tavily"
    trusted_url = ""

    def __init__(self, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._key = key
        self._fetcher = _json_fetcher("", transport)

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        """As `WebSearch.search`."""
        body = {"query": checked_query(query), "max_results": min(limit, MAX_RESULTS), "search_depth": "basic"}
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        found = await self._fetcher.post(_TAVILY, headers=headers, body=json.dumps(body).encode())
        return _results(_rows(_entries(found), "content", "published_date"), limit)


class KiwixSearch:
    """A Kiwix server, which has its books on a disk of the owner's and asks nobody else."""

    name = "Kiwix"

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.trusted_url = url
        self._fetcher = PageFetcher(trusted_urls=[url], limits=FetchLimits(max_bytes=1 << 20), transport=transport)

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        """As `WebSearch.search`."""
        base = self.trusted_url.rstrip("/")
        count = min(limit, MAX_RESULTS)
        parameters = urlencode({"pattern": checked_query(query), "format": "xml", "pageLength": count})
        page = await self._fetcher.fetch(f"{base}/search?{parameters}")
        feed = await asyncio.to_thread(feedparser.parse, io.BytesIO(page.content))  # the bytes could name a file
        entries = [{**entry, "url": urljoin(f"{base}/", entry.get("link", ""))} for entry in feed.entries]
        return _results(_rows(entries, "summary", ""), limit, trusted=[base])


def checked_query(query: str) -> str:
    """A query in one line and of limited length. Raises BadInput for an empty one."""
    query = " ".join(query.split())[:MAX_QUERY_CHARS].strip()
    if not query:
        raise BadInput("There is nothing to search for.", advice="Write a question.")
    return query


def _json_fetcher(url: str, transport: httpx.AsyncBaseTransport | None) -> JsonFetcher:
    trusted = [url] if url else []
    return JsonFetcher(url, PublicAddressTransport(trusted, transport))


def _entries(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = found.get("results")
    return [entry for entry in results if isinstance(entry, dict)] if isinstance(results, list) else []


_Row = tuple[object, object, object, object]
"""Address, title, snippet and date of a result."""


def _rows(entries: Iterable[Mapping[str, Any]], snippet: str, published: str) -> Iterator[_Row]:
    """The rows of an answer, whose snippets and dates have these names."""
    return ((entry.get("url"), entry.get("title"), entry.get(snippet), entry.get(published)) for entry in entries)


def _results(rows: Iterable[_Row], limit: int, *, trusted: Collection[str] = ()) -> list[WebResult]:
    """The rows that can be opened, each address once."""
    found: dict[str, WebResult] = {}
    for url, title, snippet, published in rows:
        if len(found) >= min(limit, MAX_RESULTS):
            break
        try:
            address = str(check_url(str(url), trusted))
        except BadInput:
            continue  # a search engine may list what is no web page
        found.setdefault(
            address,
            WebResult(
                url=address,
                title=_plain(title)[:_MAX_TITLE_CHARS] or address,
                snippet=_plain(snippet)[:_MAX_SNIPPET_CHARS],
                published_utc=_date(published),
            ),
        )
    return list(found.values())


def _plain(text: object) -> str:
    """Text without tags, entities and line breaks."""
    return " ".join(html_to_text(str(text or "")[:10_000]).split())


def _date(value: object) -> datetime | None:
    """A date in the format of ISO 8601 or RFC 2822; None for anything else."""
    if not isinstance(value, str):
        return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = parse(value[:40])
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    return None
