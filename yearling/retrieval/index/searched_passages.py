"""The passages that one search looks through, and how well their words match a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from yearling.retrieval.index.bm25 import WordStatistics, score_words
from yearling.store import FoundPassage, SearchScope, Store

MAX_CANDIDATES = 1_000
"""How many passages by words, and how many by meaning, are compared by both."""
MAX_WORD_MATCHES = 4_000
"""How many passages with words of the question are scored by BM25. Where more have them, those with the rarest words are."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages with their shares of BM25 by word, (passages, words), and their cosines, NaN where there is no vector."""

    passages: list[FoundPassage]
    shares: Floats
    cosines: Floats

    @property
    def numbers(self) -> list[int]:
        """The numbers of the passages."""
        return [passage.number for passage in self.passages]

    @property
    def bm25(self) -> Floats:
        """The BM25 of each passage."""
        scores: Floats = self.shares.sum(axis=1)
        return scores


class SearchedPassages:
    """The passages of one scope, as they are now."""

    def __init__(self, store: Store, scope: SearchScope) -> None:
        """Raises NotFound for a conversation, folder or collection of files that is not the person's."""
        self._passages = store.passages
        collected = store.passages.collected_documents(scope) if scope.file_collection_ids else frozenset[str]()
        reachable = store.passages.searched_versions(scope)
        wanted = [
            each
            for each in reachable
            if (scope.document_ids is None or each.document_id in scope.document_ids)
            and (each.collection != scope.person_id or each.document_id in collected)
        ]
        self.versions = {version.id: version for version in wanted}
        self.num_passages = sum(version.num_passages for version in wanted)
        self._is_narrowed = len(wanted) < len(reachable)
        self._collections = sorted({version.collection for version in reachable})
        # The statistics are those of whole collections, which is what the index counts.
        self._num_counted = sum(version.num_passages for version in reachable)
        self._mean_words = sum(version.num_words for version in reachable) / max(self._num_counted, 1)
        self._passages_with: dict[str, int] = {}

    def match_words(self, words: Sequence[str]) -> Candidates:
        """The passages that match best by their words."""
        self._passages_with = self._passages.count_passages_with(words, self._collections)
        if self._is_narrowed and self.num_passages <= MAX_WORD_MATCHES:
            passages = self._passages.of_versions(list(self.versions))
        else:
            rarest = self._rarest(words)
            found = self._passages.find_with_any(rarest, self._collections, limit=MAX_WORD_MATCHES)
            passages = [passage for passage in found if passage.version_id in self.versions]
        shares = self._score(passages, words)
        best = np.argsort(-shares.sum(axis=1), kind="stable")[:MAX_CANDIDATES]
        return Candidates([passages[row] for row in best], shares[best], np.full(len(best), np.nan))

    def join(self, candidates: Candidates, near: Mapping[int, float], words: Sequence[str]) -> Candidates:
        """The candidates together with the nearest passages, all with both scores."""
        known = set(candidates.numbers)
        found = self._passages.get([number for number in near if number not in known])
        others = [passage for passage in found if passage.version_id in self.versions]
        passages = [*candidates.passages, *others]
        shares = np.concatenate([candidates.shares, self._score(others, words)])
        cosines = np.array([near.get(passage.number, np.nan) for passage in passages], np.float64)
        order = np.argsort([passage.number for passage in passages], kind="stable")
        return Candidates([passages[row] for row in order], shares[order], cosines[order])

    def _score(self, passages: Sequence[FoundPassage], words: Sequence[str]) -> Floats:
        statistics = WordStatistics(self._num_counted, self._mean_words, self._passages_with)
        keys = [self._passages.word_key(collection) for collection in self._collections]
        return score_words([(passage.words, passage.num_words) for passage in passages], words, keys, statistics)

    def _rarest(self, words: Sequence[str]) -> list[str]:
        rarest, num_matches = list[str](), 0
        for word in sorted(filter(self._passages_with.get, words), key=lambda word: self._passages_with[word]):
            num_matches += self._passages_with[word]
            if rarest and num_matches > MAX_WORD_MATCHES:
                break
            rarest.append(word)
        return rarest
