"""Vectors of texts, kept in a folder between runs: embedding the data sets takes minutes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yearling.inference import Embedder, InputType, with_prefix

_SAVED_EVERY = 1024


class StoredVectors:
    """An `Embedder` in front of another one. It keeps what was computed in one file, named by the model's hash."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.name = embedder.name
        self.model_hash = embedder.model_hash
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self._embedder = embedder
        self._path = folder / f"{embedder.model_hash[:16]}.npz"
        self._vectors: dict[str, NDArray[np.float32]] = {}
        if self._path.exists():
            with np.load(self._path, allow_pickle=False) as stored:
                self._vectors = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """As `Embedder.embed_texts`."""
        prefixed = [with_prefix(text, input_type) for text in texts]
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in prefixed]
        missing = {key: text for key, text in zip(keys, prefixed, strict=True) if key not in self._vectors}
        waiting = list(missing)
        for start in range(0, len(waiting), _SAVED_EVERY):
            some = waiting[start : start + _SAVED_EVERY]
            vectors = await self._embedder.embed_texts([missing[key] for key in some])
            self._vectors |= dict(zip(some, vectors, strict=True))
            if len(waiting) >= _SAVED_EVERY:
                print(f"embedded {start + len(some)} of {len(waiting)}", file=sys.stderr, flush=True)
                self._save()
        return np.array([self._vectors[key] for key in keys], np.float32).reshape(len(texts), self.dimensions)

    def num_tokens(self, text: str) -> int:
        """As `Embedder.num_tokens`."""
        return self._embedder.num_tokens(text)

    async def close(self) -> None:
        """Keep all vectors in the file, and close the embedder."""
        if self._vectors:
            self._save()
        await self._embedder.close()

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(list(self._vectors)), vectors=np.stack(list(self._vectors.values())))
        partial.replace(self._path)
