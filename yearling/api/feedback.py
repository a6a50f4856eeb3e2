"""`/v1/feedback` and `/v1/consensus`: people judge, and see what people who usually disagree agree on.

Every act becomes an event in the public log before it is acknowledged. Who has not rated an undecided item is not shown what
others think of it. Work on the log runs in threads, for it waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from yearling.api import feedback_schemas as schemas
from yearling.api.body import read_body
from yearling.api.errors import dump
from yearling.api.openapi import json_body, replies
from yearling.api.services import Services, services_of
from yearling.errors import NotFound
from yearling.feedback import (
    HELPFUL,
    NOT_HELPFUL,
    Board,
    Event,
    ItemResult,
    Note,
    explain_item,
    explain_snapshot,
    to_dict,
)

router = APIRouter()

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[int, Query(ge=0, le=2**53)]

_STRONGEST = 10
_HIDDEN = "Rate it to see what others think."


@router.post(
    "/v1/feedback/ratings",
    operation_id="create_rating",
    openapi_extra=json_body(schemas.RatingRequest),
    responses=replies(schemas.Recorded),
)
async def create_rating(request: Request) -> Response:
    """Say how helpful an answer is. A later rating of the same item replaces this one."""
    services, body = await _read(request, schemas.RatingRequest)
    item = item_id(body.item)

    def act(board: Board) -> dict[str, Any]:
        done = board.log.rate(services.person_id, item, body.value, tags=body.tags)
        return _recorded(board, services.person_id, done, item)

    return await _answer(services, act)


@router.post(
    "/v1/feedback/comparisons",
    operation_id="create_comparison",
    openapi_extra=json_body(schemas.ComparisonRequest),
    responses=replies(schemas.Recorded),
)
async def create_comparison(request: Request) -> Response:
    """Say which of two answers is better."""
    services, body = await _read(request, schemas.ComparisonRequest)

    def act(board: Board) -> dict[str, Any]:
        left, right = item_id(body.left), item_id(body.right)
        done = board.log.compare(services.person_id, left, right, body.outcome, tags=body.tags)
        return _recorded(board, services.person_id, done)

    return await _answer(services, act)


@router.post(
    "/v1/feedback/edits",
    operation_id="create_edit",
    openapi_extra=json_body(schemas.EditRequest),
    responses=replies(schemas.Recorded),
)
async def create_edit(request: Request) -> Response:
    """Give a better wording of an answer. The wording is an item that others can judge."""
    services, body = await _read(request, schemas.EditRequest)

    def act(board: Board) -> dict[str, Any]:
        return _recorded(board, services.person_id, board.log.edit(services.person_id, item_id(body.item), body.text))

    return await _answer(services, act)


@router.post(
    "/v1/feedback/notes",
    operation_id="create_note",
    openapi_extra=json_body(schemas.NoteRequest),
    responses=replies(schemas.Recorded),
)
async def create_note(request: Request) -> Response:
    """Add context to an answer. Others rate the note."""
    services, body = await _read(request, schemas.NoteRequest)

    def act(board: Board) -> dict[str, Any]:
        done = board.log.note(services.person_id, item_id(body.item), body.text)
        return _recorded(board, services.person_id, done, done.note)

    return await _answer(services, act)


@router.get("/v1/feedback/notes/{note_id}", operation_id="get_note", responses=replies(schemas.NoteView))
async def get_note(request: Request, note_id: str) -> Response:
    """A note, its status and the reason. The score is hidden until the asker has rated it."""
    services = services_of(request)
    return await _answer(services, lambda board: _note(board, services.person_id, note_id))


@router.post(
    "/v1/feedback/notes/{note_id}/ratings",
    operation_id="create_note_rating",
    openapi_extra=json_body(schemas.NoteRatingRequest),
    responses=replies(schemas.Recorded),
)
async def create_note_rating(request: Request, note_id: str) -> Response:
    """Say how helpful a note is."""
    services, body = await _read(request, schemas.NoteRatingRequest)

    def act(board: Board) -> dict[str, Any]:
        done = board.log.rate_note(services.person_id, note_id, body.value, tags=body.tags)
        return _recorded(board, services.person_id, done, note_id)

    return await _answer(services, act)


@router.delete("/v1/feedback/events/{event_id}", operation_id="retract_event", responses=replies(schemas.Recorded))
async def retract_event(request: Request, event_id: str) -> Response:
    """Take back an act of one's own. It stays in the log and counts as never done; its words are deleted."""
    services = services_of(request)

    def act(board: Board) -> dict[str, Any]:
        done = board.log.retract(services.person_id, event_id)
        target = board.log.ledger.event(event_id)
        return _recorded(board, services.person_id, done, getattr(target, "item", None))

    return await _answer(services, act)


