"""Looks one question up on the web: asks the search engine, reads the first pages, ranks their passages.

Fetched are only addresses that stand in the question or among the results. What a page says is data: it is parsed in a child
process and never run. A page that cannot be read is named with its reason; nothing here fails the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from yearling.errors import UserError
from yearling.inference import Embedder
from yearling.retrieval.citations.source import SourcePassage
from yearling.retrieval.found_sources import FoundSources, ReadPage
from yearling.retrieval.index.bm25 import score_texts
from yearling.retrieval.index.fusion import fuse_scores
from yearling.retrieval.index.tokens import index_tokens, query_tokens
from yearling.retrieval.parsing.document_parser import DEFAULT_LIMITS, parse_document
from yearling.retrieval.passages.chunks import cut_chunks
from yearling.retrieval.web.fetching import FetchedPage, PageFetcher
from yearling.retrieval.web.search import WebResult, WebSearch, checked_query
from yearling.retrieval.web.turn_urls import TurnUrls, find_urls

MAX_PAGES = 4
MAX_NAMED_PAGES = 2
"""Pages that are read because their address stands in the question."""
MAX_PASSAGES_OF_PAGE = 200
MAX_EMBEDDED = 24
"""Passages, of all pages, that are compared with the question by meaning."""
NUM_FOUND = 8
TIME_LIMIT_S = 20.0
"""How long an answer waits for the search engine and the pages together."""
_PARSE_LIMITS = replace(DEFAULT_LIMITS, file_bytes=8 << 20, output_bytes=16 << 20, cpu_s=15, wall_s=TIME_LIMIT_S)
_NAMES = {"application/pdf": "page.pdf", "text/plain": "page.txt", "text/markdown": "page.md", "text/csv": "page.csv"}


@dataclass(frozen=True, slots=True)
class _Page:
    read: ReadPage
    passages: tuple[SourcePassage, ...] = ()


class WebLookup:
    """Looks questions up with one search engine."""

    def __init__(self, engine: WebSearch, fetcher: PageFetcher, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._engine = engine
        self._fetcher = fetcher
        self._time_limit_s = time_limit_s

    @property
    def name(self) -> str:
        """What people call the search engine."""
        return self._engine.name

    async def find(self, question: str, embedder: Embedder | None) -> FoundSources:
        """The passages of the pages that were read, best first. `pages` names every fetch, and why a page could not be read."""
        pages: list[_Page] = []
        query = ""
        try:
            async with asyncio.timeout(self._time_limit_s):
                query = checked_query(question)
                named = find_urls(question)[:MAX_NAMED_PAGES]
                results = [WebResult(url=url, title="", snippet="") for url in named]
                try:
                    results += await self._engine.search(query)
                except UserError as error:
                    pages.append(_Page(ReadPage(url="", title=self._engine.name, problem=str(error))))
                allowed = TurnUrls()
                allowed.add_text(question)
                allowed.add(result.url for result in results)
                unique = list({result.url: result for result in results}.values())[:MAX_PAGES]
                tasks = [asyncio.create_task(self._read(result, allowed)) for result in unique]
                try:
                    for task in tasks:
                        pages.append(await task)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        except TimeoutError:
            problem = f"Not everything was read within {self._time_limit_s:.0f} s."
            pages.append(_Page(ReadPage(url="", title=self._engine.name, problem=problem)))
        except UserError as error:
            pages.append(_Page(ReadPage(url="", title=self._engine.name, problem=str(error))))
        passages = [passage for page in pages for passage in page.passages]
        ranked = await _rank(question, passages, embedder)
        return FoundSources(passages=tuple(ranked[:NUM_FOUND]), web_query=query, pages=tuple(page.read for page in pages))

    async def _read(self, result: WebResult, allowed: TurnUrls) -> _Page:
        try:
            allowed.check(result.url)
            page = await self._fetcher.fetch(result.url)
            return await asyncio.to_thread(_parse, page, result)
        except UserError as error:
            return _Page(ReadPage(url=result.url, title=result.title, problem=str(error)))


def _parse(page: FetchedPage, result: WebResult) -> _Page:
    name = _NAMES.get(page.media_type, "page.html")
    text = parse_document(page.content, name=name, media_type=page.media_type, limits=_PARSE_LIMITS)
    sha256 = hashlib.sha256(text.text.encode()).hexdigest()
    title = result.title or text.title or page.final_url
    passages = tuple(
        SourcePassage(
            document_id=page.final_url,
            text_sha256=sha256,
            span=chunk,
            text=text.text[chunk.start : chunk.end],
            title=title,
            url=page.final_url,
            kind="web",
            published_utc=result.published_utc,
        )
        for chunk in cut_chunks(text.text)[:MAX_PASSAGES_OF_PAGE]
    )
    return _Page(ReadPage(url=page.final_url, title=title), passages)


async def _rank(question: str, passages: Sequence[SourcePassage], embedder: Embedder | None) -> list[SourcePassage]:
    """The passages, best first: the best by words, and of these the best by words and meaning together."""
    if not passages:
        return []
    scores = await asyncio.to_thread(
        lambda: score_texts(query_tokens(question), [index_tokens(passage.text) for passage in passages])
    )
    best = [int(row) for row in np.argsort(-scores, kind="stable")[:MAX_EMBEDDED]]
    if embedder is None:
        return [passages[row] for row in best if scores[row] > 0]
    try:
        (vector,) = await embedder.embed_texts([question], input_type="query")
        vectors = await embedder.embed_texts([passages[row].text for row in best], input_type="passage")
    except UserError:
        return [passages[row] for row in best if scores[row] > 0]
    fused = fuse_scores(scores[best], np.asarray(vectors @ vector, np.float64))
    return [passages[best[place]] for place in np.argsort(-fused, kind="stable")]
