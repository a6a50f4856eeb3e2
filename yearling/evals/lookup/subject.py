"""The search of documents as the subject of an exam: no chat model takes part, only the index and the embedding model.

Its answer to a case is JSON of what was found and cited, which graders read and runs store. Tasks of cases are the methods
of `_TASKS`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from yearling.checks import read_numbers
from yearling.errors import Unavailable
from yearling.evals.case import Case, SubjectResponse
from yearling.evals.lookup.indexed_set import FoundPlaces, IndexedQuestionSet
from yearling.evals.lookup.question_sets import QuestionSet
from yearling.evals.lookup.remembering_embedder import RememberingEmbedder
from yearling.inference import Embedder
from yearling.records import SamplingSettings
from yearling.retrieval import SourcePassage, align_answer, alignment_rule, choose_sentences

DEPTH = 10
"""Passages that ranks are counted in."""

_NUM_HITS = 100
"""Hits that are searched for them: a long passage may be several hits."""


class LookupSubject:
    """The index over each question set of an exam. Close it afterwards."""

    kind = "search"
    max_concurrency = 2
    """One case embeds while the other searches."""

    def __init__(self, sets: Sequence[QuestionSet], embedder: Embedder) -> None:
        self.model = embedder.name
        self.model_hash = embedder.model_hash
        self._sets = {each.name: each for each in sets}
        self._embedder = RememberingEmbedder(embedder)
        self._rule = alignment_rule(embedder)
        self._stores: dict[str, IndexedQuestionSet] = {}
        self._opening = asyncio.Lock()
        self._changing = asyncio.Lock()

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """See `Subject.respond`. The sampling settings mean nothing here."""
        task = _TASKS[case.data["task"]]
        try:
            found = await task(self, await self._store(case.data["set"]), case)
        except Unavailable as error:
            return SubjectResponse(text="", error=error.message)
        return SubjectResponse(text=json.dumps(found, ensure_ascii=False))

    async def close(self) -> None:
        """Delete the stores and forget the vectors."""
        stores, self._stores = self._stores, {}
        for store in stores.values():
            await store.close()
        await self._embedder.close()

    async def _store(self, name: str) -> IndexedQuestionSet:
        async with self._opening:
            if name not in self._stores:
                self._stores[name] = await IndexedQuestionSet.open(self._sets[name], self._embedder)
        return self._stores[name]

    async def _find(self, store: IndexedQuestionSet, case: Case) -> Mapping[str, Any]:
        found = await store.search(_question(case), limit=_NUM_HITS)
        return {"found": found.numbers[:DEPTH]}

    async def _abstain(self, store: IndexedQuestionSet, case: Case) -> Mapping[str, Any]:
        """The score with the passage that answers, if any, and without it."""
        passage = case.data.get("passage")
        absent = await store.search(_question(case), limit=DEPTH, without=passage)
        answer: dict[str, Any] = {"absent": _surety(absent)}
        if passage is not None:
            answer["present"] = _surety(await store.search(_question(case), limit=DEPTH))
        return answer

    async def _cite(self, store: IndexedQuestionSet, case: Case) -> Mapping[str, Any]:
        found = await store.search(_question(case))
        return {"cited": await self._cited_texts(_question(case), found.sources)}

    async def _align(self, store: IndexedQuestionSet, case: Case) -> Mapping[str, Any]:
        """Align a claim to what its question finds."""
        found = await store.search(case.data["question"])
        aligned = await align_answer(
            _question(case),
            found.sources,
            read_numbers=lambda words: read_numbers(words, with_words=True),
            rule=self._rule,
            embedder=self._embedder,
        )
        numbers = store.numbers_of([citation.document_id for citation in aligned.citations])
        missing = [[words.span.start, words.span.end, words.kind] for claim in aligned.claims for words in claim.missing]
        return {
            "cited": [
                [number, citation.span.start, citation.span.end]
                for number, citation in zip(numbers, aligned.citations, strict=True)
            ],
            "missing": missing,
        }

    async def _refresh(self, store: IndexedQuestionSet, case: Case) -> Mapping[str, Any]:
        """Ask, give the document a new version, ask, delete the document, and ask again. The set is as before afterwards."""
        number, question = case.data["passage"], _question(case)
        original = self._sets[case.data["set"]].passages[number]
        async with self._changing:
            before = await self._cited_texts(question, (await store.search(question)).sources)
            try:
                await store.put(number, case.data["revised_text"])
                after = await self._cited_texts(question, (await store.search(question)).sources)
                await store.delete(number)
                removed = await store.search(question, limit=_NUM_HITS)
                texts = [source.text for source in removed.sources]
            finally:
                await store.put(number, original)
        return {"before": before, "after": after, "removed": {"found": removed.numbers, "texts": texts}}

    async def _cited_texts(self, question: str, sources: Sequence[SourcePassage]) -> list[str]:
        chosen = await choose_sentences(question, sources, self._embedder)
        return [ranked.sentence.text for ranked in chosen]


def _question(case: Case) -> str:
    return str(case.messages[-1]["content"])


def _surety(found: FoundPlaces) -> dict[str, Any]:
    return {"score": found.result.score, "is_in_documents": found.result.is_in_documents}


_TASKS: Mapping[str, Callable[[LookupSubject, IndexedQuestionSet, Case], Awaitable[Mapping[str, Any]]]] = {
    "find": LookupSubject._find,
    "abstain": LookupSubject._abstain,
    "cite": LookupSubject._cite,
    "align": LookupSubject._align,
    "refresh": LookupSubject._refresh,
}
