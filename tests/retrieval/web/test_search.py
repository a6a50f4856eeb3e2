"""Search engines as their documentation describes them, and what a broken or hostile one can do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from tests.retrieval.web.test_fetching import Body
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.web.search import MAX_QUERY_CHARS, BraveSearch, KiwixSearch, SearxngSearch, TavilySearch, WebSearch


class Engine(httpx.AsyncBaseTransport):
    def __init__(self, body: object, status: int = 200, media_type: str = "application/json") -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.media_type = status, media_type
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return httpx.Response(self.status, headers={"content-type": self.media_type}, stream=Body(self.body))


@pytest.fixture(autouse=True)
def _resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.outbound.resolve_public_addresses", lambda host, port: ["8.8.8.8"])


async def test_searxng() -> None:
    engine = Engine(
        {
            "query": "q",
            "results": [
                {"url": "https://a.example/1", "title": "<b>One</b> &amp; two", "content": "First\n text",
                 "publishedDate": "2026-11-30T10:00:00"},
                {"url": "https://a.example/1", "title": "again", "content": ""},
                {"url": "javascript:alert(1)", "title": "x", "content": ""},
                {"url": "https://a.example/2", "title": None, "content": None, "publishedDate": "soon"},
            ],
        }
    )  # fmt: skip
    results = await SearxngSearch("http://127.0.0.1:8888/", engine).search("  two\n words ")
    assert [(result.url, result.title, result.snippet) for result in results] == [
        ("https://a.example/1", "One & two", "First text"),
        ("https://a.example/2", "https://a.example/2", ""),
    ]
    assert results[0].published_utc == datetime(2026, 11, 30, 10, tzinfo=UTC)
    assert str(engine.requests[0].url) == "http://127.0.0.1:8888/search?q=two+words&format=json"


async def test_searxng_without_json_says_what_to_switch_on() -> None:
    with pytest.raises(Unavailable, match=r"search\.formats"):
        await SearxngSearch("http://127.0.0.1:8888", Engine({}, 403)).search("q")


async def test_brave() -> None:
    engine = Engine(
        {
            "web": {
                "results": [
                    {
                        "url": "https://a.example/",
                        "title": "A",
                        "description": "<strong>x</strong>",
                        "page_age": "2026-01-02T03:04:05",
                    }
                ]
            }
        }
    )
    results = await BraveSearch("secret", engine).search("q", limit=50)
    assert [(result.title, result.snippet, result.published_utc) for result in results] == [
        ("A", "x", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    ]
    request = engine.requests[0]
    assert request.headers["x-subscription-token"] == "secret"
    assert "secret" not in str(request.url)
    assert "count=20" in str(request.url)


async def test_tavily() -> None:
    engine = Engine(
        {
            "results": [
                {"url": "https://a.example/", "title": "A", "content": "x", "published_date": "Mon, 30 Nov 2026 10:00:00 GMT"}
            ]
        }
    )
    results = await TavilySearch("secret", engine).search("q", limit=3)
    assert results[0].published_utc == datetime(2026, 11, 30, 10, tzinfo=UTC)
    request = engine.requests[0]
    assert request.headers["authorization"] == "Bearer secret"
    assert json.loads(request.content)["max_results"] == 3


async def test_kiwix() -> None:
    feed = b"""<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Search</title><item><title>Cat</title>
    <link>/content/wikipedia/A/Cat</link><description>A &lt;b&gt;cat&lt;/b&gt; is</description></item></channel></rss>"""
    engine = Engine(feed, media_type="application/rss+xml")
    results = await KiwixSearch("http://127.0.0.1:8081", engine).search("cat")
    assert [(result.url, result.title, result.snippet) for result in results] == [
        ("http://127.0.0.1:8081/content/wikipedia/A/Cat", "Cat", "A cat is")
    ]


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": [1, "x", None, {}]}, {"web": 3}, {"web": {"results": {}}}])
async def test_answers_of_another_shape_give_no_results(body: object) -> None:
    engines: list[WebSearch] = [
        SearxngSearch("http://127.0.0.1:1", Engine(body)),
        BraveSearch("k", Engine(body)),
        TavilySearch("k", Engine(body)),
    ]
    for engine in engines:
        assert await engine.search("q") == []


@pytest.mark.parametrize(("body", "status"), [(b"no json", 200), (b"[]", 200), (b"{}", 500), (b" " * 2_000_000, 200)])
async def test_broken_engines_are_unavailable(body: bytes, status: int) -> None:
    for engine in (BraveSearch("k", Engine(body, status)), TavilySearch("k", Engine(body, status))):
        with pytest.raises(Unavailable):
            await engine.search("q")


async def test_queries_are_limited_and_not_empty() -> None:
    engine = Engine({})
    await SearxngSearch("http://127.0.0.1:8888", engine).search("a" * 10_000)
    assert engine.requests[0].url.params["q"] == "a" * MAX_QUERY_CHARS
    with pytest.raises(BadInput):
        await SearxngSearch("http://127.0.0.1:8888", engine).search(" \n ")
