"""The one door to every model: token ids (or messages) in, text with token ids and log-probabilities out.

An engine knows nothing of HTTP, of people or of storage. Engines are used from one asyncio event loop; none blocks it.
The built-in engines and any that others write come through the same protocol.
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
    """What an engine can do; a request for anything else raises `Unsupported` before any work is done."""

    token_ids: bool
    """Takes `prompt_ids` and tells the ids that it emits. Otherwise it takes `messages`."""
    logprobs: bool
    """Tells the log-probability of each emitted token, and `top_logprobs` alternatives where asked."""
    score: bool
    embed: bool
    adapters: bool
    grammar: bool
    """Guarantees that the output satisfies `json_schema`."""
    tools: bool = False
    """Renders `tools` and parses tool calls by itself (remote endpoints); local engines leave both to `chat/`."""
    penalties: bool = True
    logit_bias: bool = True
    repeats_only_alone: bool = False
    """A greedy answer may come out otherwise beside others than alone: what shares a step changes how sums are rounded."""
    context_tokens: int
    """Prompt and answer together."""
    max_sequences: int
    """How many requests share one step; more wait their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One sequence to generate. Exactly one of `prompt_ids` and `messages` is given."""

    prompt_ids: tuple[int, ...] | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    json_schema: dict[str, Any] | None = None
    top_logprobs: int = 0
    """How many alternatives to report per token (0 to 20)."""
    adapter_hash: str | None = None
    """Content hash of a loaded adapter; None is the bare model."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Request fields for engines that take messages (tools, tool_choice, reasoning_effort), passed through unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One emitted token. `logprob` is in nats, of the model's whole distribution at temperature 1, before any truncation."""

    id: int
    logprob: float
    top_logprobs: tuple[tuple[int, float], ...] = ()
    """The likeliest alternatives as (id, logprob), likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one step added. Text is held back while a character is incomplete or a stop string may be forming.

    The last delta of a stream carries `finish_reason` and the token counts; no delta follows it.
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
    """A whole answer: the deltas of one stream, added up. `tokens` includes the end-of-turn token where one was emitted."""

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
    """SHA-256 of the weights file that answers; `remote:` and the model's name where the weights are not ours to see."""
    capabilities: EngineCapabilities

    def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas as they come. Closing the iterator (`aclose`, cancellation) stops generation within one step.

        Raises ContextExceeded, Unsupported, NotFound (adapter) before the first delta; Unavailable when the engine fails.
        """
        ...

    async def generate(self, request: GenerationRequest) -> Completion:
        """The whole answer at once; raises what `stream` raises."""
        ...

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """For each (prompt ids, answer ids): the log-probability in nats of every answer token, at temperature 1."""
        ...

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each sequence of token ids: the mean of the last hidden states, L2-normalised."""
        ...

    async def load_adapter(self, path: Path) -> str:
        """Make a LoRA adapter file usable without interrupting running requests; returns its content hash (SHA-256).

        Raises Untrusted when the file was made for another base model."""
        ...

    async def unload_adapter(self, adapter_hash: str) -> None: ...

    async def close(self) -> None:
        """Stop running requests and free everything. Closing twice is harmless."""
        ...


def validate_request(request: GenerationRequest, capabilities: EngineCapabilities) -> int:
    """Refuse, before any work, what the engine cannot do; returns how many tokens the answer may have at most.

    An answer without `max_tokens`, or with more than there is room for, may use what the prompt leaves of the context.
    Raises BadInput, Unsupported or ContextExceeded.
    """
    sampling = request.sampling
    if (request.prompt_ids is None) == (request.messages is None):
        raise BadInput("A request needs either prompt ids or messages, and not both.")
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise BadInput("max_tokens must be at least 1.", param="max_tokens")
    if not 0 <= request.top_logprobs <= MAX_TOP_LOGPROBS:
        raise BadInput(f"top_logprobs must lie between 0 and {MAX_TOP_LOGPROBS}.", param="top_logprobs")
    if sampling.temperature < 0 or not 0 < sampling.top_p <= 1 or not 0 <= sampling.min_p <= 1 or sampling.top_k < 0:
        raise BadInput("temperature and top_k must not be negative, top_p lies above 0 and up to 1, min_p between 0 and 1.")
    if any(not text for text in sampling.stop):
        raise BadInput("A stop string must not be empty.", param="stop")
    lacking = [
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
    for what, wanted, param in lacking:
        if wanted:
            raise Unsupported(f"The engine of this model cannot take {what}.", param=param)
    if request.prompt_ids is None:
        return sampling.max_tokens or capabilities.context_tokens
    if not request.prompt_ids:
        raise BadInput("The prompt is empty.", param="messages")
    left = capabilities.context_tokens - len(request.prompt_ids)
    if left < 1:
        raise ContextLengthExceeded(
            f"The prompt has {len(request.prompt_ids)} tokens, and the context of this model holds "
            f"{capabilities.context_tokens}, at least one of them for the answer.",
            advice="Shorten the conversation or use a model with a longer context.",
            param="messages",
        )
    return left if sampling.max_tokens is None else min(left, sampling.max_tokens)


async def collect_completion(stream: AsyncGenerator[Delta, None]) -> Completion:
    """The deltas of one stream, added up. Closes the stream; raises Unavailable when it ends without a last delta."""
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
