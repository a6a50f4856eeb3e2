"""The passages nearest to a question in meaning: by an exact scan, or for large collections by the compact index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.retrieval.index.compact_vectors import MIN_PASSAGES, CompactVectors, signature_of
from yearling.retrieval.index.searched_passages import MAX_CANDIDATES, SearchedPassages
from yearling.retrieval.index.vector_blocks import VectorBlocks
from yearling.store import SearchedVersion, Store, VectorCount, VectorGeneration

Floats = NDArray[np.float32]


class NearestPassages:
    """Finds passages by meaning. Thread-safe."""

    def __init__(self, store: Store, blocks: VectorBlocks, compact: CompactVectors) -> None:
        self._store = store
        self._blocks = blocks
        self._compact = compact

    def find(
        self,
        generation: VectorGeneration,
        counts: Mapping[str, VectorCount],
        searched: SearchedPassages,
        question: Floats,
        numbers: Sequence[int],
    ) -> dict[int, float]:
        """The cosines of the nearest passages, and of those with these numbers, by number. `counts` is how many vectors
        each version has."""
        by_collection: defaultdict[str, list[SearchedVersion]] = defaultdict(list)
        for version in searched.versions.values():
            by_collection[version.collection].append(version)
        scanned: list[str] = []
        nearest: dict[int, float] = {}
        for collection, versions in by_collection.items():
            found = self._find_in_compact(generation, collection, versions, counts, question)
            if found is None:
                scanned += [version.id for version in versions]
            else:
                nearest |= found
        blocks = self._blocks.get(generation, scanned, counts)
        if blocks:
            all_numbers = np.concatenate([block.numbers for block in blocks])
            cosines = np.concatenate([block.vectors @ question for block in blocks])
            best = np.argpartition(-cosines, MAX_CANDIDATES)[:MAX_CANDIDATES] if len(cosines) > MAX_CANDIDATES else slice(None)
            kept = np.isin(all_numbers, np.array(numbers, np.int64))
            kept[best] = True
            nearest |= dict(zip(all_numbers[kept].tolist(), cosines[kept].tolist(), strict=True))
        if len(scanned) < len(searched.versions):
            others = [number for number in numbers if number not in nearest]
            vectors = self._store.vectors.get(generation.id, others)
            nearest |= {number: float(np.frombuffer(vector, "<f4") @ question) for number, vector in vectors.items()}
        return nearest

    def _find_in_compact(
        self,
        generation: VectorGeneration,
        collection: str,
        versions: Sequence[SearchedVersion],
        counts: Mapping[str, VectorCount],
        question: Floats,
    ) -> dict[int, float] | None:
        """The nearest passages of a large collection; None if it is not large, or has no index that is up to date."""
        if sum(version.num_passages for version in versions) <= MIN_PASSAGES:
            return None
        own = {version.id: counts[version.id] for version in versions if version.id in counts}
        index = self._compact.open(generation, collection, signature_of(generation, own))
        if index is None:
            return None
        found = [int(number) for number in index.search(question, MAX_CANDIDATES).keys]
        # The index finds them; the cosines are exact.
        vectors = self._store.vectors.get(generation.id, found)
        return {number: float(np.frombuffer(vector, "<f4") @ question) for number, vector in vectors.items()}