@router.get("/v1/feedback/queue", operation_id="list_wanted_ratings", responses=replies(schemas.Queue))
async def list_wanted_ratings(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """What needs the asker's rating, items first where a side is missing."""
    services = services_of(request)
    return await _answer(services, lambda board: _queue(board, services.person_id, limit))


@router.get("/v1/consensus", operation_id="get_consensus", responses=replies(schemas.ConsensusView))
async def get_consensus(request: Request, limit: Limit = 200) -> Response:
    """The items on the axis of division, what bridges it and what divides most."""
    services = services_of(request)
    return await _answer(services, lambda board: _consensus(board, services.person_id, limit))


@router.get("/v1/consensus/log", operation_id="get_consensus_log", responses=replies(schemas.LogPage))
async def get_consensus_log(request: Request, after: After = 0, limit: Limit = 100) -> Response:
    """The public log, oldest first: who did what, under pseudonyms, each entry with its hash."""
    return await _answer(services_of(request), lambda board: _log(board, after, limit))


@router.get("/v1/consensus/items/{item:path}", operation_id="get_consensus_item", responses=replies(schemas.ItemView))
async def get_consensus_item(request: Request, item: str) -> Response:
    """Who (by side, never by name) found what of an item, and what is missing for a status."""
    services = services_of(request)
    return await _answer(services, lambda board: _item(board, services.person_id, item_id(item)))


def item_id(given: str) -> str:
    """The id by which the log knows an answer: that of its sample, which completions and responses carry in theirs."""
    for prefix in ("chatcmpl-", "resp_"):
        if given.startswith(prefix):
            try:
                return str(UUID(given.removeprefix(prefix)))
            except ValueError:
                return given
    return given


async def _read(request: Request, model: type[M]) -> tuple[Services, M]:
    services = services_of(request)
    return services, await read_body(request, model, most_bytes=services.settings.max_body_bytes)


async def _answer(services: Services, work: Callable[[Board], dict[str, Any]]) -> Response:
    body = await asyncio.to_thread(lambda: work(services.running_board))
    return Response(dump(body), media_type="application/json")


def _recorded(board: Board, person_id: str, done: Event, item: str | None = None) -> dict[str, Any]:
    board.nudge()
    return {
        "object": "feedback.event",
        "id": done.id,
        "kind": done.kind,
        "event": to_dict(done),
        "standing": _standing(board, person_id, item) if item else None,
    }


def _standing(board: Board, person_id: str, item: str) -> dict[str, Any]:
    standing = board.standing(item)
    result = standing.result
    visible = result is not None and _visible(board, person_id, result)
    if result is None:
        explanation = ["Nobody has judged it yet."]
    else:
        p, division = board.parameters.status, board.latest.snapshot.division
        explanation = explain_item(result, p, division_seen=division.seen)
        if not visible:
            explanation = [explanation[0], _HIDDEN]
    return {
        "item": item,
        "status": standing.status,
        "reason": standing.reason,
        "explanation": explanation,
        "provisional": standing.provisional,
        "score": _score(result) if result is not None and visible else None,
    }


def _visible(board: Board, person_id: str, result: ItemResult) -> bool:
    return result.status in (HELPFUL, NOT_HELPFUL) or board.has_a_say(person_id, result.item)


def _score(result: ItemResult) -> dict[str, Any]:
    sides = [
        {"ratings": side.ratings, "approval": side.approval, "estimate": side.estimate, "chance": side.chance}
        for side in result.sides
    ]
    return {"bridging": result.bridging, "axis": result.axis, "sides": sides}


def _note(board: Board, person_id: str, note_id: str) -> dict[str, Any]:
    with board.log.ledger.reading() as ledger:
        note = ledger.note(note_id)
    words = board.log.store.texts.get_many([note.note]).get(note.note)
    return {
        "object": "note",
        "id": note.note,
        "item": note.item,
        "text": words.content.get("text") if words else None,
        "created_utc": to_dict(note)["created_utc"],
        "yours": note.actor == board.log.pseudonym(person_id),
        "standing": _standing(board, person_id, note.note),
    }


def _queue(board: Board, person_id: str, limit: int) -> dict[str, Any]:
    wanted = board.queue(person_id, size=limit)
    words = board.log.store.texts.get_many([one.item for one in wanted])
    data = []
    for one in wanted:
        written, text = board.log.ledger.written(one.item), words.get(one.item)
        kind = "answer" if written is None else "note" if isinstance(written, Note) else "edit"
        said = text.content.get("text") if text else None
        about = written.item if written else None
        data.append({"item": one.item, "kind": kind, "why": one.why, "text": said, "about": about})
    return {"object": "list", "data": data}


def _consensus(board: Board, person_id: str, limit: int) -> dict[str, Any]:
    latest, results = board.latest, board.items()
    seen = {result.item for result in results if _visible(board, person_id, result)}
    shown = [result for result in results if result.item in seen]
    gaps = {result.item: abs(result.sides[0].estimate - result.sides[1].estimate) for result in shown}
    bridges = sorted(shown, key=lambda result: (-result.bridging, result.item))
    divides = sorted(shown, key=lambda result: (-gaps[result.item], result.item))
    snapshot, record, pairs = latest.snapshot, latest.record, latest.snapshot.pairs
    division = snapshot.division
    head = board.log.store.events.head()
    return {
        "object": "consensus",
        "run": record.sequence,
        "as_of_utc": snapshot.as_of_utc,
        "snapshot": record.snapshot_sha256,
        "log_head": head.hash,
        "entries": head.sequence,
        "code": record.code_hash,
        "parameters": record.parameters_hash,
        "raters": dict(snapshot.raters),
        "division": {
            "seen": division.seen,
            "strength": division.strength,
            "chance": division.chance,
            "distance": division.distance,
        },
        "summary": explain_snapshot(snapshot),
        "items": [
            {
                "item": result.item,
                "status": result.status,
                "reason": result.reason,
                "axis": result.axis if result.item in seen else None,
                "bridging": result.bridging if result.item in seen else None,
                "gap": gaps.get(result.item),
            }
            for result in results[:limit]
        ],
        "has_more": len(results) > limit,
        "bridges": [result.item for result in bridges if result.bridging > 0.5][:_STRONGEST],
        "divides": [result.item for result in divides if gaps[result.item] > 0][:_STRONGEST],
        "pairs": {
            "compared": len(pairs),
            "training": sum(1 for pair in pairs if pair.weight > 0),
            "provisional": bool(pairs) and pairs[0].provisional,
        },
    }


def _item(board: Board, person_id: str, item: str) -> dict[str, Any]:
    with board.log.ledger.reading() as ledger:
        known = ledger.knows(item)
    if not known:
        raise NotFound(f"Nobody has judged {item[:100]!r}.", param="item")
    standing = _standing(board, person_id, item)
    pairs = [pair for pair in board.latest.snapshot.pairs if item in (pair.better, pair.worse)]
    told = [{name: getattr(pair, name) for name in ("better", "worse", "q", "weight", "reason", "provisional")} for pair in pairs]
    return {"object": "consensus.item", "standing": standing, "pairs": told if standing["score"] else []}


def _log(board: Board, after: int, limit: int) -> dict[str, Any]:
    head = board.log.store.events.head()
    entries = board.log.page(after=after, limit=limit)
    last = entries[-1].sequence if entries else after
    data = [
        {"sequence": one.sequence, "event": one.event, "previous_hash": one.previous_hash, "hash": one.hash} for one in entries
    ]
    return {
        "object": "list",
        "data": data,
        "has_more": last < head.sequence,
        "entries": head.sequence,
        "head": head.hash,
    }
