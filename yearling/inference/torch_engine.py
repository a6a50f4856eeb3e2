"""The torch engine: batched sampling with exact log-probabilities, for rollouts, exams and machines without a faster engine.

Owns the decoder and the thread that steps it, and implements the `Engine` protocol; `torch_core.py` does the steps. The
log-probability of a token comes from the logits that the token was sampled from, in float32, and `score` returns the same value
up to the rounding of a differently shaped batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from yearling.errors import BadInput, ContextLengthExceeded
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
from yearling.inference.engine_choice import cpu_flags, default_threads
from yearling.inference.engine_thread import EngineThread
from yearling.inference.served_model import TokenizerLike
from yearling.inference.torch_core import TorchCore
from yearling.inference.torch_scoring import embed_sequences, score_sequences, score_tokens
from yearling.inference.torch_weights import choose_weight_dtype, copy_sharing_weights, pack_linears
from yearling.models import Decoder, ModelLibrary, attach_adapter, load_adapter, load_decoder
from yearling.models import Tokenizer as ModelTokenizer

T = TypeVar("T")

KV_CACHE_MEMORY_FRACTION = 0.25
"""Part of the memory that is free at start which key/value caches may take."""

MAX_SEQUENCES = 64

PACKED_WEIGHTS_MEMORY_FRACTION = 0.25
"""Weights are packed if the copy takes at most this part of the memory that is free at start."""


class TorchEngine:
    """An `Engine` in this process. Build it with `open`; use it from the event loop that built it."""

    name = "torch"

    def __init__(
        self,
        thread: EngineThread[TorchCore],
        tokenizer: TokenizerLike,
        *,
        model_hash: str,
        context_tokens: int,
        max_sequences: int,
        source_hash: str = "",
        repeats_only_alone: bool = False,
    ) -> None:
        self.model_hash = model_hash
        self._source_hash = source_hash
        self.capabilities = EngineCapabilities(
            token_ids=True,
            logprobs=True,
            score=True,
            embed=True,
            adapters=True,
            grammar=True,
            repeats_only_alone=repeats_only_alone,
            context_tokens=context_tokens,
            max_sequences=max_sequences,
        )
        self._tokenizer = tokenizer
        self._thread = thread
        self._passes = 0

    @classmethod
    async def open(
        cls,
        load: Callable[[], Decoder],
        tokenizer: TokenizerLike,
        *,
        model_hash: str,
        context_tokens: int,
        max_sequences: int,
        source_hash: str = "",
        budget_tokens: int | None = None,
    ) -> TorchEngine:
        """Load the network in the engine's own thread.

        `context_tokens` 0 means the context that the model was trained for; `budget_tokens` None sizes the caches by memory.
        `source_hash` is the hash of the published file that the weights were converted from: adapters for that file fit too.
        Raises what `load` raises.
        """

        def build() -> TorchCore:
            decoder = load()
            affordable_tokens = int(KV_CACHE_MEMORY_FRACTION * psutil.virtual_memory().available / kv_bytes_per_token(decoder))
            context = min(context_tokens or decoder.config.context_tokens, decoder.config.context_tokens)
            return TorchCore(
                decoder,
                tokenizer,
                max_rows=max_sequences,
                context_tokens=context,
                budget_tokens=max(context, affordable_tokens if budget_tokens is None else budget_tokens),
            )

        thread = EngineThread(build, name="torch")
        try:
            core = await thread.core()
        except BaseException:
            await thread.close()
            raise
        return cls(
            thread,
            tokenizer,
            model_hash=model_hash,
            context_tokens=core.context_tokens,
            max_sequences=max_sequences,
            source_hash=source_hash,
            repeats_only_alone=core.decoder.dtype != torch.float32,
        )

    @property
    def steps(self) -> int:
        """Number of finished steps and scoring passes, for the supervisor."""
        return self._thread.steps + self._passes

    @property
    def has_failed(self) -> bool:
        """Whether the engine's thread has ended by a fault, for the worker."""
        return self._thread.has_failed

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`."""
        limit = validate_request(request, self.capabilities)
        stream = self._thread.stream(request, limit, self._tokenizer)
        try:
            async for delta in stream:
                yield delta
        finally:
            await stream.aclose()

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`. Raises BadInput for an answer without a prompt, ContextLengthExceeded for a text that is
        too long.
        """
        for prompt, answer in sequences:
            self._check_length(len(prompt) + len(answer))
        return await self._run_generator(lambda core: score_sequences(core.decoder_for(adapter_hash), sequences))

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`. Raises ContextLengthExceeded for a text that is too long."""
        require_scorable(first)
        self._check_length(len(ids))
        return await self._run_generator(
            lambda core: score_tokens(core.decoder_for(adapter_hash), ids, first=first, num_top=num_top)
        )

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `Engine.embed`. Raises BadInput for an empty text."""
        for ids in sequences:
            self._check_length(len(ids))
        return await self._run_generator(lambda core: embed_sequences(core.decoder, sequences))

    async def load_adapter(self, path: Path) -> str:
        """As `Engine.load_adapter`; takes a PEFT folder, its safetensors file or a GGUF adapter. Loading an adapter twice
        changes nothing.
        """
        load = partial(_load_adapter, path=path, base_sha256=self.model_hash, source_sha256=self._source_hash)
        return await self._thread.run_between_steps(load)

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`. Running requests keep the adapter. Raises NotFound if it is not loaded."""

        def drop(core: TorchCore) -> None:
            core.decoder_for(adapter_hash)
            del core.adapter_decoders[adapter_hash]

        await self._thread.run_between_steps(drop)

    async def close(self) -> None:
        """As `Engine.close`."""
        await self._thread.close()

    async def _run_generator(self, start: Callable[[TorchCore], Generator[None, None, T]]) -> T:
        """Run a generator to its end in the engine's thread, one part between two steps."""
        work = await self._thread.run_between_steps(start)
        while True:
            done, result = await self._thread.run_between_steps(lambda _: _advance(work))
            self._passes += 1
            if done:
                return result[0]

    def _check_length(self, tokens: int) -> None:
        if tokens > self.capabilities.context_tokens:
            raise ContextLengthExceeded(
                f"The text has {tokens} tokens. The context of this model holds {self.capabilities.context_tokens}.",
                advice="Shorten the text.",
                param="input",
            )


