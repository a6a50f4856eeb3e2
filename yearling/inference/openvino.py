"""OpenVINO GenAI: fast batches on x86 processors, from the same GGUF files. It needs the extra `openvino`.

The library's continuous batching pipeline schedules, caches and samples; this module translates. Its log-probabilities are
those of torch: of the whole distribution at temperature 1, before penalties and grammar. A request's seed decides its tokens.
Requests that it cannot serve are refused:

- **LoRA adapters: models read from GGUF silently ignore them.** Serve merged weights instead.
- `top_logprobs` (it reports the emitted token only), `logit_bias`, embeddings.
- JSON schemas with constraints that its grammar library skips without a warning: see `check_schema_support`. The model chooses
  the white space between JSON's parts, and may continue with it until the answer's length is used up.

The library's defaults trade exactness for speed; `PROPERTIES` says which of them we change and what that costs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from yearling.errors import BadInput, ContextLengthExceeded, Unavailable, Unsupported, UserError, install_advice
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
from yearling.inference.engine_thread import EngineThread, InFlightRequest
from yearling.inference.served_model import TokenizerLike
from yearling.models import ModelLibrary
from yearling.models import Tokenizer as ModelTokenizer
from yearling.records import SamplingSettings

TOKENS_PER_STEP = 128
"""Tokens per step, prompts and answers together. It bounds how long a long prompt delays other requests."""

MAX_SEQUENCES = 64

KV_CACHE_MEMORY_FRACTION = 0.25
"""Part of the memory that is free at start which the key/value cache may take."""

PROPERTIES = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
}
"""Settings that make answers repeatable, in place of defaults that are faster.

