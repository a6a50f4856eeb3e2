"""Looks a question up before it is answered: in documents, and, where the person asks for it, on the web.

What cannot be reached is left out, with its reason, and the answer goes on without it. A question that the documents of an
installation do not answer is answered as if nothing had been looked up, unless the person has put documents beside it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from yearling.chat.lookup.sources import TurnSources
from yearling.errors import Unavailable, UserError
from yearling.inference import Embedder
from yearling.retrieval import DocumentIndex, FoundSources, choose_sentences, hit_passage, is_claim, quote_sentences
from yearling.store import DocumentPlace, SearchScope, Store

MAX_LOOKUP_CHARS = 2_000
"""A longer message is work on a text; nothing is looked up for it unless documents stand beside it."""
_NUM_HITS = 8
_MAX_QUOTED = 2
_NUM_CHOSEN = 6
"""Sentences that are looked at for quotations: some of them are headings."""
_NUM_QUOTED_PASSAGES = 3
_HEADING_WORDS = 6
"""A line without a full stop and without a number is taken for a heading if it has fewer words; two Han characters are a word."""
_WORD = re.compile(r"[\u3400-\u9fff]{2}|[^\W\u3400-\u9fff]+")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupQuery:
    """What to look up, and where."""

    question: str
    scope: SearchScope
    documents: bool = True
    web: bool = False
    is_explicit: bool = False
    """Whether the person asked for documents, so that "not found" is worth saying."""


class IndexProvider(Protocol):
    """Opens the index of documents, as the server's document service does."""

    async def prepare_search(self) -> DocumentIndex:
        """The index, with its embedding model if one is installed."""
        ...


class WebLookupLike(Protocol):
    """The web, as `WebLookup` searches it."""

    async def find(self, question: str, embedder: Embedder | None) -> FoundSources:
        """The passages, best first. Never raises for what cannot be reached: `pages` says so."""
        ...


class SourceLookup:
    """Looks questions up. Use it from one event loop."""

    def __init__(self, store: Store, index: IndexProvider, *, web: WebLookupLike | None = None) -> None:
        self._store = store
        self._index = index
        self._web = web

    async def find(self, query: LookupQuery) -> TurnSources | None:
        """What was found; None where nothing was looked up, or nothing that is worth a word. Raises NotFound for a scope that is
        not the person's."""
        question = query.question.strip()
        if not question or (len(question) > MAX_LOOKUP_CHARS and query.scope.document_ids is None):
            return None
        question = question[:MAX_LOOKUP_CHARS]
        has_documents = query.documents and await asyncio.to_thread(self._store.passages.exist)
        web = self._web if query.web else None
        if not has_documents and web is None:
            return None
        index = await self._index.prepare_search()
        found: list[FoundSources] = []
        if has_documents:
            documents = await self._find_in_documents(index, replace(query, question=question))
            if documents is not None:
                found.append(documents)
        if web is not None:
            found.append(await web.find(question, index.embedder))
        if not found:
            return None
        return await self._quote(question, _best(found), index.embedder)

    async def _find_in_documents(self, index: DocumentIndex, query: LookupQuery) -> FoundSources | None:
        try:
            result = await index.search(query.question, scope=query.scope, limit=_NUM_HITS)
        except Unavailable as error:  # an answer without documents is better than none
            log.warning("Nothing was looked up in documents: %s", error)
            return None
        is_wanted = query.is_explicit or query.scope.document_ids is not None
        if not is_wanted:
            is_wanted = await asyncio.to_thread(self._has_own_documents, query.scope)
        if not result.num_passages or (not is_wanted and result.is_in_documents is not True):
            return None
        passages = tuple(hit_passage(hit) for hit in result.hits)
        return FoundSources(passages=passages, score=result.score, threshold=result.threshold)

    def _has_own_documents(self, scope: SearchScope) -> bool:
        """Whether the conversation, or its folder, has documents of its own."""
        places: list[DocumentPlace] = []
        if scope.conversation_id is not None:
            conversation = self._store.conversations.get(scope.conversation_id, person_id=scope.person_id)
            places.append(DocumentPlace(conversation_id=scope.conversation_id))
            if conversation.folder_id is not None:
                places.append(DocumentPlace(folder_id=conversation.folder_id))
        elif scope.folder_id is not None:
            places.append(DocumentPlace(folder_id=scope.folder_id))
        return any(self._store.documents.list(scope.person_id, place=place, limit=1) for place in places)

    async def _quote(self, question: str, found: FoundSources, embedder: Embedder | None) -> TurnSources:
        if found.is_answered is False:
            return TurnSources(found=found)
        passages = found.passages[:_NUM_QUOTED_PASSAGES]
        try:
            chosen = await choose_sentences(question, passages, embedder, limit=_NUM_CHOSEN)
        except UserError as error:
            log.warning("Sentences are chosen by their words only: %s", error)
            chosen, embedder = await choose_sentences(question, passages, None, limit=_NUM_CHOSEN), None
        chosen = [ranked for ranked in chosen if _is_statement(ranked.sentence.text)][:_MAX_QUOTED]
        quotes = await asyncio.to_thread(quote_sentences, chosen, passages) if chosen else None
        return TurnSources(found=found, quotes=quotes, embedder=embedder)


def _is_statement(text: str) -> bool:
    """Whether a sentence says something by itself: no heading, no lead-in and no question."""
    if not is_claim(text) or text.lstrip().startswith("#"):
        return False
    ends = text.rstrip("\"'”’」』）)】》*_ ")[-1:] in "。！？.!?…;；"
    return ends or len(_WORD.findall(text)) >= _HEADING_WORDS or any(character.isdigit() for character in text)


def _best(found: Sequence[FoundSources]) -> FoundSources:
    """One list from several: those that answer first, in the order in which they were looked up."""
    ordered = sorted(found, key=lambda each: each.is_answered is False)
    first = ordered[0]
    return FoundSources(
        passages=tuple(passage for each in ordered for passage in each.passages)
        if first.is_answered is not False
        else first.passages,
        score=first.score,
        threshold=first.threshold,
        web_query=next((each.web_query for each in found if each.web_query), ""),
        pages=tuple(page for each in found for page in each.pages),
    )
