"""An embedder that keeps its vectors in a SQLite file, so that a second run computes nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yearling.inference import Embedder, InputType, with_prefix

_AT_ONCE = 64


class CachingEmbedder:
    """An `Embedder` around another one."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self.name = embedder.name
        self.model_hash = embedder.model_hash
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self._embedder = embedder
        self._file = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL)")

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """As `Embedder.embed_texts`."""
        prefixed = [with_prefix(text, input_type) for text in texts]
        keys = [hashlib.sha256(f"{self.model_hash} {text}".encode()).hexdigest() for text in prefixed]
        found = {key: vector for key in keys if (vector := self._find(key)) is not None}
        missing = [number for number, key in enumerate(keys) if key not in found]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            vectors = await self._embedder.embed_texts([prefixed[number] for number in some])
            for number, vector in zip(some, vectors, strict=True):
                found[keys[number]] = vector
                self._file.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", (keys[number], vector.tobytes()))
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self.dimensions), np.float32)

    def num_tokens(self, text: str) -> int:
        """As `Embedder.num_tokens`."""
        return self._embedder.num_tokens(text)

    async def close(self) -> None:
        """As `Embedder.close`."""
        self._file.close()
        await self._embedder.close()

    def _find(self, key: str) -> NDArray[np.float32] | None:
        row = self._file.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)
