"""`/v1/feedback` and `/v1/consensus`: people judge answers, and see what people who usually disagree agree on.

The public log records every judgement before the response confirms it. Each POST route is one call of the log, which also checks
what the person's role allows. The log blocks on the disk, so its work runs in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback import schemas, views
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.services import get_services
from yearling.feedback import FeedbackEvent, LiveConsensus, close_finished_rounds, event_to_dict

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_FEEDBACK_SCOPE = [require_role("member", scope="feedback")]

RecordedJudgement = tuple[FeedbackEvent, str | None]
"""The event in the log, and the item whose status the response reports."""

ItemPath = Annotated[str, Path(description="ID of an answer (its completion, response or sample), a note, or an edit's text.")]
NoteId = Annotated[str, Path(description="ID of the note.")]


def normalize_item_id(item: str) -> str:
    """The ID under which the log knows an answer: its sample's, which the IDs of completions and responses contain."""
    for prefix in ("chatcmpl-", "resp_"):
        if item.startswith(prefix):
            try:
                return str(UUID(item.removeprefix(prefix)))
            except ValueError:
                return item
    return item


@router.post(
    "/v1/feedback/ratings",
    operation_id="create_rating",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_rating(request: Request, body: JsonBody[schemas.RatingRequest]) -> JsonResponse:
    """Rate how helpful an answer is. A later rating of the same item replaces this one."""
    item = normalize_item_id(body.item)

    def rate(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        return consensus.log.rate(person_id, item, body.value, tags=body.tags), item

    return await _record(request, rate)


@router.post(
    "/v1/feedback/comparisons",
    operation_id="create_comparison",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_comparison(request: Request, body: JsonBody[schemas.ComparisonRequest]) -> JsonResponse:
    """Say which of two answers is better."""
    left, right = normalize_item_id(body.left), normalize_item_id(body.right)

    def compare(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        event = consensus.log.compare(person_id, left, right, body.outcome, tags=body.tags)
        close_finished_rounds(consensus.log, items=[left, right])
        return event, None

    return await _record(request, compare)


@router.post(
    "/v1/feedback/edits",
    operation_id="create_edit",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_edit(request: Request, body: JsonBody[schemas.EditRequest]) -> JsonResponse:
    """Reword an answer. The new text becomes an item that others can judge."""

    def edit(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        return consensus.log.add_edit(person_id, normalize_item_id(body.item), body.text), None

    return await _record(request, edit)


@router.post(
    "/v1/feedback/notes",
    operation_id="create_note",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_note(request: Request, body: JsonBody[schemas.NoteRequest]) -> JsonResponse:
    """Add a note with context to an answer. Others rate the note."""

    def add_note(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        event = consensus.log.add_note(person_id, normalize_item_id(body.item), body.text)
        return event, event.note

    return await _record(request, add_note)


@router.post(
    "/v1/feedback/removals",
    operation_id="create_removal",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_removal(request: Request, body: JsonBody[schemas.RemovalRequest]) -> JsonResponse:
    """Remove someone's event from the consensus, in public and with a reason. Administrators only."""

    def remove(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        event = consensus.log.remove(person_id, body.event, body.reason, delete_text=body.delete_words)
        return event, _event_item(consensus, event.event)

    return await _record(request, remove)


@router.post(
    "/v1/feedback/vouches",
    operation_id="create_vouch",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_vouch(request: Request, body: JsonBody[schemas.VouchRequest]) -> JsonResponse:
    """Vouch that an account is the only account of a human being."""
    return await _record(request, lambda consensus, person_id: (consensus.log.vouch(person_id, body.account), None))


@router.post(
    "/v1/feedback/juries",
    operation_id="create_jury",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_jury(request: Request, body: JsonBody[schemas.JuryRequest]) -> JsonResponse:
    """Draw a jury for an item by lot, and invite it. Nobody can influence whom the lot draws. Administrators only."""
    item = normalize_item_id(body.item)
    return await _record(request, lambda consensus, person_id: (consensus.invite_jury(person_id, item), item))


@router.get("/v1/feedback/notes", operation_id="list_notes", response_model=schemas.NoteList)
async def list_notes(
    request: Request,
    item: Annotated[str | None, Query(max_length=200, description="Return only notes on the answer with this ID.")] = None,
    yours: Annotated[bool | None, Query(description="True: only the caller's notes; false: only those of others.")] = None,
    after: Annotated[str | None, Query(max_length=64, description="Cursor: the field `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of notes.")] = 50,
) -> JsonResponse:
    """List the notes that are not retracted, newest first."""
    about = normalize_item_id(item) if item is not None else None

    def query(consensus: LiveConsensus, person_id: str) -> JsonObject:
        return views.note_list_view(consensus, person_id, item=about, yours=yours, after=after, limit=limit)

    return await _respond(request, query)


@router.get("/v1/feedback/notes/{note_id}", operation_id="get_note", response_model=schemas.NoteView)
async def get_note(request: Request, note_id: NoteId) -> JsonResponse:
    """Return a note with its status. The score stays hidden until the caller has rated the note."""
    return await _respond(request, lambda consensus, person_id: views.note_view(consensus, person_id, note_id))


@router.post(
    "/v1/feedback/notes/{note_id}/ratings",
    operation_id="create_note_rating",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def create_note_rating(request: Request, note_id: NoteId, body: JsonBody[schemas.NoteRatingRequest]) -> JsonResponse:
    """Rate how helpful a note is."""

    def rate(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        return consensus.log.rate_note(person_id, note_id, body.value, tags=body.tags), note_id

    return await _record(request, rate)


@router.delete(
    "/v1/feedback/events/{event_id}",
    operation_id="retract_event",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.RecordedEvent,
)
async def retract_event(
    request: Request, event_id: Annotated[str, Path(description="ID of the event in the public log.")]
) -> JsonResponse:
    """Retract one of the caller's own events. It stays in the log without effect, and its text is deleted."""

    def retract(consensus: LiveConsensus, person_id: str) -> RecordedJudgement:
        event = consensus.log.retract(person_id, event_id)
        return event, _event_item(consensus, event.event)

    return await _record(request, retract)


@router.get("/v1/feedback/juries/{item:path}", operation_id="get_jury", response_model=schemas.JuryView)
async def get_jury(request: Request, item: ItemPath) -> JsonResponse:
    """Return the progress and the finding of a jury. The public log lists its members under pseudonyms."""
    item = normalize_item_id(item)
    return await _respond(request, lambda consensus, person_id: views.jury_view(consensus, person_id, item))


@router.get("/v1/feedback/queue", operation_id="list_wanted_ratings", response_model=schemas.RatingQueueView)
async def list_wanted_ratings(
    request: Request, limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")] = 20
) -> JsonResponse:
    """List the items that need the caller's rating: juries that they are on, then items where a side is missing."""
    return await _respond(request, lambda consensus, person_id: views.queue_view(consensus, person_id, limit))


@router.get("/v1/consensus", operation_id="get_consensus", response_model=schemas.ConsensusView)
async def get_consensus(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of items.")] = 200
) -> JsonResponse:
    """Return the consensus: how the raters divide, and which items bridge the division or divide most."""
    return await _respond(request, lambda consensus, person_id: views.consensus_view(consensus, person_id, limit))


@router.get("/v1/consensus/log", operation_id="get_consensus_log", response_model=schemas.LogPage)
async def get_consensus_log(
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**53, description="Return only entries after this sequence number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of entries.")] = 100,
) -> JsonResponse:
    """Return the public log, oldest entry first. People have pseudonyms, and each entry has its hash."""
    return await _respond(request, lambda consensus, _: views.log_view(consensus, after, limit))


@router.get("/v1/consensus/items/{item:path}", operation_id="get_consensus_item", response_model=schemas.ItemView)
async def get_consensus_item(request: Request, item: ItemPath) -> JsonResponse:
    """Return how each side rates an item, never by name, and what it lacks for a status."""
    item = normalize_item_id(item)
    return await _respond(request, lambda consensus, person_id: views.item_view(consensus, person_id, item))


async def _respond(request: Request, query: Callable[[LiveConsensus, str], JsonObject]) -> JsonResponse:
    """The result of `query(consensus, person_id)`, which runs in a thread."""
    services, person = get_services(request), current_person(request)
    return JsonResponse(await asyncio.to_thread(lambda: query(services.running_consensus, person.id)))


async def _record(request: Request, record: Callable[[LiveConsensus, str], RecordedJudgement]) -> JsonResponse:
    """Record a judgement, request a consensus run, and respond with a `RecordedEvent`."""

    def record_and_view(consensus: LiveConsensus, person_id: str) -> JsonObject:
        event, item = record(consensus, person_id)
        consensus.request_run()
        return {
            "object": "feedback.event",
            "id": event.id,
            "kind": event.kind,
            "event": event_to_dict(event),
            "standing": views.item_status_view(consensus, person_id, item) if item else None,
        }

    return await _respond(request, record_and_view)


def _event_item(consensus: LiveConsensus, event_id: str) -> str | None:
    item: str | None = getattr(consensus.log.index.get_event(event_id), "item", None)
    return item
