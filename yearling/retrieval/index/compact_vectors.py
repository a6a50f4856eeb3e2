"""Large collections: an approximate index of int8 vectors in a file beside the database, where an exact scan would be slow.

The file is a cache. It carries a signature of the vectors that it was built from; where that differs from what the database has,
or the file is absent or broken, search scans the vectors instead, and `build` makes the file anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from yearling.files.atomic import atomic_write_bytes
from yearling.files.sync import make_directory
from yearling.store import VectorCount, VectorGeneration

MIN_PASSAGES = 100_000
"""Collections with fewer passages are scanned exactly."""


def signature_of(generation: VectorGeneration, counts: Mapping[str, VectorCount]) -> str:
    """A hash of which vectors there are: those of one revision of a version never change, they are only added."""
    content = json.dumps([generation.id, generation.model_hash, generation.dimensions, sorted(counts.items())])
    return hashlib.sha256(content.encode()).hexdigest()


class CompactVectors:
    """The files of one installation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[str, Index]] = {}

    def open(self, generation: VectorGeneration, collection: str, signature: str) -> Index | None:
        """The index of a collection; None if there is none of exactly these vectors."""
        if (held := self._open.get(collection)) is not None and held[0] == signature:
            return held[1]
        path, note = self._paths(collection)
        try:
            if note.read_text(encoding="utf-8") != signature:
                return None
            index = _new_index(generation.dimensions)
            index.load(str(path))
        except (OSError, RuntimeError, ValueError):
            return None  # absent, or cut off: a cache that `build` makes anew
        self._open[collection] = signature, index
        return index

    def build(
        self,
        generation: VectorGeneration,
        collection: str,
        signature: str,
        blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    ) -> Index:
        """Build the index of a collection from (numbers, vectors) and write its file."""
        index = _new_index(generation.dimensions)
        for numbers, vectors in blocks:
            index.add(numbers.astype(np.uint64), vectors)
        path, note = self._paths(collection)
        make_directory(self._folder)
        note.unlink(missing_ok=True)
        atomic_write_bytes(path, bytes(index.save()))
        atomic_write_bytes(note, signature.encode())
        self._open[collection] = signature, index
        return index

    def forget(self, collections: Iterable[str]) -> None:
        """Delete the files of all other collections than these."""
        kept = {path for collection in collections for path in self._paths(collection)}
        for path in self._folder.glob("*.usearch*") if self._folder.is_dir() else ():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _paths(self, collection: str) -> tuple[Path, Path]:
        path = self._folder / f"{collection}.usearch"
        return path, path.with_suffix(".usearch-signature")


def _new_index(dimensions: int) -> Index:
    return Index(ndim=dimensions, metric="ip", dtype="i8", connectivity=16, expansion_add=128, expansion_search=128)
