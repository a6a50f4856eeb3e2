"""An embedder that remembers vectors: an exam embeds the sentences of a passage for each question about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.inference import Embedder, InputType, with_prefix

MAX_VECTORS = 20_000
"""Vectors that are remembered, the newest ones: 30 MB at 384 dimensions."""


class RememberingEmbedder:
    """An `Embedder` around another one, which it does not close. Use it from one event loop."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self.model_hash = embedder.model_hash
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._lock = asyncio.Lock()

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """As `Embedder.embed_texts`."""
        keys = [with_prefix(text, input_type) for text in texts]
        if not keys:
            return np.zeros((0, self.dimensions), np.float32)
        async with self._lock:
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            missing = [key for key in dict.fromkeys(keys) if key not in found]
            if missing:
                found |= dict(zip(missing, await self._embedder.embed_texts(missing, input_type=input_type), strict=True))
            self._vectors |= {key: found[key] for key in missing}
            while len(self._vectors) > MAX_VECTORS:
                del self._vectors[next(iter(self._vectors))]
        return np.stack([found[key] for key in keys])

    def num_tokens(self, text: str) -> int:
        """As `Embedder.num_tokens`."""
        return self._embedder.num_tokens(text)

    async def close(self) -> None:
        """Forget the vectors. The embedder itself stays open."""
        self._vectors.clear()
