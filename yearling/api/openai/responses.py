"""`/v1/responses`: create a response, with and without a stream; read, replay and delete stored responses.

A response is the sample of its answer: it has the sample's ID, and the sample's messages contain the conversation before it.
Only the person who created it can continue it, while the sample's text is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import Response

from yearling.api.access.live_request import get_request_id
from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.http.sse import EventStreamResponse, format_event
from yearling.api.openai import response_schemas as schemas
from yearling.api.openai.answer_sources import file_search_item, find_sources, web_search_item
from yearling.api.openai.conversation_items import ConversationThread
from yearling.api.openai.generation import used_corrections_json
from yearling.api.openai.response_events import ResponseEventComposer, ResponseEventJson, SearchItem
from yearling.api.openai.response_requests import input_messages, resolve_input, searched_files, to_turn_request, wants_web_search
from yearling.api.openai.stored_responses import (
    created_at,
    load_response_sample,
    previous_messages,
    replay_response,
    stored_response,
    tool_json,
)
from yearling.api.openai.turn_execution import AnswerMeter, run_to_completion, stream_error_body, stream_response
from yearling.api.services import Services, get_services
from yearling.chat import PreparedTurn, TurnEvent, TurnRequest, TurnSources, prepare_fitting_turn
from yearling.errors import ContextLengthExceeded
from yearling.store import SearchScope

router = ApiRouter(dependencies=[require_role("reader")])

ResponseId = Annotated[str, Path(description="ID of the response.")]

_FINAL_EVENTS = frozenset({"response.completed", "response.incomplete"})


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
    _check_context_fields(body)
    thread = await ConversationThread.load(services.store, person_id, body.conversation)
    resolved = await resolve_input(services, person_id, body.input)
    previous = [*thread.messages, *await previous_messages(services, person_id, body.previous_response_id)]
    turn_request = to_turn_request(body, [*previous, *input_messages(resolved)], get_request_id(request))
    files = searched_files(body, person_id)
    sources = await find_sources(
        services, person_id, turn_request.messages, documents=files, web=wants_web_search(body), web_param="tools"
    )
    turn_request = replace(turn_request, sources=sources)
    turn = await _prepare(services, person_id, turn_request, truncate=body.truncation == "auto")
    composer = ResponseEventComposer(_response_base(body, turn, thread), _searches(body, turn_request, files, sources))
    meter = AnswerMeter(services, request)

    async def compose(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[ResponseEventJson, None]:
        """The events of the response. The last follows once the conversation contains the response."""
        async with aclosing(events), aclosing(composer.compose(events)) as composed:
            async for event in composed:
                if event["type"] in _FINAL_EVENTS:
                    await thread.append(resolved, composer.response["output"])
                yield event

    reservation = services.admission.reserve(turn)
    if body.stream:
        return await stream_response(
            request, reservation, turn.stream(), lambda events: _stream(compose(events), composer, meter)
        )
    await run_to_completion(request, reservation, _exhaust(compose(turn.stream())))
    meter.record_usage(composer.usage)
    return JsonResponse(composer.response)


@router.get(
    "/v1/responses/{response_id}",
    operation_id="get_response",
    response_model=schemas.ResponseObject,
    responses=event_stream(schemas.ResponseEvent),
)
async def get_response(
    request: Request,
    response_id: ResponseId,
    stream: Annotated[bool, Query(description="Send the events of the response again.")] = False,
    starting_after: Annotated[
        int | None, Query(ge=0, le=2**31, description="Number of the last event that the client has; needs `stream`.")
    ] = None,
    include: Annotated[list[str] | None, Query(description="Fields to include. Stored responses have no further ones.")] = None,
    include_brackets: Annotated[
        list[str] | None, Query(alias="include[]", description="Another name of `include`, as OpenAI's clients send it.")
    ] = None,
    include_obfuscation: Annotated[bool, Query(description="Ignored. Streams contain no padding.")] = False,
) -> Response:
    """Return a stored response, or its events. Fields that are not stored are null."""
    if "message.output_text.logprobs" in [*(include or []), *(include_brackets or [])]:
        message = "A stored response has no log-probabilities of its text."
        raise ApiError(400, f"{message} Ask for them when you create it.", param="include", code="unsupported")
    if starting_after is not None and not stream:
        raise ApiError(400, "starting_after needs stream to be true.", param="starting_after", code="invalid_value")
    sample = await load_response_sample(get_services(request), current_person(request).id, response_id)
    if not stream:
        return JsonResponse(await stored_response(sample, response_id))
    composer, events = replay_response(sample, response_id)

    async def encoded() -> AsyncGenerator[bytes, None]:
        async for event in composer.compose(events):
            if starting_after is None or event["sequence_number"] > starting_after:
                yield format_event(event, name=event["type"])

    return EventStreamResponse(encoded())


@router.delete(
    "/v1/responses/{response_id}",
    operation_id="delete_response",
    dependencies=[require_role("member")],
    response_model=schemas.DeletedResponse,
)
async def delete_response(request: Request, response_id: ResponseId) -> JsonResponse:
    """Delete a response and its sample."""
    services, person_id = get_services(request), current_person(request).id
    sample = await load_response_sample(services, person_id, response_id)
    await asyncio.to_thread(services.store.samples.delete, sample.id, person_id=person_id)
    return JsonResponse({"id": response_id, "object": "response", "deleted": True})


def _check_context_fields(body: schemas.ResponseRequest) -> None:
    """Raises ApiError for fields that contradict each other."""
    if body.conversation is None:
        return
    if body.previous_response_id is not None:
        message = "Send either conversation or previous_response_id, not both."
        raise ApiError(400, message, param="conversation", code="invalid_value")
    if body.store is False:
        message = "A response with store: false cannot be added to a conversation. Leave one of the two out."
        raise ApiError(400, message, param="store", code="invalid_value")


async def _prepare(services: Services, person_id: str, request: TurnRequest, *, truncate: bool) -> PreparedTurn:
    """The turn. With `truncate`, the oldest messages are left out if they do not fit; instructions and system messages stay."""
    assistant = services.running_assistant
    try:
        return await assistant.prepare(request, person_id=person_id)
    except ContextLengthExceeded:
        if not truncate:
            raise
    fixed = [message for message in request.messages if message["role"] in ("system", "developer")]
    history = [message for message in request.messages if message["role"] not in ("system", "developer")]
    turn, _ = await prepare_fitting_turn(
        assistant, person_id, request.model, history, lambda kept: replace(request, messages=(*fixed, *kept))
    )
    return turn


def _response_base(body: schemas.ResponseRequest, turn: PreparedTurn, thread: ConversationThread) -> JsonObject:
    """The response without its output. It contains the sampling settings in effect, defaults included."""
    sampling, choice = turn.choices[0].request.sampling, body.tool_choice
    return {
        "id": f"resp_{turn.choices[0].sample_id.replace('-', '')}",
        "object": "response",
        "created_at": created_at(turn.choices[0].sample_id),
        "model": turn.served.name,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "metadata": body.metadata if isinstance(body.metadata, dict) else {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "conversation": None if thread.id is None else {"id": thread.id},
        "store": body.store is not False,
        "background": False,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": body.top_logprobs or 0,
        "max_output_tokens": body.max_output_tokens,
        "tool_choice": choice.model_dump() if isinstance(choice, schemas.NamedResponseToolChoice) else choice or "auto",
        "tools": [
            *(tool_json(tool["function"]) for tool in turn.request.tools),
            *(tool.model_dump(exclude_none=True) for tool in body.tools or () if not isinstance(tool, schemas.ResponseTool)),
        ],
        "text": {"format": _format_json(body)},
        "reasoning": {"effort": turn.request.effort, "summary": None},
        "truncation": body.truncation or "disabled",
        **used_corrections_json(turn),
    }


def _searches(
    body: schemas.ResponseRequest, request: TurnRequest, files: SearchScope | None, sources: TurnSources | None
) -> list[SearchItem]:
    """The output items of what was searched, each made from its ID."""
    if sources is None:
        return []
    items: list[SearchItem] = []
    if files is not None:
        with_results = "file_search_call.results" in (body.include or ())
        question = request.messages[-1]["content"]
        items.append(("fs", partial(file_search_item, question=question, found=sources.found, with_results=with_results)))
    if sources.found.web_query:
        items.append(("ws", partial(web_search_item, found=sources.found)))
    return items


def _format_json(body: schemas.ResponseRequest) -> JsonObject:
    text_format = body.text.format if body.text else None
    return {"type": "text"} if text_format is None else text_format.model_dump(by_alias=True)


async def _exhaust(source: AsyncGenerator[Any, None]) -> None:
    async with aclosing(source) as events:
        async for _ in events:
            pass


async def _stream(
    source: AsyncGenerator[ResponseEventJson, None], composer: ResponseEventComposer, meter: AnswerMeter
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(source) as composed:
            async for event in composed:
                if event["type"].endswith(".delta"):
                    meter.record_first_token()
                yield format_event(event, name=event["type"])
        meter.record_usage(composer.usage)
    except Exception as error:
        body = stream_error_body(error, meter)
        fields = {name: body["error"][name] for name in ("message", "param", "code")}
        yield format_event({**composer.make_event("error", **fields), **body}, name="error")