By default the library computes in bfloat16 where the processor multiplies it (AMX), quantises activations and rounds keys and
values. On two AMX cores, with the default model, bfloat16 shifts log-probabilities by 0.04 nats on average, and none of eight
sampled answers is the same alone and beside seven others; with these settings all are, and log-probabilities differ from
torch's by 0.0001 nats. The price is paid by large batches: 0.77 of the speed with 8 sequences, 0.47 with 32, 0.38 for prompts,
none with one sequence. Answers that repeat only alone would cost more, because exams would then run one at a time.
"""

SUPPORTED_SCHEMA_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "enum", "const"}
    | {"anyOf", "$ref", "$defs", "definitions", "minLength", "maxLength", "pattern"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
)
"""Schema keywords that the grammar enforces, or that constrain nothing."""


class OpenVinoCore:
    """An `EngineCore` around the library's pipeline."""

    def __init__(self, weights: Path, *, stop_ids: frozenset[int], threads: int, max_sequences: int) -> None:
        try:
            import openvino
            import openvino_genai
        except ImportError:
            raise BadInput("OpenVINO GenAI is not installed.", advice=install_advice("openvino")) from None
        self._tensor, self._genai = openvino.Tensor, openvino_genai
        self._stop_ids = stop_ids
        self._request_ids = itertools.count()
        self._handles: dict[InFlightRequest, Any] = {}
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_seqs = max_sequences
        scheduler.max_num_batched_tokens = max(TOKENS_PER_STEP, max_sequences)
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = False
        scheduler.cache_size = max(1, int(KV_CACHE_MEMORY_FRACTION * psutil.virtual_memory().available / 2**30))
        properties = PROPERTIES | {"INFERENCE_NUM_THREADS": threads}
        try:
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(str(weights), scheduler, "CPU", properties)
        except RuntimeError as error:
            raise Unsupported(
                f"OpenVINO GenAI cannot open this model: {_error_summary(error)}", advice="Serve it with llama.cpp."
            ) from None

    def add(self, in_flight: InFlightRequest) -> None:
        """Submit a request. Raises Unsupported if the library refuses it."""
        config = self._config(in_flight)
        try:
            self._handles[in_flight] = self._submit(in_flight.prompt_ids, config)
        except (RuntimeError, ValueError) as error:
            raise Unsupported(f"OpenVINO GenAI refuses the request: {_error_summary(error)}") from None

    def remove(self, in_flight: InFlightRequest) -> None:
        """Cancel a request."""
        handle = self._handles.pop(in_flight, None)
        if handle is not None:
            handle.cancel()

    def has_work(self) -> bool:
        """Whether any request is unfinished."""
        return bool(self._pipeline.has_non_finished_requests())

    def step(self) -> None:
        """Run one step of the pipeline and pass on the new tokens."""
        self._pipeline.step()
        for in_flight, handle in list(self._handles.items()):
            self._emit_new_tokens(in_flight, handle)
            if in_flight.is_finished:
                self.remove(in_flight)

    def has_idle_work(self) -> bool:
        """Never."""
        return False

    def idle_step(self) -> None:
        """Does nothing."""

    def abort_all(self) -> None:
        """Cancel all requests."""
        for in_flight in list(self._handles):
            self.remove(in_flight)

    def score(self, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
        """Log-probabilities of the answer's tokens. The pipeline can echo a prompt with the log-probability of each of its
        tokens.

        Raises Unavailable if the cache has no memory for the text.
        """
        config = self._genai.GenerationConfig()
        config.apply_chat_template = False
        config.max_new_tokens, config.logprobs, config.echo = 0, 1, True
        handle = self._submit([*prompt, *answer], config)
        # The handle can be read after the first of several chunks, but `read_all` waits for steps that only this thread does.
        while handle.get_status() == self._genai.GenerationStatus.RUNNING:
            if not self._pipeline.has_non_finished_requests():
                raise Unavailable("OpenVINO GenAI ran out of memory for its cache.", advice="Shorten the text.")
            self.step()
        logprobs: list[float] = handle.read_all()[0].generated_log_probs
        return logprobs[len(prompt) :]

    def _submit(self, ids: Sequence[int], config: Any) -> Any:
        import numpy as np

        return self._pipeline.add_request(next(self._request_ids), self._tensor(np.array([ids], np.int64)), config)

    def _config(self, in_flight: InFlightRequest) -> Any:
        sampling = in_flight.request.sampling
        config = self._genai.GenerationConfig()
        config.apply_chat_template = False
        config.logprobs = 1
        config.max_new_tokens = in_flight.max_new_tokens
        config.stop_token_ids = set(self._stop_ids)
        config.presence_penalty = sampling.presence_penalty
        config.frequency_penalty = sampling.frequency_penalty
        config.do_sample = sampling.temperature > 0
        if config.do_sample:
            self._set_sampling(config, sampling)
        if in_flight.request.json_schema is not None:
            check_schema_support(in_flight.request.json_schema)
            constraint = self._genai.StructuredOutputConfig()
            constraint.json_schema = json.dumps(in_flight.request.json_schema)
            config.structured_output_config = constraint
        return config

    def _set_sampling(self, config: Any, sampling: SamplingSettings) -> None:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.min_p = sampling.min_p
        if sampling.top_k:
            config.top_k = sampling.top_k
        config.rng_seed = sampling.seed % 2**32

    def _emit_new_tokens(self, in_flight: InFlightRequest, handle: Any) -> None:
        while handle.can_read() and not in_flight.is_finished:
            for output in handle.read().values():
                for token_id, logprob in zip(output.generated_ids, output.generated_log_probs, strict=True):
                    if not in_flight.is_finished:
                        in_flight.emit(Token(id=token_id, logprob=logprob))
        if in_flight.is_finished:
            return
        status = self._genai.GenerationStatus
        if handle.get_status() == status.IGNORED:
            in_flight.fail(
                Unavailable("OpenVINO GenAI ran out of memory for its cache.", advice="Send fewer or shorter requests.")
            )
        elif handle.get_status() == status.FINISHED:
            # The pipeline itself ends an answer that completes its schema.
            in_flight.finish("stop")


class OpenVinoEngine:
    """An `Engine` in this process. Build it with `open`; use it from the event loop that built it."""

    name = "openvino"

    def __init__(
        self,
        thread: EngineThread[OpenVinoCore],
        tokenizer: TokenizerLike,
        *,
        model_hash: str,
        context_tokens: int,
        max_sequences: int,
    ) -> None:
        self.model_hash = model_hash
        self.capabilities = EngineCapabilities(
            token_ids=True,
            logprobs=True,
            score=True,
            embed=False,
            adapters=False,
            grammar=True,
            logit_bias=False,
            context_tokens=context_tokens,
            max_sequences=max_sequences,
        )
        self._tokenizer = tokenizer
        self._thread = thread
        self._scored = 0

    @classmethod
    async def open(
        cls, weights: Path, tokenizer: TokenizerLike, *, model_hash: str, threads: int, context_tokens: int, max_sequences: int
    ) -> OpenVinoEngine:
        """Load the file in the engine's own thread. Raises BadInput if the extra is missing, Unsupported if the library cannot
        read the model.
        """
        build = partial(OpenVinoCore, weights, stop_ids=tokenizer.stop_ids, threads=threads, max_sequences=max_sequences)
        thread = EngineThread(build, name="openvino")
        try:
            await thread.core()
        except BaseException:
            await thread.close()
            raise
        return cls(thread, tokenizer, model_hash=model_hash, context_tokens=context_tokens, max_sequences=max_sequences)

    @property
    def steps(self) -> int:
        """Number of finished steps and scored texts, for the supervisor."""
        return self._thread.steps + self._scored

    @property
    def has_failed(self) -> bool:
        """Whether the engine's thread has ended by a fault, for the worker."""
        return self._thread.has_failed

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`. Raises Unsupported for `top_logprobs`."""
        limit = validate_request(request, self.capabilities)
        if request.top_logprobs:
            raise Unsupported("OpenVINO GenAI reports the log-probability of the emitted token only.", param="top_logprobs")
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
        """As `Engine.score`. Raises BadInput for an empty prompt, ContextLengthExceeded for a text that is too long."""
        if adapter_hash is not None:
            raise self._no_adapters()
        scores = []
        for prompt, answer in sequences:
            if not prompt:
                raise BadInput("The first token of a text has no probability without a prompt.", param="prompt_ids")
            if len(prompt) + len(answer) > self.capabilities.context_tokens:
                raise ContextLengthExceeded("The text is longer than the context of this model.", advice="Shorten the text.")
            scores.append(await self._thread.run_between_steps(partial(_score, prompt=prompt, answer=answer)))
            self._scored += 1
        return scores

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`. Raises Unsupported if alternatives are asked for."""
        require_scorable(first)
        if num_top:
            raise Unsupported("OpenVINO GenAI reports the log-probability of the given token only.", param="logprobs")
        (scores,) = await self.score([(ids[:first], ids[first:])], adapter_hash=adapter_hash)
        return [Token(id=token_id, logprob=score) for token_id, score in zip(ids[first:], scores, strict=True)]

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Raises Unsupported."""
        raise Unsupported("OpenVINO GenAI makes no embeddings from a chat model.", advice="Use the llamacpp or torch engine.")

    async def load_adapter(self, path: Path) -> str:
        """Raises Unsupported."""
        raise self._no_adapters()

    async def unload_adapter(self, adapter_hash: str) -> None:
        """Raises Unsupported."""
        raise self._no_adapters()

    async def close(self) -> None:
        """As `Engine.close`."""
        await self._thread.close()

    def _no_adapters(self) -> UserError:
        return Unsupported(
            "OpenVINO GenAI ignores adapters of models read from GGUF.",
            advice="Use the llamacpp or torch engine.",
            param="adapter_hash",
        )


def _score(pipeline: OpenVinoCore, *, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
    return pipeline.score(prompt, answer)


def check_schema_support(schema: object, *, where: str = "the schema") -> None:
    """Raises Unsupported if a JSON schema has a constraint that the grammar would not enforce."""
    if not isinstance(schema, Mapping):
        return
    unknown = sorted(set(schema) - SUPPORTED_SCHEMA_KEYWORDS)
    bounded = bool(set(schema) & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
    unlisted = sorted(set(schema.get("required", ())) - set(schema.get("properties", ())))
    for wrong, what in [
        (unknown, ", ".join(unknown)),
        (bounded and schema.get("type") != "integer", "bounds of numbers that are not integers"),
        ("pattern" in schema and {"minLength", "maxLength"} & set(schema), "a pattern together with a length"),
        (unlisted, f"required properties that are not described ({', '.join(unlisted)})"),
    ]:
        if wrong:
            raise Unsupported(
                f"OpenVINO GenAI does not enforce {what} in {where}.",
                advice="Use the llamacpp or torch engine, or leave it out.",
                param="response_format",
            )
    for word, part in schema.items():
        if word in ("properties", "$defs", "definitions"):
            for name, child in part.items():
                check_schema_support(child, where=f"{where}, {name}")
        elif word in ("anyOf", "prefixItems"):
            for child in part:
                check_schema_support(child, where=where)
        elif word in ("items", "additionalProperties"):
            check_schema_support(part, where=where)


def _error_summary(error: Exception) -> str:
    """The last line of the library's error message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


async def open_openvino(
    *, folder: str, threads: int = 0, context_tokens: int = 0, max_sequences: int | None = None
) -> OpenVinoEngine:
    """The factory for a supervised process: opens the installed GGUF model in `folder`.

    `threads` 0 means one per physical core, `context_tokens` 0 the context that the model was trained for. Raises BadInput if
    the extra is missing, Unsupported if the library cannot read the model.
    """
    model = ModelLibrary.open_folder(Path(folder))
    if model.format != "gguf":
        raise Unsupported("The OpenVINO engine reads GGUF files only.", advice="Use the torch engine.")
    return await OpenVinoEngine.open(
        model.weights,
        ModelTokenizer.load(model),
        model_hash=model.sha256,
        threads=threads or default_threads(),
        context_tokens=min(context_tokens or model.context_tokens, model.context_tokens),
        max_sequences=max_sequences or MAX_SEQUENCES,
    )
