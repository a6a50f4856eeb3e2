"""The engine protocol: token ids (or messages) in, text with token ids and log-probabilities out.

Every model is reached through this protocol, whether a built-in engine or someone else's serves it. An engine knows nothing of
HTTP, of people or of storage. Use an engine from one asyncio event loop; no method blocks the loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from yearling.errors import BadInput, ContextLengthExceeded, Unavailable, Unsupported
from yearling.records import FinishReason, SamplingSettings

MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCapabilities:
    """What an engine can do. A request for anything else raises Unsupported before any work is done."""

    token_ids: bool
    """Whether it takes `prompt_ids` and reports the ids that it emits. Otherwise it takes `messages`."""
    logprobs: bool
    """Whether it reports the log-probability of each emitted token, and `top_logprobs` alternatives on request."""
    score: bool
    """Whether it can compute the log-probabilities of a given answer."""
    embed: bool
    """Whether it can embed token ids."""
    adapters: bool
    """Whether it can load LoRA adapters."""
    grammar: bool
    """Whether it can guarantee that the output satisfies `json_schema`."""
    tools: bool = False
    """Whether it renders `tools` and parses tool calls itself, as remote endpoints do. For local engines `chat/` does both."""
    penalties: bool = True
    """Whether it applies presence and frequency penalties."""
    logit_bias: bool = True
    """Whether it applies `logit_bias`."""
    repeats_only_alone: bool = False
    """Whether a greedy answer may differ when other requests share its steps, because batching changes how sums are rounded."""
    context_tokens: int
    """Most tokens of a prompt and its answer together."""
    max_sequences: int
    """How many requests can share one step; further requests wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One sequence to generate. Exactly one of `prompt_ids` and `messages` must be given."""

    prompt_ids: tuple[int, ...] | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    json_schema: dict[str, Any] | None = None
    top_logprobs: int = 0
    """How many alternatives to report per token, 0 to `MAX_TOP_LOGPROBS`."""
    adapter_hash: str | None = None
    """Content hash of a loaded adapter; None for the bare model."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Request fields for engines that take messages (tools, tool_choice, reasoning_effort), passed on unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One emitted token. `logprob` is in nats, under the model's whole distribution at temperature 1, before any truncation."""

    id: int
    logprob: float
    top_logprobs: tuple[tuple[int, float], ...] = ()
    """The likeliest alternatives as (id, logprob), likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one step added to an answer. Text is held back while a character is incomplete or may be the start of a stop string.

    The last delta of a stream carries `finish_reason` and the token counts.
    """

    text: str = ""
    tokens: tuple[Token, ...] = ()
    tool_calls: tuple[dict[str, Any], ...] = ()
    """OpenAI-style tool call deltas, from engines with `capabilities.tools`."""
    reasoning: str = ""
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A complete answer: the deltas of one stream, combined. `tokens` includes the end-of-turn token if one was emitted."""

    text: str
    tokens: tuple[Token, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    tool_calls: tuple[dict[str, Any], ...] = ()
    reasoning: str = ""


class Engine(Protocol):
    """Serves one model, and adapters on it, to concurrent callers that share its steps."""

    name: str
    """`llamacpp`, `torch`, `openvino`, `remote` or `fake`."""
    model_hash: str
    """SHA-256 of the weights file; `remote:` and the model's name if a remote endpoint holds the weights."""
    capabilities: EngineCapabilities

    def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas as they are generated. Closing the iterator (`aclose` or cancellation) stops generation within one step.

        Before the first delta, raises BadInput, ContextLengthExceeded or Unsupported if the request cannot be served, and
        NotFound if the adapter is not loaded. Raises Unavailable if the engine fails.
        """
        ...

    async def generate(self, request: GenerationRequest) -> Completion:
        """The complete answer. Raises what `stream` raises."""
        ...

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """The log-probability, in nats at temperature 1, of every answer token of each (prompt ids, answer ids) pair."""
        ...

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """The tokens `ids[first:]` of a text, each with its log-probability and the `num_top` likeliest tokens at its place.

        Raises BadInput if `first` is 0: the first token of a text has no probability.
        """
        ...

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """The L2-normalised mean of the last hidden states of each sequence of token ids."""
        ...

    async def load_adapter(self, path: Path) -> str:
        """Make a LoRA adapter file usable without interrupting running requests; returns its content hash (SHA-256).

        Raises Untrusted if the file was made for another base model.
        """
        ...

    async def unload_adapter(self, adapter_hash: str) -> None:
        """Refuse new requests for the adapter; running ones finish. Raises NotFound if the engine requires it to be loaded."""
        ...

    async def close(self) -> None:
        """Stop running requests and free all resources. Closing twice is harmless."""
        ...


def validate_request(request: GenerationRequest, capabilities: EngineCapabilities) -> int:
    """Refuse a request that the engine cannot serve, before any work; returns the maximum number of tokens of the answer.

    An answer may use what the prompt leaves of the context, up to `max_tokens` if that is given. Raises BadInput if a field is
    out of range, Unsupported if the engine lacks the capability, ContextLengthExceeded if the prompt leaves no room for an
    answer.
    """
    sampling = request.sampling
    if (request.prompt_ids is None) == (request.messages is None):
        raise BadInput("A request needs either prompt ids or messages, not both.")
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise BadInput("max_tokens must be at least 1.", param="max_tokens")
    if not 0 <= request.top_logprobs <= MAX_TOP_LOGPROBS:
        raise BadInput(f"top_logprobs must be between 0 and {MAX_TOP_LOGPROBS}.", param="top_logprobs")
    if sampling.temperature < 0 or not 0 < sampling.top_p <= 1 or not 0 <= sampling.min_p <= 1 or sampling.top_k < 0:
        raise BadInput("temperature and top_k must be at least 0, top_p above 0 and at most 1, min_p between 0 and 1.")
    if any(not text for text in sampling.stop):
        raise BadInput("A stop string must not be empty.", param="stop")
    unsupported = [
        ("prompt ids", request.prompt_ids is not None and not capabilities.token_ids, "prompt_ids"),
        ("messages", request.messages is not None and capabilities.token_ids, "messages"),
        ("top_logprobs", request.top_logprobs > 0 and not capabilities.logprobs, "top_logprobs"),
        ("a JSON schema", request.json_schema is not None and not capabilities.grammar, "response_format"),
        ("adapters", request.adapter_hash is not None and not capabilities.adapters, "adapter_hash"),
        ("tools", bool(request.extra) and not capabilities.tools, "tools"),
        (
            "penalties",
            bool(sampling.presence_penalty or sampling.frequency_penalty) and not capabilities.penalties,
            "presence_penalty",
        ),
        ("logit_bias", bool(sampling.logit_bias) and not capabilities.logit_bias, "logit_bias"),
    ]
    for feature, is_missing, param in unsupported:
        if is_missing:
            raise Unsupported(f"The engine of this model does not support {feature}.", param=param)
    if request.prompt_ids is None:
        return sampling.max_tokens or capabilities.context_tokens
    if not request.prompt_ids:
        raise BadInput("The prompt is empty.", param="messages")
    num_available = capabilities.context_tokens - len(request.prompt_ids)
    if num_available < 1:
        raise ContextLengthExceeded(
            f"The prompt has {len(request.prompt_ids)} tokens. The context of this model holds {capabilities.context_tokens}, "
            "including at least one for the answer.",
            advice="Shorten the conversation or use a model with a longer context.",
            param="messages",
        )
    return num_available if sampling.max_tokens is None else min(num_available, sampling.max_tokens)


def require_scorable(first: int) -> None:
    """Raises BadInput if the first token of a text is to be scored."""
    if first < 1:
        raise BadInput("The first token of a text has no probability.", param="prompt")


async def collect_completion(stream: AsyncGenerator[Delta, None]) -> Completion:
    """Combine the deltas of one stream and close it. Raises Unavailable if the stream ends without a last delta."""
    deltas: list[Delta] = []
    async with aclosing(stream):
        async for delta in stream:
            deltas.append(delta)
    last = deltas[-1] if deltas else Delta()
    if last.finish_reason is None:
        raise Unavailable("The engine stopped in the middle of the answer.", advice="Try again.")
    return Completion(
        text="".join(delta.text for delta in deltas),
        tokens=tuple(token for delta in deltas for token in delta.tokens),
        finish_reason=last.finish_reason,
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        tool_calls=tuple(call for delta in deltas for call in delta.tool_calls),
        reasoning="".join(delta.reasoning for delta in deltas),
    )
