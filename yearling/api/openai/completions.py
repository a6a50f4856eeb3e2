"""`POST /v1/completions`: texts continued as they are, without a chat template, and texts scored by their log-probabilities.

Nothing of a completion is stored: it is no answer of the assistant.
"""

from __future__ import annotations

import asyncio
import codecs
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from fastapi import Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.openai import completion_schemas as schemas
from yearling.api.openai.generation import system_fingerprint, usage_json
from yearling.api.openai.text_generation import (
    CompletionChunk,
    CompletionTask,
    ScoredText,
    check_task,
    complete,
    encode_prompt,
    require_tokenizer,
)
from yearling.api.openai.turn_execution import AnswerMeter, encode_completion, run_to_completion, stream_response
from yearling.api.services import get_services
from yearling.chat import TokenUsage
from yearling.inference import ServedModel
from yearling.records import SamplingSettings

router = ApiRouter(dependencies=[require_role("member")])

DEFAULT_MAX_TOKENS = 16
"""As in OpenAI's API."""
_NUM_SEEDS = 2**31


@router.post(
    "/v1/completions",
    operation_id="create_completion",
    response_model=schemas.TextCompletion,
    responses=event_stream(schemas.TextCompletion),
)
async def create_completion(request: Request, body: JsonBody[schemas.TextCompletionRequest]) -> Response:
    """Continue texts, or score them (`echo` with `logprobs`). Nothing is stored."""
    include_usage = body.wants_usage_chunk()
    services = get_services(request)
    served = await services.get_model(body.model, current_person(request).id)
    tasks = await asyncio.to_thread(_completion_tasks, body, served)
    response_fields = {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
        "system_fingerprint": system_fingerprint(served),
    }
    meter = AnswerMeter(services, request)
    num_per_prompt = body.n or 1
    reservation = services.admission.reserve_answers(served, 1 if body.stream else len(tasks))
    if not body.stream:
        answers = await run_to_completion(request, reservation, _complete_all(tasks, served))
        usage = _total_usage([chunks[-1] for chunks in answers], num_per_prompt)
        meter.record_usage(usage)
        choices = [_choice_json(index, chunks, tasks[index]) for index, chunks in enumerate(answers)]
        return JsonResponse({**response_fields, "choices": choices, "usage": usage_json(usage)})
    endings: list[CompletionChunk] = []

    def encode(chunks: AsyncGenerator[tuple[int, CompletionChunk], None]) -> AsyncGenerator[bytes, None]:
        choices = _chunk_choices(chunks, tasks, meter, endings)
        total_usage = partial(_total_usage, endings, num_per_prompt)
        return encode_completion(choices, response_fields, meter, total_usage, include_usage=include_usage)

    return await stream_response(request, reservation, _stream_all(tasks, served), encode)


# Request


def _completion_tasks(body: schemas.TextCompletionRequest, served: ServedModel) -> list[CompletionTask]:
    """A task for each completion. Raises BadInput, ContextLengthExceeded and Unsupported; ApiError for too many completions."""
    require_tokenizer(served)
    prompts, num_per_prompt = _prompts(body), body.n or 1
    if len(prompts) * num_per_prompt > schemas.MAX_COMPLETION_CHOICES:
        message = f"A request can have at most {schemas.MAX_COMPLETION_CHOICES} completions: prompts times n."
        raise ApiError(400, message, param="n", code="invalid_value")
    sampling = _sampling(body)
    tasks = []
    for prompt in prompts:
        ids, text, num_hidden = encode_prompt(prompt, served)
        task = CompletionTask(
            prompt_ids=ids,
            prompt_text=text,
            num_hidden=num_hidden,
            sampling=sampling,
            max_tokens=DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens,
            echo=bool(body.echo),
            num_top=body.logprobs,
        )
        check_task(task, served)
        tasks += [
            replace(task, sampling=replace(sampling, seed=(sampling.seed + number) % _NUM_SEEDS))
            for number in range(num_per_prompt)
        ]
    return tasks


