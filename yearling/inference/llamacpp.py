"""The llama.cpp engine: GGUF models on any machine, one or many answers at once.

`open_llamacpp` is the factory for `SupervisedEngine`; the engine itself runs in the process that opens it. Answers share steps
(`llamacpp_core.py`). Tokens are sampled in numpy, by the rules of all local engines (`numpy_sampler.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from yearling.errors import BadInput, NotFound
from yearling.files.reading import hash_file
from yearling.inference.engine import (
    Completion,
    Delta,
    EngineCapabilities,
    GenerationRequest,
    Token,
    collect_completion,
    require_scorable,
    validate_request,
)
from yearling.inference.engine_choice import default_threads
from yearling.inference.engine_thread import EngineThread
from yearling.inference.llamacpp_core import LlamaCppCore, TokenConstraint
from yearling.inference.llamacpp_ctypes import LlamaModel
from yearling.inference.served_model import TokenizerLike

if TYPE_CHECKING:
    from yearling.inference.grammar import GrammarVocabulary

MAX_SEQUENCES = 32
CELLS_PER_SEQUENCE = 512
"""KV cache cells per sequence, enough for an answer of common length. One conversation of full length always fits."""
KV_CACHE_MEMORY_FRACTION = 0.25
"""Part of the memory that is free at start which the KV cache may take."""

SAVED_PREFIXES_MEMORY_FRACTION = 0.1
"""Part of the memory that is free at start which cached conversations outside the KV cache may take."""


class LlamaCppEngine:
    """An `Engine` over one GGUF file. Build it with `open`; use it from the event loop that built it."""

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
        saved_bytes: int | None = None,
    ) -> LlamaCppEngine:
        """Load the file.

        `context_tokens` 0 means the context that the model was trained for; `cells` None sizes the KV cache by memory, and
        `saved_bytes` None the copies of cached conversations outside it.
        `source_hash` is the hash of the published file that the weights were converted from: adapters for that file fit too.
        Raises Untrusted if the file is not a model, Unavailable if llama.cpp is missing or memory is short.
        """
        sequences = max_sequences or MAX_SEQUENCES
        sizes: dict[str, int] = {}

        def build() -> LlamaCppCore:
            model = LlamaModel(path)
            context = min(context_tokens or model.trained_context_tokens, model.trained_context_tokens)
            available_bytes = psutil.virtual_memory().available
            affordable_cells = int(available_bytes * KV_CACHE_MEMORY_FRACTION) // model.kv_bytes_per_token
            num_cells = cells or max(context, min(sequences * CELLS_PER_SEQUENCE, affordable_cells))
            # llama.cpp rounds up to whole blocks of 256 cells; one more cell holds the last token of a full context.
            num_cells = math.ceil((num_cells + 1) / 256) * 256
            sizes["context"] = context
            return LlamaCppCore(
                model,
                max_sequences=sequences,
                context_tokens=context,
                cells=num_cells,
                threads=threads,
                constrain=_ConstraintFactory(tokenizer, model.vocab_size),
                saved_bytes=int(available_bytes * SAVED_PREFIXES_MEMORY_FRACTION) if saved_bytes is None else saved_bytes,
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
            context_tokens=sizes["context"],
            max_sequences=sequences,
        )
        return cls(thread, tokenizer, model_hash, capabilities, source_hash)

    @property
    def steps(self) -> int:
        """Number of finished steps, for the supervisor."""
        return self._thread.steps

    @property
    def has_failed(self) -> bool:
        """Whether the engine's thread has ended by a fault, for the worker."""
        return self._thread.has_failed

    async def running(self) -> int:
        """Number of running answers, between two steps."""
        return await self._thread.run_between_steps(lambda core: core.running)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`."""
        limit = validate_request(request, self.capabilities)
        async with aclosing(self._thread.stream(request, limit, self._tokenizer)) as stream:
            async for delta in stream:
                yield delta

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`. Raises BadInput for an empty prompt, ContextLengthExceeded for a text that is too long."""
        scores = []
        async with self._scoring:
            for prompt, answer in sequences:
                if not prompt:
                    raise BadInput("The prompt before the answer to score is empty.", param="prompt_ids")
                scored = await self._score_one([*prompt, *answer], len(prompt) - 1, adapter_hash)
                scores.append([token.logprob for token in scored])
        return scores

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`. Raises ContextLengthExceeded for a text that is too long."""
        require_scorable(first)
        async with self._scoring:
            return await self._score_one(list(ids), first - 1, adapter_hash, num_top)

    async def _score_one(self, tokens: list[int], first: int, adapter_hash: str | None, num_top: int = 0) -> list[Token]:
        """Score one text in chunks between the steps of answers, so that these continue."""
        start, scores = 0, list[Token]()
        try:
            while start < len(tokens) - 1 and first < len(tokens) - 1:
                score = partial(
                    LlamaCppCore.score_chunk, tokens=tokens, start=start, first=first, adapter=adapter_hash, num_top=num_top
                )
                start, chunk_scores = await self._thread.run_between_steps(score)
                scores += chunk_scores
        finally:
            if not self._closed:
                await self._thread.run_between_steps(LlamaCppCore.clear_scoring_sequence)
        return scores

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `Engine.embed`. Raises BadInput for an empty text."""
        vectors = []
        async with self._scoring:
            for ids in sequences:
                if not ids:
                    raise BadInput("The text to embed is empty.", param="input")
                vectors.append(await self._embed_one(list(ids)))
        return vectors

    async def _embed_one(self, tokens: list[int]) -> list[float]:
        start, total = 0, np.zeros(1)
        try:
            while start < len(tokens):
                embed = partial(LlamaCppCore.embed_chunk, tokens=tokens, start=start)
                start, chunk_sum = await self._thread.run_between_steps(embed)
                total = total + chunk_sum
        finally:
            if not self._closed:
                await self._thread.run_between_steps(LlamaCppCore.clear_scoring_sequence)
        norm = float(np.linalg.norm(total))
        return [float(value) / norm for value in total]

    async def load_adapter(self, path: Path) -> str:
        """As `Engine.load_adapter`; takes a GGUF file. Raises NotFound if the file does not exist."""
        if not path.is_file():  # noqa: ASYNC240
            raise NotFound(f"The adapter file {path} does not exist.")
        adapter_hash = await asyncio.to_thread(hash_file, path)
        load = partial(
            LlamaCppCore.load_adapter,
            path=path,
            adapter_hash=adapter_hash,
            model_hash=self.model_hash,
            source_hash=self._source_hash,
        )
        await self._thread.run_between_steps(load)
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`. Running requests keep the adapter."""
        await self._thread.run_between_steps(lambda core: core.unload_adapter(adapter_hash))

    async def close(self) -> None:
        """As `Engine.close`."""
        if self._closed:
            return
        self._closed = True
        core = await self._thread.core()
        await self._thread.close()
        core.close()


