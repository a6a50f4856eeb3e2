"""`/v1/feedback` and `/v1/consensus`: people judge, and see what people who usually disagree agree on.

Every act becomes an event in the public log before it is acknowledged: what a route of `ACTS` does is one call of the log. Who
may do what is the log's to say, by the role of who asks. Work on the log runs in threads, for it waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback import schemas, views
from yearling.api.http.body import read_body
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import json_request_body, response_docs
from yearling.api.services import Services, get_services
from yearling.feedback import FeedbackEvent, LiveConsensus, event_to_dict

router = APIRouter(dependencies=[require_role("reader")])

_REQUIRE_FEEDBACK_SCOPE = [require_role("member", scope="feedback")]

M = TypeVar("M", bound=BaseModel)

EventAndItem = tuple[FeedbackEvent, str | None]
"""What was recorded, and the item whose standing is told with it."""

FeedbackLimit = Annotated[int, Query(ge=1, le=1000)]
AfterSequence = Annotated[int, Query(ge=0, le=2**53)]


def normalize_item_id(given: str) -> str:
    """The id by which the log knows an answer: that of its sample, which completions and responses carry in theirs."""
    for prefix in ("chatcmpl-", "resp_"):
        if given.startswith(prefix):
            try:
                return str(UUID(given.removeprefix(prefix)))
            except ValueError:
                return given
    return given


def _rate(board: LiveConsensus, person_id: str, body: schemas.RatingRequest) -> EventAndItem:
    item = normalize_item_id(body.item)
    return board.log.rate(person_id, item, body.value, tags=body.tags), item


def _compare(board: LiveConsensus, person_id: str, body: schemas.ComparisonRequest) -> EventAndItem:
    return board.log.compare(
        person_id, normalize_item_id(body.left), normalize_item_id(body.right), body.outcome, tags=body.tags
    ), None


def _edit(board: LiveConsensus, person_id: str, body: schemas.EditRequest) -> EventAndItem:
    return board.log.add_edit(person_id, normalize_item_id(body.item), body.text), None


def _note(board: LiveConsensus, person_id: str, body: schemas.NoteRequest) -> EventAndItem:
    done = board.log.add_note(person_id, normalize_item_id(body.item), body.text)
    return done, done.note


def _remove(board: LiveConsensus, person_id: str, body: schemas.RemovalRequest) -> EventAndItem:
    done = board.log.remove(person_id, body.event, body.reason, delete_text=body.delete_words)
    return done, _event_item(board, done.event)


def _vouch(board: LiveConsensus, person_id: str, body: schemas.VouchRequest) -> EventAndItem:
    return board.log.vouch(person_id, body.account), None


def _invite(board: LiveConsensus, person_id: str, body: schemas.JuryRequest) -> EventAndItem:
    item = normalize_item_id(body.item)
    return board.invite_jury(person_id, item), item


@dataclass(frozen=True, slots=True)
class _FeedbackRoute:
    """A route that records one act."""

    path: str
    name: str
    description: str
    body: type[BaseModel]
    record: Callable[[LiveConsensus, str, Any], EventAndItem]


FEEDBACK_ROUTES = (
    _FeedbackRoute(
        "ratings",
        "create_rating",
        "Say how helpful an answer is. A later rating of the same item replaces this one.",
        schemas.RatingRequest,
        _rate,
    ),
    _FeedbackRoute(
        "comparisons", "create_comparison", "Say which of two answers is better.", schemas.ComparisonRequest, _compare
    ),
    _FeedbackRoute(
        "edits",
        "create_edit",
        "Give a better wording of an answer. The wording is an item that others can judge.",
        schemas.EditRequest,
        _edit,
    ),
    _FeedbackRoute("notes", "create_note", "Add context to an answer. Others rate the note.", schemas.NoteRequest, _note),
    _FeedbackRoute(
        "removals",
        "create_removal",
        "Set somebody's act aside, in public and with a reason. Administrators only.",
        schemas.RemovalRequest,
        _remove,
    ),
    _FeedbackRoute(
        "vouches",
        "create_vouch",
        "Vouch that another person's account is the one account of a human being.",
        schemas.VouchRequest,
        _vouch,
    ),
    _FeedbackRoute(
        "juries",
        "create_jury",
        "Draw a jury on an item by lot and invite it. Administrators only; whom the lot draws is nobody's choice.",
        schemas.JuryRequest,
        _invite,
    ),
)


def _route(act: _FeedbackRoute) -> None:
    async def record(request: Request) -> Response:
        services, body = await _read(request, act.body)
        person_id = current_person(request).id
        return await _consensus_response(services, lambda board: _recorded(board, person_id, *act.record(board, person_id, body)))

    router.add_api_route(
        f"/v1/feedback/{act.path}",
        record,
        methods=["POST"],
        name=act.name,
        operation_id=act.name,
        description=act.description,
        dependencies=_REQUIRE_FEEDBACK_SCOPE,
        openapi_extra=json_request_body(act.body),
        responses=response_docs(schemas.RecordedEvent),
    )


for _one in FEEDBACK_ROUTES:
    _route(_one)


@router.get("/v1/feedback/notes", operation_id="list_notes", responses=response_docs(schemas.NoteList))
async def list_notes(
    request: Request,
    item: Annotated[str | None, Query(max_length=200)] = None,
    yours: bool | None = None,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """The notes that stand, newest first: all, those on one answer, the asker's own or those of others."""
    services, person_id = get_services(request), current_person(request).id
    about = normalize_item_id(item) if item is not None else None
    return await _consensus_response(
        services,
        lambda board: views.note_list_view(board, person_id, item=about, yours=yours, after=after, limit=limit),
    )


