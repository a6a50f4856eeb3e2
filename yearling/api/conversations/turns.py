"""`/v1/turns`: ask in a conversation, and read the answer over any number of connections that may break.

`POST .../turns` responds as soon as the turn has started. Events are numbered and kept for some minutes, so that a reader that
reconnects gets every missed event exactly once. A delta contains only its own text, however long the chat is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import schemas
from yearling.api.conversations.parameters import ConversationId, TurnId
from yearling.api.conversations.turn_inputs import build_temporary_turn_input, build_turn_input
from yearling.api.conversations.views import turn_event_json, turn_view
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonResponse, to_json_bytes
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.http.sse import EventStreamResponse
from yearling.api.services import get_services
from yearling.chat import LiveTurn

router = ApiRouter(dependencies=[require_role("member")])


@router.post("/v1/chats/{conversation_id}/turns", operation_id="create_turn", response_model=schemas.TurnView)
async def create_turn(
    request: Request, conversation_id: ConversationId, body: JsonBody[schemas.ConversationTurnRequest]
) -> JsonResponse:
    """Ask a question, regenerate an answer, or continue one. The turn runs whether or not anyone reads its events."""
    services, person = get_services(request), current_person(request)
    turn_input = await build_turn_input(services, person, conversation_id, body)
    return JsonResponse(turn_view(await services.running_turns.start(person.id, conversation_id, turn_input)))


@router.post("/v1/temporary/turns", operation_id="create_temporary_turn", response_model=schemas.TurnView)
async def create_temporary_turn(request: Request, body: JsonBody[schemas.TemporaryTurnRequest]) -> JsonResponse:
    """Ask in a temporary chat: no conversation, sample or memory is stored, and the events are gone after a minute."""
    services, person = get_services(request), current_person(request)
    if body.messages[-1].role != "user":
        raise ApiError(400, "The last message must be a question.", param="messages", code="invalid_value")
    turn_input = await build_temporary_turn_input(services, person, body)
    messages = [{"role": message.role, "content": message.text} for message in body.messages]
    return JsonResponse(turn_view(await services.running_turns.start_temporary(person.id, messages, turn_input)))


@router.get("/v1/turns/{turn_id}", operation_id="get_turn", response_model=schemas.TurnView)
async def get_turn(request: Request, turn_id: TurnId) -> JsonResponse:
    """Return the state of a turn."""
    return JsonResponse(turn_view(_get_turn(request, turn_id)))


@router.get(
    "/v1/turns/{turn_id}/events",
    operation_id="stream_turn",
    response_model=schemas.TurnView,
    responses=event_stream(schemas.TurnEventView) | {204: {"description": "There are no more events."}},
)
async def stream_turn(
    request: Request,
    turn_id: TurnId,
    after: Annotated[int, Query(ge=0, le=2**31, description="Number of the last event that the reader has; 0 for none.")] = 0,
) -> Response:
    """Stream the events after `after`, or after the header `Last-Event-ID` if that is later, until the turn ends."""
    live = _get_turn(request, turn_id)
    last_event_id = request.headers.get("last-event-id", "")
    if last_event_id.isdecimal() and len(last_event_id) < 10:
        after = max(after, int(last_event_id))
    if live.state != "running" and after >= live.last_event_number:
        return Response(status_code=204)  # browsers reconnect after every stream; 204 tells them to stop
    return EventStreamResponse(_encoded_events(live, after))


@router.post("/v1/turns/{turn_id}/stop", operation_id="stop_turn", response_model=schemas.TurnView)
async def stop_turn(request: Request, turn_id: TurnId) -> JsonResponse:
    """Stop a turn, and return when it has stopped. The text so far is stored. Stopping again has no effect."""
    live = _get_turn(request, turn_id)
    live.stop()
    await live.wait_until_ended()
    return JsonResponse(turn_view(live))


async def _encoded_events(live: LiveTurn, after: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(live.events(after)) as events:
        async for number, event in events:
            yield b"id: %d\ndata: %s\n\n" % (number, to_json_bytes(turn_event_json(event)))


def _get_turn(request: Request, turn_id: str) -> LiveTurn:
    return get_services(request).running_turns.get(turn_id, person_id=current_person(request).id)
