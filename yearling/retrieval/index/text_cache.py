"""Texts of documents in memory: those that searches found last."""

from __future__ import annotations

import threading
from collections import OrderedDict

from yearling.store import BlobStore

MAX_CACHED_CHARS = 16_000_000


class TextCache:
    """Canonical texts by their hash, checked when they are read. Thread-safe."""

    def __init__(self, blobs: BlobStore, *, max_chars: int = MAX_CACHED_CHARS) -> None:
        self._blobs = blobs
        self._max_chars = max_chars
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._num_chars = 0
        self._lock = threading.Lock()

    def get(self, sha256: str) -> str:
        """A text. Raises NotFound if it was deleted, and Untrusted if it is damaged."""
        self._blobs.path(sha256)  # what was deleted is not answered from memory
        with self._lock:
            if (text := self._texts.get(sha256)) is not None:
                self._texts.move_to_end(sha256)
                return text
        text = self._blobs.get(sha256).decode()
        with self._lock:
            if sha256 not in self._texts:
                self._texts[sha256] = text
                self._num_chars += len(text)
            while self._num_chars > self._max_chars and len(self._texts) > 1:
                self._num_chars -= len(self._texts.popitem(last=False)[1])
        return text