def _prompts(body: schemas.TextCompletionRequest) -> list[str | list[int]]:
    """The prompts, one by one. A text is one prompt, and so is a flat list of token IDs."""
    prompts: list[str | list[int]] = []
    token_ids: list[int] = []
    for element in [body.prompt] if isinstance(body.prompt, str) else body.prompt:
        if isinstance(element, int):
            token_ids.append(element)
        else:
            prompts.append(element)
    return prompts or [token_ids]


def _sampling(body: schemas.TextCompletionRequest) -> SamplingSettings:
    """OpenAI's defaults with the request's fields; a random seed unless the request has one."""
    seed = secrets.randbelow(_NUM_SEEDS) if body.seed is None else body.seed % _NUM_SEEDS
    return replace(SamplingSettings(), **body.sampling_overrides() | {"seed": seed})


# Response


async def _complete_all(tasks: Sequence[CompletionTask], served: ServedModel) -> list[list[CompletionChunk]]:
    """The chunks of each completion, generated concurrently. The first error cancels the others."""
    running = [asyncio.create_task(_collect(task, served)) for task in tasks]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _collect(task: CompletionTask, served: ServedModel) -> list[CompletionChunk]:
    async with aclosing(complete(task, served)) as chunks:
        return [chunk async for chunk in chunks]


async def _stream_all(tasks: Sequence[CompletionTask], served: ServedModel) -> AsyncGenerator[tuple[int, CompletionChunk], None]:
    for index, task in enumerate(tasks):
        async with aclosing(complete(task, served)) as chunks:
            async for chunk in chunks:
                yield index, chunk


async def _chunk_choices(
    source: AsyncGenerator[tuple[int, CompletionChunk], None],
    tasks: Sequence[CompletionTask],
    meter: AnswerMeter,
    endings: list[CompletionChunk],
) -> AsyncGenerator[JsonObject, None]:
    """The choices of the chunks. The last chunk of each completion is added to `endings`, in order."""
    offsets = [_TextOffset() for _ in tasks]
    async with aclosing(source) as chunks:
        async for index, chunk in chunks:
            meter.record_first_token()
            if chunk.finish_reason is not None:
                endings.append(chunk)
            logprobs = _logprobs_json(chunk.tokens, offsets[index]) if tasks[index].num_top is not None else None
            yield {"index": index, "text": chunk.text, "logprobs": logprobs, "finish_reason": chunk.finish_reason}


def _choice_json(index: int, chunks: Sequence[CompletionChunk], task: CompletionTask) -> JsonObject:
    tokens = [token for chunk in chunks for token in chunk.tokens]
    return {
        "index": index,
        "text": "".join(chunk.text for chunk in chunks),
        "logprobs": _logprobs_json(tokens, _TextOffset()) if task.num_top is not None else None,
        "finish_reason": chunks[-1].finish_reason,
    }


class _TextOffset:
    """Counts the characters that tokens complete. Characters can span several tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._num_chars = 0

    def advance(self, raw_bytes: bytes) -> int:
        """The position of the next token, whose bytes these are."""
        position = self._num_chars
        self._num_chars += len(self._decoder.decode(raw_bytes))
        return position


def _logprobs_json(tokens: Iterable[ScoredText], offset: _TextOffset) -> JsonObject:
    """A `TextCompletionLogprobs`."""
    listed = list(tokens)
    return {
        "tokens": [token.text for token in listed],
        "token_logprobs": [token.logprob for token in listed],
        "top_logprobs": [_top_json(token) for token in listed],
        "text_offset": [offset.advance(token.raw_bytes) for token in listed],
    }


def _top_json(token: ScoredText) -> dict[str, float] | None:
    """The likeliest tokens and the token itself. Tokens of the same text (parts of characters) count as the likeliest one."""
    if token.logprob is None:
        return None
    top: dict[str, float] = {}
    for text, logprob in (*token.top, (token.text, token.logprob)):
        top[text] = max(logprob, top.get(text, logprob))
    return top


def _total_usage(endings: Sequence[CompletionChunk], num_per_prompt: int) -> TokenUsage:
    """The tokens of each prompt once, and of all completions."""
    prompt_tokens = sum(ending.prompt_tokens for ending in endings[::num_per_prompt])
    return TokenUsage(prompt_tokens, sum(ending.completion_tokens for ending in endings))
