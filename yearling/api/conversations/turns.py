"""Turns: asking in a conversation, and reading what is answered, from any number of connections that may break.

`POST .../turns` answers as soon as the turn has begun. The events are numbered and kept for some minutes, so that a reader that
comes back gets what it has missed and nothing twice; a delta carries its own words only, however long the chat is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import schemas
from yearling.api.conversations.turn_inputs import build_temporary_turn_input, build_turn_input
from yearling.api.conversations.views import turn_event_json, turn_view
from yearling.api.http.body import read_body
from yearling.api.http.errors import ApiError, to_json_bytes
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.http.sse import EventStreamResponse
from yearling.api.services import get_services
from yearling.chat import LiveTurn

router = APIRouter(dependencies=[require_role("member")])

AfterEvent = Annotated[int, Query(ge=0, le=2**31, description="The number of the last event that the reader has.")]


@router.post(
    "/v1/conversations/{conversation_id}/turns",
    operation_id="create_turn",
    openapi_extra=json_request_body(schemas.ConversationTurnRequest),
    responses=response_docs(schemas.TurnView),
)
async def create_turn(request: Request, conversation_id: str) -> Response:
    """Ask something, ask for another answer, or have an answer gone on with. The turn runs whoever reads its events."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.ConversationTurnRequest, max_bytes=services.settings.max_body_bytes)
    ask = await build_turn_input(services, person, body)
    live = await services.running_turns.start(person.id, conversation_id, ask)
    return _json_response(turn_view(live))


@router.post(
    "/v1/temporary/turns",
    operation_id="create_temporary_turn",
    openapi_extra=json_request_body(schemas.TemporaryTurnRequest),
    responses=response_docs(schemas.TurnView),
)
async def create_temporary_turn(request: Request) -> Response:
    """A turn of a chat that leaves no trace: no conversation, no sample, no memory; its events are gone after a minute."""
    services, person = get_services(request), current_person(request)
    body = await read_body(request, schemas.TemporaryTurnRequest, max_bytes=services.settings.max_body_bytes)
    if body.messages[-1].role != "user":
        raise ApiError(400, "The last message must be a question.", param="messages", code="invalid_value")
    ask = await build_temporary_turn_input(services, person, body)
    messages = [{"role": message.role, "content": message.text} for message in body.messages]
    return _json_response(turn_view(await services.running_turns.start_temporary(person.id, messages, ask)))


@router.get("/v1/turns/{turn_id}", operation_id="get_turn", responses=response_docs(schemas.TurnView))
async def get_turn(request: Request, turn_id: str) -> Response:
    """How far a turn is."""
    return _json_response(turn_view(_turn(request, turn_id)))


@router.get(
    "/v1/turns/{turn_id}/events",
    operation_id="stream_turn",
    responses=response_docs(schemas.TurnView, event_model=schemas.TurnEventView)
    | {204: {"description": "The reader has everything."}},
)
async def stream_turn(request: Request, turn_id: str, after: AfterEvent = 0) -> Response:
    """The events after the one that the header `Last-Event-ID` or `after` names, as they come, until the turn has ended."""
    live = _turn(request, turn_id)
    named = request.headers.get("last-event-id", "")
    if named.isdigit() and len(named) < 10:
        after = max(after, int(named))
    if live.state != "running" and after >= live.last_event_number:
        return Response(status_code=204)  # what comes back by itself, as browsers do, stops here
    return EventStreamResponse(_events(live, after))


@router.post("/v1/turns/{turn_id}/stop", operation_id="stop_turn", responses=response_docs(schemas.TurnView))
async def stop_turn(request: Request, turn_id: str) -> Response:
    """Stop a turn, from any connection. What was said is kept. Returns when that is done; stopping twice is harmless."""
    live = _turn(request, turn_id)
    live.stop()
    await live.wait_until_ended()
    return _json_response(turn_view(live))


async def _events(live: LiveTurn, after: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(live.events(after)) as events:
        async for number, event in events:
            yield b"id: %d\ndata: %s\n\n" % (number, to_json_bytes(turn_event_json(event)))


def _turn(request: Request, turn_id: str) -> LiveTurn:
    return get_services(request).running_turns.get(turn_id, person_id=current_person(request).id)


def _json_response(body: dict[str, Any]) -> Response:
    return Response(to_json_bytes(body), media_type="application/json")
