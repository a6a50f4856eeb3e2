"""`/v1/responses`: create a response, with and without a stream; read and delete stored responses.

A response is the sample of its answer: it has the sample's ID, and the sample's messages contain the conversation before it.
Only the person who created it can continue it, while the sample's text is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from starlette.responses import Response

from yearling.api.access.live_request import get_request_id
from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.http.sse import format_event
from yearling.api.openai import response_schemas as schemas
from yearling.api.openai.response_events import ResponseEventComposer, call_item, message_item, usage_json
from yearling.api.openai.schemas import JsonObjectFormat
from yearling.api.openai.turn_execution import AnswerMeter, run_to_completion, stream_error_body, stream_response
from yearling.api.services import Services, get_services
from yearling.chat import (
    PreparedTurn,
    TokenUsage,
    TurnEvent,
    TurnRequest,
    answer_message,
    client_messages,
    message_from_source,
)
from yearling.clock import id_created_utc
from yearling.errors import BadInput, NotFound
from yearling.records import Sample

router = ApiRouter(dependencies=[require_role("reader")])

ResponseId = Annotated[str, Path(description="ID of the response.")]


@router.post(
    "/v1/responses",
    operation_id="create_response",
    dependencies=[require_role("member")],
    response_model=schemas.ResponseObject,
    responses=event_stream(schemas.ResponseEvent),
)
async def create_response(request: Request, body: JsonBody[schemas.ResponseRequest]) -> Response:
    """Answer, and store the answer so that the next request can continue from it."""
    services, person_id = get_services(request), current_person(request).id
    previous = await _previous_messages(services, person_id, body.previous_response_id)
    turn_request = to_turn_request(body, previous, get_request_id(request))
    turn = await services.running_assistant.prepare(turn_request, person_id=person_id)
    composer = ResponseEventComposer(_response_base(body, turn))
    meter = AnswerMeter(services, request)
    if body.stream:
        return await stream_response(services, request, turn, lambda events: _stream(events, composer, meter))
    response = await run_to_completion(services, request, turn, _complete_response(turn, composer))
    meter.record_usage(composer.usage)
    return JsonResponse(response)


@router.get("/v1/responses/{response_id}", operation_id="get_response", response_model=schemas.ResponseObject)
async def get_response(request: Request, response_id: ResponseId) -> JsonResponse:
    """Return a stored response. Fields that are not stored are null."""
    sample = await _load_sample(get_services(request), current_person(request).id, response_id)
    return JsonResponse(await asyncio.to_thread(_stored_response, sample, response_id))


@router.delete(
    "/v1/responses/{response_id}",
    operation_id="delete_response",
    dependencies=[require_role("member")],
    response_model=schemas.DeletedResponse,
)
async def delete_response(request: Request, response_id: ResponseId) -> JsonResponse:
    """Delete a response and its sample."""
    services, person_id = get_services(request), current_person(request).id
    sample = await _load_sample(services, person_id, response_id)
    await asyncio.to_thread(services.store.samples.delete, sample.id, person_id=person_id)
    return JsonResponse({"id": response_id, "object": "response", "deleted": True})


# Request


def to_turn_request(body: schemas.ResponseRequest, previous: Sequence[JsonObject], request_id: str) -> TurnRequest:
    """The assistant's turn for a request. `previous` are the messages of the conversation before it."""
    instructions = {"role": "system", "content": body.instructions, "source": "instructions"}
    sampling = {"temperature": body.temperature, "top_p": body.top_p, "max_tokens": body.max_output_tokens}
    return TurnRequest(
        request_id=request_id,
        messages=(*([instructions] if body.instructions is not None else []), *previous, *_input_messages(body.input)),
        model=body.model,
        sampling={name: value for name, value in sampling.items() if value is not None},
        json_schema=_requested_json_schema(body),
        strict=not _is_lenient(body),
        tools=tuple(_chat_tool(tool) for tool in body.tools or ()),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        effort=body.reasoning.effort if body.reasoning else None,
        store=body.store is not False,
    )


