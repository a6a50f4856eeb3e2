"""The llama.cpp engine: GGUF models on any machine, one or many answers at once.

`open_llamacpp` is the factory for `Supervised`; the engine itself runs in whatever process it is opened in. Answers share
steps (`llamacpp_core.py`); tokens are drawn in numpy by the rules that all local engines follow (`drawing.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from yearling.errors import BadInput, NotFound
from yearling.inference.engine import (
    Completion,
    Delta,
    EngineCapabilities,
    GenerationRequest,
    collect_completion,
    validate_request,
)
from yearling.inference.engine_thread import EngineThread
from yearling.inference.llamacpp_core import LlamaCppCore, TokenConstraint
from yearling.inference.llamacpp_ctypes import LlamaModel
from yearling.inference.served_model import TokenizerLike

MAX_SEQUENCES = 32
CELLS_PER_SEQUENCE = 512
"""Room in the KV cache for an answer of common length, times the number of sequences; one long conversation always fits."""
KV_CACHE_MEMORY_FRACTION = 0.25
"""Of the memory that is free at start, the KV cache may take this much."""


class LlamaCppEngine:
    """An `Engine` over one GGUF file. Build with `open`; use from the event loop that built it."""

    name = "llamacpp"

    def __init__(
        self,
        thread: EngineThread[LlamaCppCore],
        tokenizer: TokenizerLike,
        model_hash: str,
        capabilities: EngineCapabilities,
        source_hash: str = "",
    ) -> None:
        self._thread = thread
        self._tokenizer = tokenizer
        self._scoring = asyncio.Lock()
        self._closed = False
        self.model_hash = model_hash
        self.capabilities = capabilities
        self._source_hash = source_hash

    @classmethod
    async def open(
        cls,
        path: Path,
        tokenizer: TokenizerLike,
        *,
        model_hash: str,
        threads: int,
        source_hash: str = "",
        context_tokens: int = 0,
        max_sequences: int | None = None,
        cells: int | None = None,
    ) -> LlamaCppEngine:
        """Load the file. `context_tokens` 0 is what the model was trained for; `cells` None sizes the KV cache by memory.
        `source_hash` is that of the published file that the weights were laid out from: adapters for it fit too.

        Raises Untrusted for a file that is no model, Unavailable when llama.cpp or memory is missing.
        """
        sequences = max_sequences or MAX_SEQUENCES
        chosen: dict[str, int] = {}

        def build() -> LlamaCppCore:
            model = LlamaModel(path)
            context = min(context_tokens or model.trained_context_tokens, model.trained_context_tokens)
            free = int(psutil.virtual_memory().available * KV_CACHE_MEMORY_FRACTION) // model.kv_bytes_per_token
            pool = cells or max(context, min(sequences * CELLS_PER_SEQUENCE, free))
            # llama.cpp rounds up to whole blocks of 256 cells; one more keeps the last token of a full context placeable.
            pool = math.ceil((pool + 1) / 256) * 256
            chosen["context"] = context
            return LlamaCppCore(
                model,
                max_sequences=sequences,
                context_tokens=context,
                cells=pool,
                threads=threads,
                constrain=_ConstraintFactory(tokenizer, model.vocab_size),
            )

        thread = EngineThread(build, name="llamacpp")
        await thread.core()
        capabilities = EngineCapabilities(
            token_ids=True,
            logprobs=True,
            score=True,
            embed=True,
            adapters=True,
            grammar=True,
            repeats_only_alone=True,
            context_tokens=chosen["context"],
            max_sequences=sequences,
        )
        return cls(thread, tokenizer, model_hash, capabilities, source_hash)

    @property
    def steps(self) -> int:
        """Grows with every step, for the supervisor."""
        return self._thread.steps

    async def running(self) -> int:
        """Answers under way, seen between two steps."""
        return await self._thread.run_between_steps(lambda core: core.running)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        limit = validate_request(request, self.capabilities)
        async with aclosing(self._thread.stream(request, limit, self._tokenizer)) as stream:
            async for delta in stream:
                yield delta

    async def generate(self, request: GenerationRequest) -> Completion:
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        scores = []
        async with self._scoring:
            for prompt, answer in sequences:
                if not prompt:
                    raise BadInput("A prompt to score after is empty.", param="prompt_ids")
                scores.append(await self._score_one([*prompt, *answer], len(prompt) - 1, adapter_hash))
        return scores

    async def _score_one(self, tokens: list[int], first: int, adapter_hash: str | None) -> list[float]:
        """In chunks between the steps of answers, so that they go on meanwhile."""
        start, scores = 0, list[float]()
        try:
            while start < len(tokens) - 1 and first < len(tokens) - 1:
                at = start
                start, part = await self._thread.run_between_steps(lambda core: core.score_chunk(tokens, at, first, adapter_hash))  # noqa: B023
                scores += part
        finally:
            if not self._closed:
                await self._thread.run_between_steps(LlamaCppCore.clear_scoring_sequence)
        return scores

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        vectors = []
        async with self._scoring:
            for ids in sequences:
                if not ids:
                    raise BadInput("A text to embed is empty.", param="input")
                vectors.append(await self._embed_one(list(ids)))
        return vectors

    async def _embed_one(self, tokens: list[int]) -> list[float]:
        start, total = 0, np.zeros(1)
        try:
            while start < len(tokens):
                at = start
                start, part = await self._thread.run_between_steps(lambda core: core.embed_chunk(tokens, at))  # noqa: B023
                total = total + part
        finally:
            if not self._closed:
                await self._thread.run_between_steps(LlamaCppCore.clear_scoring_sequence)
        norm = float(np.linalg.norm(total))
        return [float(value) / norm for value in total]

    async def load_adapter(self, path: Path) -> str:
        if not path.is_file():  # noqa: ASYNC240
            raise NotFound(f"The adapter file {path} does not exist.")
        adapter_hash = hashlib.sha256(await asyncio.to_thread(path.read_bytes)).hexdigest()
        own, source = self.model_hash, self._source_hash
        await self._thread.run_between_steps(
            lambda core: core.load_adapter(path, adapter_hash, model_hash=own, source_hash=source)
        )
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        await self._thread.run_between_steps(lambda core: core.unload_adapter(adapter_hash))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        core = await self._thread.core()
        await self._thread.close()
        core.close()


class _ConstraintFactory:
    """Makes constraints from JSON schemas; what llguidance needs of the vocabulary is built with the first."""

    def __init__(self, tokenizer: TokenizerLike, width: int) -> None:
        self._tokenizer = tokenizer
        self._width = width
        self._vocabulary: Any = None

    def __call__(self, schema: dict[str, Any]) -> TokenConstraint:
        from yearling.inference.grammar import GrammarVocabulary

        if self._vocabulary is None:
            self._vocabulary = GrammarVocabulary(self._tokenizer, width=self._width)
        constraint: TokenConstraint = self._vocabulary.new_grammar(schema)
        return constraint


async def open_llamacpp(
    *, folder: str, threads: int = 0, context_tokens: int = 0, max_sequences: int | None = None
) -> LlamaCppEngine:
    """The engine for an installed model (its folder); the factory for a supervised process, hence plain arguments.

    `threads` 0 means one per physical core, `context_tokens` 0 what the model was trained for.
    """
    from yearling.models import ModelLibrary
    from yearling.models import Tokenizer as ModelTokenizer

    model = ModelLibrary(Path(folder).parent).get(Path(folder).name)
    return await LlamaCppEngine.open(
        model.weights,
        ModelTokenizer.load(model),
        model_hash=model.sha256,
        source_hash=model.source_sha256,
        threads=threads or psutil.cpu_count(logical=False) or 1,
        context_tokens=context_tokens or model.context_tokens,
        max_sequences=max_sequences,
    )