@router.get("/v1/feedback/notes/{note_id}", operation_id="get_note", responses=response_docs(schemas.NoteView))
async def get_note(request: Request, note_id: str) -> Response:
    """A note, its status and the reason. The score is hidden until the asker has rated it."""
    services, person_id = get_services(request), current_person(request).id
    return await _consensus_response(services, lambda board: views.note_view(board, person_id, note_id))


@router.post(
    "/v1/feedback/notes/{note_id}/ratings",
    operation_id="create_note_rating",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    openapi_extra=json_request_body(schemas.NoteRatingRequest),
    responses=response_docs(schemas.RecordedEvent),
)
async def create_note_rating(request: Request, note_id: str) -> Response:
    """Say how helpful a note is."""
    services, body = await _read(request, schemas.NoteRatingRequest)
    person_id = current_person(request).id

    def act(board: LiveConsensus) -> dict[str, Any]:
        done = board.log.rate_note(person_id, note_id, body.value, tags=body.tags)
        return _recorded(board, person_id, done, note_id)

    return await _consensus_response(services, act)


@router.delete(
    "/v1/feedback/events/{event_id}",
    operation_id="retract_event",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    responses=response_docs(schemas.RecordedEvent),
)
async def retract_event(request: Request, event_id: str) -> Response:
    """Take back an act of one's own. It stays in the log and counts as never done; its words are deleted."""
    services, person_id = get_services(request), current_person(request).id

    def act(board: LiveConsensus) -> dict[str, Any]:
        done = board.log.retract(person_id, event_id)
        return _recorded(board, person_id, done, _event_item(board, done.event))

    return await _consensus_response(services, act)


@router.get("/v1/feedback/juries/{item:path}", operation_id="get_jury", responses=response_docs(schemas.JuryView))
async def get_jury(request: Request, item: str) -> Response:
    """How far the jury on an item is, and what it found. Who sits on it is in the public log, under pseudonyms."""
    services, person_id = get_services(request), current_person(request).id
    return await _consensus_response(services, lambda board: views.jury_view(board, person_id, normalize_item_id(item)))


@router.get("/v1/feedback/queue", operation_id="list_wanted_ratings", responses=response_docs(schemas.RatingQueueView))
async def list_wanted_ratings(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """What needs the asker's rating: juries they were drawn for, then items where a side is missing."""
    services, person_id = get_services(request), current_person(request).id
    return await _consensus_response(services, lambda board: views.queue_view(board, person_id, limit))


@router.get("/v1/consensus", operation_id="get_consensus", responses=response_docs(schemas.ConsensusView))
async def get_consensus(request: Request, limit: FeedbackLimit = 200) -> Response:
    """The items on the axis of division, what bridges it and what divides most."""
    services, person_id = get_services(request), current_person(request).id
    return await _consensus_response(services, lambda board: views.consensus_view(board, person_id, limit))


@router.get("/v1/consensus/log", operation_id="get_consensus_log", responses=response_docs(schemas.LogPage))
async def get_consensus_log(request: Request, after: AfterSequence = 0, limit: FeedbackLimit = 100) -> Response:
    """The public log, oldest first: who did what, under pseudonyms, each entry with its hash."""
    return await _consensus_response(get_services(request), lambda board: views.log_view(board, after, limit))


@router.get("/v1/consensus/items/{item:path}", operation_id="get_consensus_item", responses=response_docs(schemas.ItemView))
async def get_consensus_item(request: Request, item: str) -> Response:
    """Who (by side, never by name) found what of an item, and what is missing for a status."""
    services, person_id = get_services(request), current_person(request).id
    return await _consensus_response(services, lambda board: views.item_view(board, person_id, normalize_item_id(item)))


async def _read(request: Request, model: type[M]) -> tuple[Services, M]:
    services = get_services(request)
    return services, await read_body(request, model, max_bytes=services.settings.max_body_bytes)


async def _consensus_response(services: Services, work: Callable[[LiveConsensus], dict[str, Any]]) -> Response:
    body = await asyncio.to_thread(lambda: work(services.running_consensus))
    return Response(to_json_bytes(body), media_type="application/json")


def _event_item(board: LiveConsensus, event_id: str) -> str | None:
    item: str | None = getattr(board.log.index.get_event(event_id), "item", None)
    return item


def _recorded(board: LiveConsensus, person_id: str, done: FeedbackEvent, item: str | None = None) -> dict[str, Any]:
    board.request_run()
    return {
        "object": "feedback.event",
        "id": done.id,
        "kind": done.kind,
        "event": event_to_dict(done),
        "standing": views.item_status_view(board, person_id, item) if item else None,
    }