def _input_messages(items: str | Sequence[schemas.InputItem]) -> list[JsonObject]:
    """Input items as chat messages. Consecutive function calls belong to one message. Raises BadInput without any message."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    messages: list[JsonObject] = []
    for item in items:
        if isinstance(item, schemas.InputMessage):
            messages.append({"role": item.role, "content": _join_text(item.content)})
        elif isinstance(item, schemas.InputFunctionCallOutput):
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": _join_text(item.output)})
        elif isinstance(item, schemas.InputFunctionCall):
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            function = {"name": item.name, "arguments": item.arguments}
            call = {"id": item.call_id, "type": "function", "function": function}
            messages[-1].setdefault("tool_calls", []).append(call)
    if not messages:
        raise BadInput("The input contains no message.", param="input")
    return messages


def _join_text(content: str | list[schemas.InputText]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _chat_tool(tool: schemas.ResponseTool) -> JsonObject:
    return {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}


def _tool_choice(body: schemas.ResponseRequest) -> str:
    choice = body.tool_choice
    return f"function:{choice.name}" if isinstance(choice, schemas.NamedResponseToolChoice) else choice or "auto"


def _requested_json_schema(body: schemas.ResponseRequest) -> JsonObject | None:
    text_format = body.text.format if body.text else None
    if isinstance(text_format, schemas.ResponseJsonSchema):
        return text_format.json_schema
    return {"type": "object"} if isinstance(text_format, JsonObjectFormat) else None


def _is_lenient(body: schemas.ResponseRequest) -> bool:
    text_format = body.text.format if body.text else None
    return isinstance(text_format, schemas.ResponseJsonSchema) and text_format.strict is False


# Previous responses


async def _previous_messages(services: Services, person_id: str, response_id: str | None) -> list[JsonObject]:
    if response_id is None:
        return []
    sample = await _load_sample(services, person_id, response_id, param="previous_response_id")
    return [*client_messages(sample), await asyncio.to_thread(answer_message, sample)]


async def _load_sample(services: Services, person_id: str, response_id: str, *, param: str = "response_id") -> Sample:
    """Raises NotFound for an unknown response, another person's, or one whose text is not stored."""
    sample_id = _sample_id(response_id)
    try:
        if sample_id is None:
            raise NotFound("")
        sample = await asyncio.to_thread(services.store.samples.get, sample_id, person_id=person_id)
    except NotFound:
        raise NotFound(
            f"There is no response {response_id[:100]!r}.", advice="It may have been deleted, or never stored.", param=param
        ) from None
    if not sample.messages:
        message = f"The text of the response {response_id!r} is not stored."
        raise NotFound(message, advice="See the setting `retention`.", param=param)
    return sample


def _sample_id(response_id: str) -> str | None:
    try:
        return str(UUID(response_id.removeprefix("resp_")))
    except ValueError:
        return None


# Response


def _created_at(sample_id: str) -> int:
    """Creation time in Unix seconds, from the ID: reading a stored response returns the same second."""
    return int(id_created_utc(sample_id).timestamp())


def _response_base(body: schemas.ResponseRequest, turn: PreparedTurn) -> JsonObject:
    """The response without its output. It contains the sampling settings in effect, defaults included."""
    sampling, choice = turn.choices[0].request.sampling, body.tool_choice
    return {
        "id": f"resp_{turn.choices[0].sample_id.replace('-', '')}",
        "object": "response",
        "created_at": _created_at(turn.choices[0].sample_id),
        "model": turn.served.name,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "metadata": body.metadata if isinstance(body.metadata, dict) else {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_output_tokens": body.max_output_tokens,
        "tool_choice": choice.model_dump() if isinstance(choice, schemas.NamedResponseToolChoice) else choice or "auto",
        "tools": [_tool_json(tool["function"]) for tool in turn.request.tools],
        "text": {"format": _format_json(body)},
        "reasoning": {"effort": turn.request.effort, "summary": None},
        "truncation": "disabled",
    }


def _format_json(body: schemas.ResponseRequest) -> JsonObject:
    text_format = body.text.format if body.text else None
    return {"type": "text"} if text_format is None else text_format.model_dump(by_alias=True)


def _tool_json(function: JsonObject) -> JsonObject:
    return {"type": "function", "description": None, "parameters": None, "strict": None, **function}


def _stored_response(sample: Sample, response_id: str) -> JsonObject:
    """The response, rebuilt from its sample. Fields that samples do not keep are null."""
    message = answer_message(sample)
    is_cut = sample.finish_reason not in ("stop", "tool_calls")
    status = "incomplete" if is_cut else "completed"
    id_suffix = response_id.removeprefix("resp_")
    output = [message_item(f"msg_{id_suffix}0", message["content"], status)] if message["content"] else []
    for call in message.get("tool_calls", ()):
        output.append(call_item(f"fc_{id_suffix}{len(output)}", call["id"], **call["function"], status=status))
    instructions = message_from_source(sample, "instructions")
    tool_offer = message_from_source(sample, "tools") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": _created_at(sample.id),
        "status": status,
        "model": sample.model,
        "output": output,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": instructions["content"] if instructions else None,
        "metadata": {},
        "parallel_tool_calls": tool_offer.get("parallel", True),
        "previous_response_id": None,
        "temperature": sample.sampling.temperature,
        "top_p": sample.sampling.top_p,
        "max_output_tokens": sample.sampling.max_tokens,
        "tool_choice": "auto",
        "tools": [_tool_json(tool["function"]) for tool in tool_offer.get("tools", ())],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "truncation": "disabled",
        "usage": usage_json(TokenUsage(sample.prompt_tokens, sample.completion_tokens)),
    }


async def _complete_response(turn: PreparedTurn, composer: ResponseEventComposer) -> JsonObject:
    async with aclosing(turn.stream()) as events, aclosing(composer.compose(events)) as composed:
        async for _ in composed:
            pass
    return composer.response


async def _stream(
    source: AsyncGenerator[TurnEvent, None], composer: ResponseEventComposer, meter: AnswerMeter
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(source) as events, aclosing(composer.compose(events)) as composed:
            async for event in composed:
                if event["type"].endswith(".delta"):
                    meter.record_first_token()
                yield format_event(event, name=event["type"])
        meter.record_usage(composer.usage)
    except Exception as error:
        body = stream_error_body(error, meter)
        fields = {name: body["error"][name] for name in ("message", "param", "code")}
        yield format_event({**composer.make_event("error", **fields), **body}, name="error")
