"""Vectors in memory, a block for each version of a document, for the exact scan.

A block is loaded when a search first needs it, and again after its version got more vectors. The least recently used ones leave
when there are too many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yearling.store import VectorCount, VectorGeneration, VectorStore

MAX_VECTORS = 300_000
"""Vectors that stay in memory; a search that needs more loads the others each time."""


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """The vectors (N, D) of passages, and the numbers (N) of these."""

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    revision: int


class VectorBlocks:
    """The blocks of all versions. Thread-safe."""

    def __init__(self, vectors: VectorStore, *, max_vectors: int = MAX_VECTORS) -> None:
        self._vectors = vectors
        self._max_vectors = max_vectors
        self._blocks: OrderedDict[tuple[str, str], VectorBlock] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, generation: VectorGeneration, version_ids: Sequence[str], counts: Mapping[str, VectorCount]
    ) -> list[VectorBlock]:
        """The blocks of versions. `counts` says how many vectors each version of the generation has now."""
        wanted = [(generation.id, version_id) for version_id in version_ids if version_id in counts]
        with self._lock:
            for key in [key for key in self._blocks if key[0] != generation.id or key[1] not in counts]:
                del self._blocks[key]
            found = {key: self._blocks[key] for key in wanted if key in self._blocks}
        found = {key: block for key, block in found.items() if (len(block.numbers), block.revision) == counts[key[1]]}
        missing = [key[1] for key in wanted if key not in found]
        for version_id, rows in self._vectors.load(generation.id, missing).items():
            numbers = np.array([number for number, _ in rows], np.int64)
            packed = b"".join(vector for _, vector in rows)
            vectors = np.frombuffer(packed, "<f4").reshape(len(rows), generation.dimensions)
            found[generation.id, version_id] = VectorBlock(numbers, vectors, counts[version_id].revision)
        with self._lock:
            for key in wanted:
                self._blocks[key] = found[key]
                self._blocks.move_to_end(key)
            held = sum(len(block.numbers) for block in self._blocks.values())
            while held > self._max_vectors:
                held -= len(self._blocks.popitem(last=False)[1].numbers)
        return [found[key] for key in wanted]
