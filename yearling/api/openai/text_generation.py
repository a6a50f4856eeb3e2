"""One text completion: the model continues a prompt as it is, without a chat template. Knows engines by their protocol only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from yearling.chat import TokenText, TokenTextAligner
from yearling.errors import BadInput, ContextLengthExceeded, Unavailable, Unsupported
from yearling.inference import GenerationRequest, ServedModel, Token, TokenizerLike, validate_request
from yearling.records import SamplingSettings

_MIN_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot express."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionTask:
    """What to complete. `prompt_text` is the prompt as the client sees it, which `echo` returns.

    `num_top` is None without log-probabilities; `max_tokens` 0 generates nothing.
    """

    prompt_ids: tuple[int, ...]
    prompt_text: str
    num_hidden: int
    """Tokens at the start of the prompt that are not part of its text: a token that begins texts."""
    sampling: SamplingSettings
    max_tokens: int
    echo: bool
    num_top: int | None


@dataclass(frozen=True, slots=True)
class CompletionChunk:
    """What one step adds. `finish_reason` and the counts are in the last chunk. A token without log-probability begins a text."""

    text: str = ""
    tokens: tuple[ScoredText, ...] = ()
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A token of a completion as clients see it. `logprob` is None for the first token of a text."""

    text: str
    raw_bytes: bytes
    logprob: float | None
    top: tuple[tuple[str, float], ...] = field(default=())


def encode_prompt(prompt: str | Sequence[int], served: ServedModel) -> tuple[tuple[int, ...], str, int]:
    """The ids of a prompt, its text, and the number of ids before it. Raises BadInput for an unknown id.

    A model completes an empty prompt from the token that begins or ends its texts.
    """
    tokenizer = require_tokenizer(served)
    if not isinstance(prompt, str):
        if max(prompt) >= tokenizer.vocab_size:
            raise BadInput(f"Token IDs must be below {tokenizer.vocab_size}.", param="prompt")
        return tuple(prompt), tokenizer.decode(list(prompt), skip_special=False), 0
    ids = tokenizer.encode(prompt)
    begin = tokenizer.bos_id if tokenizer.adds_bos else None
    if not ids and begin is None:
        begin = tokenizer.bos_id if tokenizer.bos_id is not None else min(tokenizer.stop_ids)
    return ((begin, *ids), prompt, 1) if begin is not None else (tuple(ids), prompt, 0)


def require_tokenizer(served: ServedModel) -> TokenizerLike:
    """The model's tokenizer. Raises Unsupported for a model that takes messages only."""
    if served.tokenizer is None or not served.engine.capabilities.token_ids:
        raise Unsupported(
            f"The model {served.name} answers chats only.", advice="Use /v1/chat/completions, or a local model.", param="model"
        )
    return served.tokenizer


def check_task(task: CompletionTask, served: ServedModel) -> None:
    """Raises BadInput, ContextLengthExceeded or Unsupported for what the engine cannot do, before any work."""
    capabilities = served.engine.capabilities
    if task.num_top is not None and not capabilities.logprobs:
        raise Unsupported("The engine of this model does not report log-probabilities.", param="logprobs")
    if task.num_top is not None and task.echo and not capabilities.score:
        raise Unsupported("The engine of this model cannot score a prompt.", param="echo")
    num_tokens, max_tokens = len(task.prompt_ids), capabilities.context_tokens - (1 if task.max_tokens else 0)
    if num_tokens > max_tokens:
        raise ContextLengthExceeded(
            f"The prompt has {num_tokens} tokens. The context of this model holds {capabilities.context_tokens}"
            f"{', including at least one for the completion' if task.max_tokens else ''}.",
            advice="Shorten the prompt.",
            param="prompt",
        )
    if task.max_tokens:
        validate_request(_engine_request(task), capabilities)


async def complete(task: CompletionTask, served: ServedModel) -> AsyncGenerator[CompletionChunk, None]:
    """The chunks of a completion. Closing the generator stops generation within one step.

    Raises Unavailable if the engine breaks off, and what it raises.
    """
    tokenizer = require_tokenizer(served)
    if task.echo:
        yield CompletionChunk(task.prompt_text, await _score_prompt(task, served, tokenizer))
    if not task.max_tokens:
        yield CompletionChunk(finish_reason="length", prompt_tokens=len(task.prompt_ids))
        return
    aligner = TokenTextAligner(tokenizer)
    last: Token | None = None
    async with aclosing(served.engine.stream(_engine_request(task))) as deltas:
        async for delta in deltas:
            tokens = aligner.push(delta.tokens, delta.text)
            last = delta.tokens[-1] if delta.tokens else last
            if delta.finish_reason is None:
                if delta.text or tokens:
                    yield CompletionChunk(delta.text, _scored_texts(tokens, task))
                continue
            if delta.finish_reason not in ("stop", "length"):
                raise Unavailable("The engine stopped in the middle of a completion.", advice="Try again.")
            is_ended = last is not None and last.id in tokenizer.stop_ids
            was_cut = bool(task.sampling.stop) and delta.finish_reason == "stop" and not is_ended
            tokens += aligner.flush(all_tokens_are_text=not was_cut)
            ending = (_scored_token(last, tokenizer),) if is_ended and last is not None and task.num_top is not None else ()
            yield CompletionChunk(
                delta.text,
                (*_scored_texts(tokens, task), *ending),
                delta.finish_reason,
                delta.prompt_tokens,
                delta.completion_tokens,
            )
            return
    raise Unavailable("The engine stopped in the middle of a completion.", advice="Try again.")


def _engine_request(task: CompletionTask) -> GenerationRequest:
    sampling = replace(task.sampling, max_tokens=task.max_tokens)
    return GenerationRequest(prompt_ids=task.prompt_ids, sampling=sampling, top_logprobs=task.num_top or 0)


async def _score_prompt(task: CompletionTask, served: ServedModel, tokenizer: TokenizerLike) -> tuple[ScoredText, ...]:
    """The tokens of the prompt's text, if log-probabilities are asked for."""
    if task.num_top is None:
        return ()
    first = max(1, task.num_hidden)
    scored = await served.engine.score_tokens(task.prompt_ids, first=first, num_top=task.num_top)
    unscored_first = () if task.num_hidden else (_token_bytes(task.prompt_ids[0], tokenizer),)
    unscored = tuple(ScoredText(raw_bytes.decode(errors="replace"), raw_bytes, None) for raw_bytes in unscored_first)
    return (*unscored, *(_scored_token(token, tokenizer) for token in scored))


def _scored_token(token: Token, tokenizer: TokenizerLike) -> ScoredText:
    raw_bytes = _token_bytes(token.id, tokenizer)
    top = tuple((_token_bytes(token_id, tokenizer).decode(errors="replace"), logprob) for token_id, logprob in token.top_logprobs)
    return _scored(raw_bytes, token.logprob, top)


def _scored_texts(tokens: Sequence[TokenText], task: CompletionTask) -> tuple[ScoredText, ...]:
    if task.num_top is None:
        return ()
    return tuple(
        _scored(token.raw_bytes, token.logprob, tuple((alternative.text, alternative.logprob) for alternative in token.top))
        for token in tokens
    )


def _scored(raw_bytes: bytes, logprob: float, top: Sequence[tuple[str, float]]) -> ScoredText:
    clamped = tuple((text, max(value, _MIN_LOGPROB)) for text, value in top)
    return ScoredText(raw_bytes.decode(errors="replace"), raw_bytes, max(logprob, _MIN_LOGPROB), clamped)


def _token_bytes(token_id: int, tokenizer: TokenizerLike) -> bytes:
    return tokenizer.token_bytes(token_id)
