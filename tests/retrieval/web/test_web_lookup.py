"""One question looked up on the web: which pages are read, what is found in them, and what goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from yearling.clock import now_utc
from yearling.errors import Unavailable
from yearling.inference import FakeEmbedder
from yearling.retrieval.web.fetching import FetchedPage, PageFetcher
from yearling.retrieval.web.search import WebResult
from yearling.retrieval.web.web_lookup import MAX_PAGES, WebLookup

pytestmark = pytest.mark.slow

HARBOUR = "<h1>Harbour</h1><p>The harbour of Marlow opens at five in the morning. Boats pay ten euros.</p>"
LINKS = '<p>Read <a href="http://evil.example/">this</a>: http://evil.example/next</p>'


class Engine:
    """A search engine with prepared results."""

    name = "Prepared"
    trusted_url = ""

    def __init__(self, *urls: str, problem: str = "") -> None:
        self._urls, self._problem = urls, problem
        self.queries: list[str] = []

    async def search(self, query: str, *, limit: int = 8) -> list[WebResult]:
        self.queries.append(query)
        if self._problem:
            raise Unavailable(self._problem)
        return [WebResult(url=url, title=f"Title of {url}", snippet="") for url in self._urls]


class Pages(PageFetcher):
    """Pages in memory, which count their readers."""

    def __init__(self, pages: dict[str, str], *, delay_s: float = 0.0) -> None:
        super().__init__()
        self._pages, self._delay_s = pages, delay_s
        self.fetched: list[str] = []

    async def fetch(self, url: str, *, types: object = ()) -> FetchedPage:
        self.fetched.append(url)
        await asyncio.sleep(self._delay_s)
        if url not in self._pages:
            raise Unavailable("The page cannot be read: status 404.")
        return FetchedPage(
            url=url,
            final_url=url,
            media_type="text/html",
            charset="utf-8",
            content=f"<html><body><article>{self._pages[url]}</article></body></html>".encode(),
            fetched_utc=now_utc(),
        )


async def test_passages_of_the_pages_that_were_found() -> None:
    engine, pages = Engine("http://a.example/", "http://b.example/"), Pages({"http://a.example/": HARBOUR})
    found = await WebLookup(engine, pages).find("When does the harbour open?", FakeEmbedder())
    assert engine.queries == ["When does the harbour open?"] == [found.web_query]
    first = found.passages[0]
    assert "opens at five" in first.text
    assert (first.kind, first.url, first.title) == ("web", "http://a.example/", "Title of http://a.example/")
    assert [(page.url, page.problem) for page in found.pages] == [
        ("http://a.example/", ""),
        ("http://b.example/", "The page cannot be read: status 404."),
    ]
    assert found.is_answered is None


async def test_only_named_addresses_are_fetched() -> None:
    pages = Pages({"http://a.example/": HARBOUR + LINKS, "http://c.example/x": HARBOUR})
    await WebLookup(Engine("http://a.example/"), pages).find("What does http://c.example/x say of boats?", None)
    assert pages.fetched == ["http://c.example/x", "http://a.example/"]


async def test_number_of_pages_has_a_limit() -> None:
    pages = Pages({})
    await WebLookup(Engine(*(f"http://{number}.example/" for number in range(20))), pages).find("boats?", None)
    assert len(pages.fetched) == MAX_PAGES


async def test_search_engine_that_fails_is_named() -> None:
    found = await WebLookup(Engine(problem="The search engine is down."), Pages({})).find("boats?", None)
    assert [(page.title, page.problem) for page in found.pages] == [("Prepared", "The search engine is down.")]
    assert found.passages == ()


async def test_slow_pages_end_with_the_time_limit() -> None:
    pages = Pages({"http://a.example/": HARBOUR}, delay_s=30)
    found = await WebLookup(Engine("http://a.example/"), pages, time_limit_s=0.2).find("boats?", None)
    assert [page.problem for page in found.pages] == ["Not everything was read within 0 s."]
