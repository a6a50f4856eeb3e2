"""An embedder for tests: the words of a text, hashed into dimensions. Texts that share words are close; nothing is loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.inference.embedding.embedder import PASSAGE_PREFIX, QUERY_PREFIX, InputType, with_prefix

_WORDS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W\u3400-\u9fff\uf900-\ufaff_]+")
_PREFIX_WEIGHT = 0.1


class FakeEmbedder:
    """An `Embedder` whose vectors are deterministic: a Han character or a word, case ignored, adds one to its dimension."""

    def __init__(self, name: str = "fake-embedder", *, dimensions: int = 384, max_tokens: int = 512) -> None:
        self.name = name
        self.model_hash = hashlib.sha256(f"{name} {dimensions}".encode()).hexdigest()
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.calls: list[tuple[str, ...]] = []
        """The texts of every call, with their prefixes."""
        self.is_closed = False

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """As `Embedder.embed_texts`."""
        prefixed = [with_prefix(text, input_type) for text in texts]
        self.calls.append(tuple(prefixed))
        return np.array([self._vector(text) for text in prefixed], np.float32).reshape(len(texts), self.dimensions)

    def num_tokens(self, text: str) -> int:
        """As `Embedder.num_tokens`: the words, and two control tokens."""
        return 2 + len(_WORDS.findall(text))

    async def close(self) -> None:
        """As `Embedder.close`."""
        self.is_closed = True

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.dimensions, np.float32)
        prefix = QUERY_PREFIX if text.startswith(QUERY_PREFIX) else PASSAGE_PREFIX
        # A little of the prefix, as in the real model: no text is without a vector, and the types differ.
        vector[self._dimension(prefix)] += _PREFIX_WEIGHT
        for word in _WORDS.findall(text.removeprefix(prefix).lower())[: self.max_tokens - 2]:
            vector[self._dimension(word)] += 1
        return vector / np.linalg.norm(vector)

    def _dimension(self, word: str) -> int:
        return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") % self.dimensions
