"""`POST /v1/responses`, streaming and not, and reading or deleting what was answered.

A response is the sample of its answer: its id is the sample's, and what it followed is in the sample's messages. So a response
can be followed up as long as its words are kept, and only by the person who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import read_body
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.http.sse import format_event
from yearling.api.openai import response_schemas as schemas
from yearling.api.openai.response_events import ResponseEventComposer, call_item, message_item, usage_json
from yearling.api.openai.schemas import JsonObjectFormat
from yearling.api.openai.turn_execution import AnswerMeter, run_to_completion, stream_error_body, stream_response
from yearling.api.services import Services, get_request_id, get_services
from yearling.chat import PreparedTurn, TokenUsage, TurnEvent, TurnRequest, answer_message, client_messages, message_from_source
from yearling.clock import id_created_utc
from yearling.errors import BadInput, NotFound
from yearling.records import Sample

router = APIRouter(dependencies=[require_role("reader")])


@router.post(
    "/v1/responses",
    operation_id="create_response",
    dependencies=[require_role("member")],
    openapi_extra=json_request_body(schemas.ResponseRequest),
    responses=response_docs(schemas.ResponseObject, event_model=schemas.ResponseEvent),
)
async def create_response(request: Request) -> Response:
    """Answer, and remember the answer so that the next request can follow it up."""
    services = get_services(request)
    body = await read_body(request, schemas.ResponseRequest, max_bytes=services.settings.max_body_bytes)
    person_id = current_person(request).id
    earlier = await _previous_messages(services, person_id, body.previous_response_id)
    turn = await services.running_assistant.prepare(to_turn_request(body, earlier, get_request_id(request)), person_id=person_id)
    composer = ResponseEventComposer(_response_base(body, turn))
    meter = AnswerMeter(services, request)
    if body.stream:
        return await stream_response(services, request, turn, lambda events: _stream(events, composer, meter))
    response = await run_to_completion(services, request, turn, _complete_response(turn, composer))
    meter.record_usage(composer.usage)
    return Response(to_json_bytes(response), media_type="application/json")


@router.get("/v1/responses/{response_id}", operation_id="get_response", responses=response_docs(schemas.ResponseObject))
async def get_response(request: Request, response_id: str) -> Response:
    """What was answered, as far as it is kept."""
    sample = await _sample(get_services(request), current_person(request).id, response_id)
    return Response(to_json_bytes(_stored_response(sample, response_id)), media_type="application/json")


@router.delete(
    "/v1/responses/{response_id}",
    operation_id="delete_response",
    dependencies=[require_role("member")],
    responses=response_docs(schemas.DeletedResponse),
)
async def delete_response(request: Request, response_id: str) -> Response:
    """Forget the answer, and the sample that it is."""
    services, person_id = get_services(request), current_person(request).id
    sample = await _sample(services, person_id, response_id)
    await asyncio.to_thread(services.store.samples.delete, sample.id, person_id=person_id)
    return Response(to_json_bytes({"id": response_id, "object": "response", "deleted": True}), media_type="application/json")


# In


def to_turn_request(body: schemas.ResponseRequest, earlier: Sequence[dict[str, Any]], request_id: str) -> TurnRequest:
    instructions = {"role": "system", "content": body.instructions, "source": "instructions"}
    said = {"temperature": body.temperature, "top_p": body.top_p, "max_tokens": body.max_output_tokens}
    return TurnRequest(
        request_id=request_id,
        messages=(*([instructions] if body.instructions is not None else []), *earlier, *_messages(body.input)),
        model=body.model,
        sampling={name: value for name, value in said.items() if value is not None},
        json_schema=_requested_json_schema(body),
        tools=tuple(_tool(tool) for tool in body.tools or ()),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        effort=body.reasoning.effort if body.reasoning else None,
    )


def _messages(given: str | Sequence[Any]) -> list[dict[str, Any]]:
    """Input items as chat messages. Calls that follow one another are calls of one message."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[dict[str, Any]] = []
    for item in given:
        if isinstance(item, schemas.InputMessage):
            messages.append({"role": item.role, "content": _text(item.content)})
        elif isinstance(item, schemas.InputFunctionCallOutput):
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": _text(item.output)})
        elif isinstance(item, schemas.InputFunctionCall):
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            function = {"name": item.name, "arguments": item.arguments}
            call = {"id": item.call_id, "type": "function", "function": function}
            messages[-1].setdefault("tool_calls", []).append(call)
    if not messages:
        raise BadInput("The input holds no message.", param="input")
    return messages