class _ConstraintFactory:
    """Makes constraints from JSON schemas. The vocabulary for llguidance is built with the first one."""

    def __init__(self, tokenizer: TokenizerLike, width: int) -> None:
        self._tokenizer = tokenizer
        self._width = width
        self._vocabulary: GrammarVocabulary | None = None

    def __call__(self, schema: dict[str, object]) -> TokenConstraint:
        from yearling.inference.grammar import GrammarVocabulary

        if self._vocabulary is None:
            self._vocabulary = GrammarVocabulary(self._tokenizer, width=self._width)
        return self._vocabulary.new_grammar(schema)


async def open_llamacpp(
    *, folder: str, threads: int = 0, context_tokens: int = 0, max_sequences: int | None = None
) -> LlamaCppEngine:
    """The factory for a supervised process: opens the installed model in `folder`. All arguments are JSON values.

    `threads` 0 means one per physical core, `context_tokens` 0 the context that the model was trained for.
    """
    from yearling.models import ModelLibrary
    from yearling.models import Tokenizer as ModelTokenizer

    model = ModelLibrary.open_folder(Path(folder))
    return await LlamaCppEngine.open(
        model.weights,
        ModelTokenizer.load(model),
        model_hash=model.sha256,
        source_hash=model.source_sha256,
        threads=threads or default_threads(),
        context_tokens=context_tokens or model.context_tokens,
        max_sequences=max_sequences,
    )