def _advance(work: Generator[None, None, T]) -> tuple[bool, tuple[T, ...]]:
    try:
        next(work)
    except StopIteration as end:
        return True, (end.value,)
    return False, ()


def _load_adapter(core: TorchCore, *, path: Path, base_sha256: str, source_sha256: str) -> str:
    adapter_hash = hash_adapter(path)
    if adapter_hash not in core.adapter_decoders:
        decoder = copy_sharing_weights(core.decoder)
        adapter = load_adapter(path, decoder, base_sha256=base_sha256, source_sha256=source_sha256)
        attach_adapter(
            decoder, adapter, base_sha256=adapter.base_sha256
        )  # `load_adapter` checked this, and it may be another layout's hash
        core.adapter_decoders[adapter_hash] = decoder
    return adapter_hash


def hash_adapter(path: Path) -> str:
    """SHA-256 of an adapter's content: of its GGUF file, or of PEFT's two files together, because the config file holds the
    scale.

    Raises BadInput if a file cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    peft = path.is_dir() or path.suffix == ".safetensors"
    files = [folder / "adapter_config.json", folder / "adapter_model.safetensors"] if peft else [path]
    try:
        hashes = [hash_file(file) for file in files]
    except OSError as error:
        raise BadInput(f"The adapter cannot be read: {error}.", advice="Check the path.") from None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(bytes.fromhex("".join(hashes))).hexdigest()


async def open_torch(
    *, folder: str, threads: int = 0, context_tokens: int = 0, max_sequences: int | None = None, dtype: str = "auto"
) -> TorchEngine:
    """The factory for a supervised process: opens the installed model in `folder`.

    `threads` 0 means one per physical core, `context_tokens` 0 the context that the model was trained for. `dtype` is `auto`
    (see `choose_weight_dtype`), `float32` or `bfloat16`. Raises what `yearling.models.load_decoder` raises.
    """
    model = ModelLibrary.open_folder(Path(folder))
    if dtype == "auto":
        dtype = choose_weight_dtype(model.parameters, available_bytes=psutil.virtual_memory().available, cpu_flags=cpu_flags())
    return await TorchEngine.open(
        partial(load_serving_decoder, model.weights, threads=threads, dtype=dtype),
        ModelTokenizer.load(model),
        model_hash=model.sha256,
        source_hash=model.source_sha256,
        context_tokens=context_tokens,
        max_sequences=max_sequences or MAX_SEQUENCES,
    )


def load_serving_decoder(weights: Path, *, threads: int, dtype: str) -> Decoder:
    """Load the network; call it in the thread that will step it."""
    torch.set_num_threads(threads or default_threads())
    # Arithmetic with denormal numbers is a hundred times slower, and they do not matter here.
    torch.set_flush_denormal(True)
    decoder = load_decoder(weights, dtype=dtype)
    size_bytes = sum(weight.numel() * weight.element_size() for weight in decoder.parameters())
    if torch.backends.mkldnn.enabled and size_bytes <= PACKED_WEIGHTS_MEMORY_FRACTION * psutil.virtual_memory().available:
        pack_linears(decoder)
    return decoder


def kv_bytes_per_token(decoder: Decoder) -> int:
    """Bytes per position of the key/value cache, measured on two small caches; at least 1."""
    sizes = []
    for capacity in (8, 16):
        cache = decoder.new_cache(num_slots=1, capacity_tokens=capacity)
        tensors = [value for value in vars(cache).values() if isinstance(value, torch.Tensor)]
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    return max(1, (sizes[1] - sizes[0]) // 8)
