"""The engine that embeds token ids with llama.cpp, in the process that opens it. `local_embedder.py` is the other end.

`open_llamacpp_embeddings` is the factory for `SupervisedEngine`. The engine does nothing but embed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np

from yearling.errors import BadInput, ContextLengthExceeded, Unavailable, Unsupported
from yearling.inference.embedding.encoder import LlamaEncoder
from yearling.inference.engine import Completion, Delta, EngineCapabilities, GenerationRequest, Token
from yearling.inference.engine_choice import default_threads
from yearling.models import EmbeddingModel, ModelLibrary


class LlamaCppEmbeddingEngine:
    """An `Engine` over one encoder. Every text is computed alone, so its vector does not depend on what it was asked with."""

    name = "llamacpp"

    def __init__(self, model: EmbeddingModel, encoder: LlamaEncoder) -> None:
        self._model = model
        self._encoder = encoder
        self._computing = threading.Lock()
        self._closed = False
        self.model_hash = model.model_hash
        self.steps = 0
        """Number of finished texts, for the supervisor."""
        self.capabilities = EngineCapabilities(
            token_ids=True,
            logprobs=False,
            score=False,
            embed=True,
            adapters=False,
            grammar=False,
            penalties=False,
            logit_bias=False,
            context_tokens=encoder.max_tokens,
            max_sequences=1,
        )

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `Engine.embed`; runs in a thread. Raises BadInput for an empty text, ContextLengthExceeded for one too long."""
        vectors = []
        for ids in sequences:
            if not ids:
                raise BadInput("The text to embed is empty.", param="input")
            if len(ids) > self._encoder.max_tokens:
                raise ContextLengthExceeded(
                    f"A text has {len(ids)} tokens; the embedding model takes {self._encoder.max_tokens}.", param="input"
                )
            vectors.append(await asyncio.to_thread(self._embed_one, ids))
        return vectors

    def _embed_one(self, ids: Sequence[int]) -> list[float]:
        # A lock and not the event loop: a cancelled caller leaves its thread at work.
        with self._computing:
            if self._closed:
                raise Unavailable("The engine is closed.")
            hidden_TH = self._encoder.hidden_states(self._model.token_vectors(ids))
            self.steps += 1
        mean_H = hidden_TH.mean(axis=0, dtype=np.float64)
        norm = float(np.linalg.norm(mean_H))
        if not np.isfinite(norm) or norm == 0:
            raise Unavailable("The embedding model computed no vector.", advice="Remove the model and pull it again.")
        # float32 is what callers keep; its shortest decimal form halves what crosses to the server.
        return [float(str(value)) for value in (mean_H / norm).astype(np.float32)]

    def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Raises Unsupported."""
        raise _only_embeds()

    async def generate(self, request: GenerationRequest) -> Completion:
        """Raises Unsupported."""
        raise _only_embeds()

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """Raises Unsupported."""
        raise _only_embeds()

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """Raises Unsupported."""
        raise _only_embeds()

    async def load_adapter(self, path: Path) -> str:
        """Raises Unsupported."""
        raise _only_embeds()

    async def unload_adapter(self, adapter_hash: str) -> None:
        """Raises Unsupported."""
        raise _only_embeds()

    async def close(self) -> None:
        """As `Engine.close`; waits for the text that is being computed."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._computing:
            self._closed = True
            self._encoder.close()


def open_llamacpp_embeddings(*, folder: str, threads: int = 0) -> LlamaCppEmbeddingEngine:
    """The factory for a supervised process: opens the installed model in `folder`, after its files have been verified.

    `threads` 0 means one per physical core. Raises Untrusted if a file was changed or does not fit the others.
    """
    model = EmbeddingModel(ModelLibrary.open_folder(Path(folder)))
    model.verify()
    encoder = LlamaEncoder(model.network, threads=threads or default_threads())
    try:
        model.check_fit(width=encoder.width, max_tokens=encoder.max_tokens)
    except BaseException:
        encoder.close()
        raise
    return LlamaCppEmbeddingEngine(model, encoder)


def _only_embeds() -> Unsupported:
    return Unsupported("This model writes no answers; it turns texts into vectors.", advice="Use a chat model.", param="model")
