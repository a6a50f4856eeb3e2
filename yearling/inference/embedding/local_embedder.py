"""The embedding model of this machine: texts are divided into tokens in threads, and computed in a process of their own.

A process, because a crash or a hang in C++ must not take the server down: `SupervisedEngine` starts it again. Requests reach it
in batches of at most `MAX_BATCH_TOKENS`, so that a question waits for a few texts and never for a whole document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.inference.embedding.embedder import MAX_TEXT_CHARS, InputType, with_prefix
from yearling.inference.engine_process import EngineSpec
from yearling.inference.supervisor import SupervisedEngine
from yearling.models import EmbeddingModel, LocalModel, UnigramTokenizer

MAX_BATCH_TOKENS = 512
"""Tokens of one request to the process, unless a single text has more."""
MAX_BATCH_TEXTS = 32
_ENCODED_AT_ONCE = 64
"""Texts that are divided into tokens before the first of them is computed."""

_FACTORY = "yearling.inference.embedding.llamacpp_embeddings:open_llamacpp_embeddings"


class LocalEmbedder:
    """An `Embedder` over one installed model. Build it with `open`; use it from the event loop that built it."""

    def __init__(self, name: str, model: EmbeddingModel, tokenizer: UnigramTokenizer, engine: SupervisedEngine) -> None:
        self.name = name
        self.model_hash = model.model_hash
        self.dimensions = model.dimensions
        self.max_tokens = model.max_tokens
        self._tokenizer = tokenizer
        self._engine = engine

    @classmethod
    async def open(cls, model: LocalModel, *, threads: int = 0, stall_timeout_s: float = 60.0) -> LocalEmbedder:
        """Start the process and read the vocabulary, at the same time. Raises Untrusted for changed files, and Unavailable."""
        files = await asyncio.to_thread(EmbeddingModel, model)
        spec = EngineSpec(factory=_FACTORY, options={"folder": str(model.folder), "threads": threads})
        engine = SupervisedEngine(spec, stall_timeout_s=stall_timeout_s)
        results = await asyncio.gather(engine.start(), asyncio.to_thread(files.read_tokenizer), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                await engine.close()
                raise result
        tokenizer = results[1]
        if not isinstance(tokenizer, UnigramTokenizer):
            raise TypeError("the vocabulary was not read")
        return cls(model.name, files, tokenizer, engine)

    @property
    def pid(self) -> int | None:
        """Id of the process; None while there is none."""
        return self._engine.pid

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> NDArray[np.float32]:
        """As `Embedder.embed_texts`."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            some = texts[start : start + _ENCODED_AT_ONCE]
            encoded = await asyncio.to_thread(self._encode, some, input_type)
            for batch in _batches(encoded):
                vectors += await self._engine.embed(batch)
        return np.array(vectors, np.float32).reshape(len(texts), self.dimensions)

    def num_tokens(self, text: str) -> int:
        """As `Embedder.num_tokens`."""
        return self._tokenizer.count(text)

    async def close(self) -> None:
        """As `Embedder.close`."""
        await self._engine.close()

    def _encode(self, texts: Sequence[str], input_type: InputType) -> list[list[int]]:
        return [self._tokenizer.encode(with_prefix(text[:MAX_TEXT_CHARS], input_type)) for text in texts]


def _batches(sequences: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """The sequences in their order, in lists within the limits of a batch."""
    batch: list[list[int]] = []
    num_tokens = 0
    for ids in sequences:
        if batch and (num_tokens + len(ids) > MAX_BATCH_TOKENS or len(batch) == MAX_BATCH_TEXTS):
            yield batch
            batch, num_tokens = [], 0
        batch.append(ids)
        num_tokens += len(ids)
    if batch:
        yield batch
