"""`POST /v1/chat/completions`, with and without a stream: one turn of the assistant in OpenAI's form."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request
from starlette.responses import Response

from yearling.api.access.live_request import get_request_id
from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.openai import chat_schemas as schemas
from yearling.api.openai.answer_sources import chat_sources_json, document_address, find_sources
from yearling.api.openai.generation import logprob_json, system_fingerprint, usage_json, used_corrections_json
from yearling.api.openai.schemas import JsonObjectFormat
from yearling.api.openai.turn_execution import AnswerMeter, encode_completion, run_to_completion, stream_response
from yearling.api.services import get_services
from yearling.chat import (
    ChoiceAnswer,
    PreparedTurn,
    TokenText,
    TokenUsage,
    TurnEvent,
    TurnRequest,
    total_token_usage,
)
from yearling.retrieval import Citation
from yearling.store import SearchScope

router = ApiRouter(dependencies=[require_role("member")])


@router.post(
    "/v1/chat/completions",
    operation_id="create_chat_completion",
    response_model=schemas.ChatCompletion,
    responses=event_stream(schemas.ChatCompletionChunk),
)
async def create_chat_completion(request: Request, body: JsonBody[schemas.ChatCompletionRequest]) -> Response:
    """Answer a conversation. Stores the answer as a sample before the response ends."""
    include_usage = body.wants_usage_chunk()
    services = get_services(request)
    turn_request, person_id = to_turn_request(body, get_request_id(request)), current_person(request).id
    sources = await find_sources(
        services,
        person_id,
        turn_request.messages,
        documents=SearchScope(person_id=person_id) if body.documents else None,
        web=body.web_search_options is not None,
        web_param="web_search_options",
    )
    turn = await services.running_assistant.prepare(replace(turn_request, sources=sources), person_id=person_id)
    open_address = document_address(request)
    head = {
        "id": f"chatcmpl-{turn.choices[0].sample_id}",
        "created": int(time.time()),
        "model": turn.served.name,
        "system_fingerprint": system_fingerprint(turn.served),
    }
    used = used_corrections_json(turn)
    meter = AnswerMeter(services, request)
    reservation = services.admission.reserve(turn)
    if not body.stream:
        answer = await run_to_completion(request, reservation, turn.answer())
        meter.record_usage(answer.usage)
        choices = [_choice_json(choice, open_address, logprobs=turn.request.logprobs) for choice in answer.choices]
        return JsonResponse({**head, **used, "object": "chat.completion", "choices": choices, "usage": usage_json(answer.usage)})
    head["object"] = "chat.completion.chunk"
    usages: list[TokenUsage] = []

    def encode(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[bytes, None]:
        deltas = _chunk_choices(events, turn, meter, usages, open_address)
        return encode_completion(
            deltas, head, meter, lambda: total_token_usage(usages), include_usage=include_usage, first_fields=used
        )

    return await stream_response(request, reservation, turn.stream(), encode)


# Request


def to_turn_request(body: schemas.ChatCompletionRequest, request_id: str) -> TurnRequest:
    """The assistant's turn for a request."""
    max_tokens = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    return TurnRequest(
        request_id=request_id,
        messages=tuple(to_chat_message(message) for message in body.messages),
        model=body.model,
        sampling=body.sampling_overrides() | ({} if max_tokens is None else {"max_tokens": max_tokens}),
        n=body.n or 1,
        logprobs=bool(body.logprobs),
        top_logprobs=body.top_logprobs or 0,
        json_schema=_requested_json_schema(body),
        strict=not _is_lenient(body),
        tools=tuple(tool.model_dump(exclude_none=True) for tool in body.tools or ()),
        tool_choice=_tool_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        effort=body.reasoning_effort,
        store=body.store is not False,
        corrections=body.corrections is not False,
    )


def to_chat_message(message: schemas.ChatMessage) -> JsonObject:
    """The message in the assistant's form, its parts joined to plain text."""
    chat_message = message.model_dump(
        exclude_none=True, exclude={"annotations": True, "refusal": True, "tool_calls": {"__all__": {"index"}}}
    )
    refusal = message.refusal if isinstance(message, schemas.AssistantMessage) else None
    content = message.content if message.content is not None else refusal or ""
    chat_message["content"] = content if isinstance(content, str) else "".join(map(_part_text, content))
    return chat_message


def _part_text(part: schemas.TextPart | schemas.RefusalPart) -> str:
    return part.refusal if isinstance(part, schemas.RefusalPart) else part.text


def _requested_json_schema(body: schemas.ChatCompletionRequest) -> JsonObject | None:
    if isinstance(body.response_format, schemas.JsonSchemaFormat):
        return body.response_format.json_schema.json_schema or {"type": "object"}
    return {"type": "object"} if isinstance(body.response_format, JsonObjectFormat) else None


def _is_lenient(body: schemas.ChatCompletionRequest) -> bool:
    return isinstance(body.response_format, schemas.JsonSchemaFormat) and body.response_format.json_schema.strict is False


def _tool_choice(choice: str | schemas.NamedToolChoice | None) -> str:
    return f"function:{choice.function.name}" if isinstance(choice, schemas.NamedToolChoice) else choice or "auto"


# Response


def _choice_json(choice: ChoiceAnswer, open_address: Callable[[Citation], str], *, logprobs: bool) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": choice.text, "refusal": None}
    message |= chat_sources_json(choice.sources, open_address)
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = list(choice.tool_calls)
        message["content"] = choice.text or None
    return {
        "index": choice.index,
        "message": message,
        "logprobs": _logprobs_json(choice.tokens) if logprobs else None,
        "finish_reason": choice.finish_reason,
    }


def _logprobs_json(tokens: Sequence[TokenText]) -> JsonObject:
    """A `ChoiceLogprobs`."""
    return {"content": list(map(logprob_json, tokens)), "refusal": None}


async def _chunk_choices(
    source: AsyncGenerator[TurnEvent, None],
    turn: PreparedTurn,
    meter: AnswerMeter,
    usages: list[TokenUsage],
    open_address: Callable[[Citation], str],
) -> AsyncGenerator[JsonObject, None]:
    """The choices of the chunks: a role for each, deltas, and the finish reason of each. Their usage is added to `usages`."""
    for index in range(len(turn.choices)):
        yield _chunk_choice(index, {"role": "assistant", "content": ""})
    async with aclosing(source) as events:
        async for event in events:
            meter.record_first_token()
            for choice in _event_choices(event, open_address, logprobs=turn.request.logprobs):
                yield choice
            if event.usage is not None:
                usages.append(event.usage)


def _event_choices(event: TurnEvent, open_address: Callable[[Citation], str], *, logprobs: bool) -> Iterator[JsonObject]:
    delta: JsonObject = {}
    if event.reasoning:
        delta["reasoning_content"] = event.reasoning
    if event.text or event.tokens:
        delta["content"] = event.text
    if event.tool_calls:
        delta["tool_calls"] = list(event.tool_calls)
    if delta:
        yield _chunk_choice(event.choice, delta, logprobs=_logprobs_json(event.tokens) if logprobs and event.tokens else None)
    if event.finish_reason is not None:
        yield _chunk_choice(event.choice, chat_sources_json(event.sources, open_address), finish=event.finish_reason)


def _chunk_choice(index: int, delta: JsonObject, *, logprobs: JsonObject | None = None, finish: str | None = None) -> JsonObject:
    """A `ChunkChoice`."""
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
