"""`POST /v1/chat/completions`, with and without a stream: one turn of the assistant in OpenAI's form."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from fastapi import Request
from starlette.responses import Response

from yearling.api.access.live_request import get_request_id
from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.http.sse import DONE, format_event
from yearling.api.openai import chat_schemas as schemas
from yearling.api.openai.schemas import JsonObjectFormat
from yearling.api.openai.turn_execution import AnswerMeter, run_to_completion, stream_error_body, stream_response
from yearling.api.services import get_services
from yearling.chat import ChoiceAnswer, PreparedTurn, TokenText, TokenUsage, TurnEvent, TurnRequest, total_token_usage

router = ApiRouter(dependencies=[require_role("member")])


@router.post(
    "/v1/chat/completions",
    operation_id="create_chat_completion",
    response_model=schemas.ChatCompletion,
    responses=event_stream(schemas.ChatCompletionChunk),
)
async def create_chat_completion(request: Request, body: JsonBody[schemas.ChatCompletionRequest]) -> Response:
    """Answer a conversation. Stores the answer as a sample before the response ends."""
    services = get_services(request)
    turn_request = to_turn_request(body, get_request_id(request))
    turn = await services.running_assistant.prepare(turn_request, person_id=current_person(request).id)
    head = {"id": f"chatcmpl-{turn.choices[0].sample_id}", "created": int(time.time()), "model": turn.served.name}
    meter = AnswerMeter(services, request)
    if body.stream:
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        return await stream_response(
            services, request, turn, lambda events: _chunks(events, turn, head, meter, include_usage=include_usage)
        )
    answer = await run_to_completion(services, request, turn, turn.answer())
    meter.record_usage(answer.usage)
    return JsonResponse(
        {
            **head,
            "object": "chat.completion",
            "choices": [_choice_json(choice, logprobs=turn.request.logprobs) for choice in answer.choices],
            "usage": usage_json(answer.usage),
            "system_fingerprint": system_fingerprint(turn),
        }
    )


# Request


def to_turn_request(body: schemas.ChatCompletionRequest, request_id: str) -> TurnRequest:
    """The assistant's turn for a request. Raises ApiError for fields that contradict each other."""
    if body.stream_options is not None and not body.stream:
        raise ApiError(400, "stream_options needs stream to be true.", param="stream_options", code="invalid_value")
    return TurnRequest(
        request_id=request_id,
        messages=tuple(to_chat_message(message) for message in body.messages),
        model=body.model,
        sampling=sampling_overrides(body),
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
    )


def sampling_overrides(body: schemas.ChatCompletionRequest) -> JsonObject:
    """The sampling settings that the request contains."""
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    settings = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "min_p": body.min_p,
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
        "logit_bias": tuple((int(token), bias) for token, bias in body.logit_bias.items()) if body.logit_bias else None,
        "max_tokens": body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        "stop": stop or None,
        "seed": body.seed,
    }
    return {name: value for name, value in settings.items() if value is not None}


def to_chat_message(message: schemas.ChatMessage) -> JsonObject:
    """The message in the assistant's form, its parts joined to plain text."""
    chat_message = message.model_dump(exclude_none=True, exclude={"annotations", "refusal"})
    content = chat_message.get("content")
    if isinstance(content, list):
        chat_message["content"] = "".join(part.get("text", part.get("refusal", "")) for part in content)
    elif content is None:
        chat_message["content"] = getattr(message, "refusal", None) or ""
    if isinstance(message, schemas.AssistantMessage) and message.tool_calls is not None:
        chat_message["tool_calls"] = [call.model_dump(exclude={"index"}) for call in message.tool_calls]
    return chat_message


def _requested_json_schema(body: schemas.ChatCompletionRequest) -> JsonObject | None:
    if isinstance(body.response_format, schemas.JsonSchemaFormat):
        return body.response_format.json_schema.json_schema or {"type": "object"}
    return {"type": "object"} if isinstance(body.response_format, JsonObjectFormat) else None


def _is_lenient(body: schemas.ChatCompletionRequest) -> bool:
    return isinstance(body.response_format, schemas.JsonSchemaFormat) and body.response_format.json_schema.strict is False


def _tool_choice(choice: str | schemas.NamedToolChoice | None) -> str:
    return f"function:{choice.function.name}" if isinstance(choice, schemas.NamedToolChoice) else choice or "auto"


# Response


def usage_json(usage: TokenUsage) -> JsonObject:
    """A `CompletionUsage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def system_fingerprint(turn: PreparedTurn) -> str:
    """An identifier that changes when the model's weights change."""
    return f"fp_{turn.served.engine.model_hash.removeprefix('remote:')[:12]}"


def _choice_json(choice: ChoiceAnswer, *, logprobs: bool) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = list(choice.tool_calls)
        message["content"] = choice.text or None
    return {
        "index": choice.index,
        "message": message,
        "logprobs": logprobs_json(choice.tokens) if logprobs else None,
        "finish_reason": choice.finish_reason,
    }


def logprobs_json(tokens: Sequence[TokenText]) -> JsonObject:
    """A `ChoiceLogprobs`."""
    return {
        "content": [
            {**_token_json(token), "top_logprobs": [_token_json(alternative) for alternative in token.top]} for token in tokens
        ],
        "refusal": None,
    }


def _token_json(token: TokenText) -> JsonObject:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.raw_bytes)}


async def _chunks(
    source: AsyncGenerator[TurnEvent, None], turn: PreparedTurn, head: JsonObject, meter: AnswerMeter, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The stream: a role for each choice, deltas, the finish reason of each choice, the usage if requested, and `[DONE]`.

    After an error, the error event is the last, without `[DONE]`.
    """
    common = {**head, "object": "chat.completion.chunk", "system_fingerprint": system_fingerprint(turn)}
    if include_usage:
        common["usage"] = None

    def chunk(index: int, delta: JsonObject, *, logprobs: JsonObject | None = None, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return format_event({**common, "choices": [choice]})

    usages: list[TokenUsage] = []
    try:
        for index in range(len(turn.choices)):
            yield chunk(index, {"role": "assistant", "content": ""})
        async with aclosing(source) as events:
            async for event in events:
                meter.record_first_token()
                for data in _event_chunks(event, chunk, logprobs=turn.request.logprobs):
                    yield data
                if event.usage is not None:
                    usages.append(event.usage)
        total = total_token_usage(usages)
        meter.record_usage(total)
        if include_usage:
            yield format_event({**common, "choices": [], "usage": usage_json(total)})
        yield DONE
    except Exception as error:
        yield format_event(stream_error_body(error, meter))


def _event_chunks(event: TurnEvent, chunk: Callable[..., bytes], *, logprobs: bool) -> list[bytes]:
    delta: JsonObject = {}
    if event.reasoning:
        delta["reasoning_content"] = event.reasoning
    if event.text or event.tokens:
        delta["content"] = event.text
    if event.tool_calls:
        delta["tool_calls"] = list(event.tool_calls)
    chunks = []
    if delta:
        chunks.append(chunk(event.choice, delta, logprobs=logprobs_json(event.tokens) if logprobs and event.tokens else None))
    if event.finish_reason is not None:
        chunks.append(chunk(event.choice, {}, finish=event.finish_reason))
    return chunks