def _text(content: str | list[schemas.InputText]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _tool(tool: schemas.ResponseTool) -> dict[str, Any]:
    return {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}


def _tool_choice(body: schemas.ResponseRequest) -> str:
    choice = body.tool_choice
    return f"function:{choice.name}" if isinstance(choice, schemas.NamedResponseToolChoice) else choice or "auto"


def _requested_json_schema(body: schemas.ResponseRequest) -> dict[str, Any] | None:
    form = body.text.format if body.text else None
    if isinstance(form, schemas.ResponseJsonSchema):
        return form.json_schema
    return {"type": "object"} if isinstance(form, JsonObjectFormat) else None


# What was said before


async def _previous_messages(services: Services, person_id: str, response_id: str | None) -> list[dict[str, Any]]:
    if response_id is None:
        return []
    sample = await _sample(services, person_id, response_id, param="previous_response_id")
    return [*client_messages(sample), answer_message(sample)]


async def _sample(services: Services, person_id: str, response_id: str, *, param: str = "response_id") -> Sample:
    """Raises NotFound for an unknown response, someone else's, or one whose words were not kept."""
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
        raise NotFound(f"The words of the response {response_id!r} were not kept.", advice="See `retention`.", param=param)
    return sample


def _sample_id(response_id: str) -> str | None:
    try:
        return str(UUID(response_id.removeprefix("resp_")))
    except ValueError:
        return None


# Out


def _created_at(sample_id: str) -> int:
    """The same second whenever the response is told: an answer that is stored a second later was not made then."""
    return int(id_created_utc(sample_id).timestamp())


def _response_base(body: schemas.ResponseRequest, turn: PreparedTurn) -> dict[str, Any]:
    """The response but for its output. Sampling is told as it is, defaults included."""
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


def _format_json(body: schemas.ResponseRequest) -> dict[str, Any]:
    form = body.text.format if body.text else None
    return {"type": "text"} if form is None else form.model_dump(by_alias=True)


def _tool_json(function: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "description": None, "parameters": None, "strict": None, **function}


def _stored_response(sample: Sample, response_id: str) -> dict[str, Any]:
    """The response that a sample was, rebuilt; what samples do not keep is null."""
    message = answer_message(sample)
    cut = sample.finish_reason not in ("stop", "tool_calls")
    status = "incomplete" if cut else "completed"
    ending = response_id.removeprefix("resp_")
    output = [message_item(f"msg_{ending}0", message["content"], status)] if message["content"] else []
    for call in message.get("tool_calls", ()):
        output.append(call_item(f"fc_{ending}{len(output)}", call["id"], **call["function"], status=status))
    instructions = message_from_source(sample, "instructions")
    offer = message_from_source(sample, "tools") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": _created_at(sample.id),
        "status": status,
        "model": sample.model,
        "output": output,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": instructions["content"] if instructions else None,
        "metadata": {},
        "parallel_tool_calls": offer.get("parallel", True),
        "previous_response_id": None,
        "temperature": sample.sampling.temperature,
        "top_p": sample.sampling.top_p,
        "max_output_tokens": sample.sampling.max_tokens,
        "tool_choice": "auto",
        "tools": [_tool_json(tool["function"]) for tool in offer.get("tools", ())],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "truncation": "disabled",
        "usage": usage_json(TokenUsage(sample.prompt_tokens, sample.completion_tokens)),
    }


async def _complete_response(turn: PreparedTurn, composer: ResponseEventComposer) -> dict[str, Any]:
    async with aclosing(turn.stream()) as events, aclosing(composer.compose(events)) as composed:
        async for _ in composed:
            pass
    return composer.response


async def _stream(
    source: AsyncGenerator[TurnEvent, None], composer: ResponseEventComposer, meter: AnswerMeter
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(source) as events, aclosing(composer.compose(events)) as composed:
            async for one in composed:
                if one["type"].endswith(".delta"):
                    meter.record_first_token()
                yield format_event(one, name=one["type"])
        meter.record_usage(composer.usage)
    except Exception as error:
        told = stream_error_body(error, meter)
        detail = told["error"]
        flat = {name: detail[name] for name in ("message", "param", "code")}
        yield format_event({**composer.make_event("error", **flat), **told}, name="error")
