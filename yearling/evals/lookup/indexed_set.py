"""The passages of a question set in a store of their own, which is deleted afterwards. Each passage is a document."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import LookupQuery, SourceLookup, TurnSources
from yearling.config import Settings
from yearling.evals.lookup.question_sets import QuestionSet
from yearling.inference import Embedder
from yearling.retrieval import DocumentIndex, SearchResult, SourcePassage, hit_passage
from yearling.store import CanonicalText, DocumentPlace, SearchScope, Store

NUM_SOURCES = 5
"""Passages that sentences are chosen from and claims are aligned to."""


@dataclass(frozen=True, slots=True)
class FoundPlaces:
    """What a search found. `numbers` are passages of the set, best first, each once; `sources` are the best hits."""

    result: SearchResult
    numbers: tuple[int, ...]
    sources: tuple[SourcePassage, ...]


class IndexedQuestionSet:
    """One question set, indexed as documents are. Open it with `open`, close it with `close`."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], store: Store, embedder: Embedder) -> None:
        self._folder = folder
        self._store = store
        self._index = DocumentIndex(store, embedder)
        self._person_id = store.people.owner().id
        self._lookup = SourceLookup(store, self)
        self._numbers: dict[str, int] = {}
        self._documents: dict[int, str] = {}

    @classmethod
    async def open(cls, questions: QuestionSet, embedder: Embedder) -> IndexedQuestionSet:
        """Index all passages. Raises Unavailable if the embedding model fails."""
        opened = await asyncio.to_thread(cls._open, embedder)
        try:
            for number, text in enumerate(questions.passages):
                await opened.put(number, text, embed=False)
            await opened._index.embed_missing()
        except BaseException:
            await opened.close()
            raise
        return opened

    @classmethod
    def _open(cls, embedder: Embedder) -> IndexedQuestionSet:
        folder = tempfile.TemporaryDirectory(prefix="yearling-exam-")
        return cls(folder, Store.open(Settings(data_dir=Path(folder.name), database_url="")), embedder)

    async def put(self, number: int, text: str, *, embed: bool = True) -> None:
        """Add a passage, or a new version of it."""
        version_id = await asyncio.to_thread(self._add, number, text)
        await self._index.add_text(version_id, CanonicalText(text=text, media_type="text/plain"))
        if embed:
            await self._index.embed_missing()

    async def delete(self, number: int) -> None:
        """Delete a passage with all its versions. `put` adds it anew."""
        document_id = self._documents.pop(number)
        await asyncio.to_thread(self._store.documents.delete, document_id, person_id=self._person_id)

    async def search(self, question: str, *, limit: int = NUM_SOURCES, without: int | None = None) -> FoundPlaces:
        """What search finds, `without` one passage if given."""
        kept = None if without is None else frozenset(own for number, own in self._documents.items() if number != without)
        scope = SearchScope(person_id=self._person_id, document_ids=kept)
        result = await self._index.search(question, scope=scope, limit=limit)
        numbers = tuple(dict.fromkeys(self._numbers[hit.document_id] for hit in result.hits))
        sources = tuple(map(hit_passage, result.hits[:NUM_SOURCES]))
        return FoundPlaces(result, numbers, sources)

    async def look_up(self, question: str) -> TurnSources | None:
        """What a turn of the assistant would have as its sources."""
        return await self._lookup.find(LookupQuery(question=question, scope=SearchScope(person_id=self._person_id)))

    async def prepare_search(self) -> DocumentIndex:
        """The index, as `SourceLookup` asks for it."""
        return self._index

    def numbers_of(self, document_ids: Sequence[str]) -> list[int]:
        """The passages of these documents."""
        return [self._numbers[document_id] for document_id in document_ids]

    async def close(self) -> None:
        """Delete the store."""
        await asyncio.to_thread(self._close)

    def _add(self, number: int, text: str) -> str:
        # The number keeps passages with the same text apart: the same content twice would be one document.
        added = self._store.documents.add(self._person_id, f"{number}.txt", f"{number} {text}".encode(), place=DocumentPlace())
        self._documents[number] = added.document.id
        self._numbers[added.document.id] = number
        return added.document.version.id

    def _close(self) -> None:
        self._store.close()
        self._folder.cleanup()
