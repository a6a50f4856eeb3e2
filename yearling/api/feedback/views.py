"""Feedback and consensus as JSON data, made from the live consensus. Nothing here writes.

People who can still rate an undecided item, and have not, do not see how others rate it.
"""

from __future__ import annotations

from collections.abc import Sequence

from yearling.api.http.json_response import JsonObject
from yearling.errors import NotFound
from yearling.feedback import (
    HELPFUL,
    NOT_HELPFUL,
    ItemResult,
    LiveConsensus,
    Note,
    Rating,
    event_to_dict,
    explain_item,
    explain_snapshot,
)

_NUM_STRONGEST = 10
_MAX_EXCERPT_CHARS = 280
_HIDDEN_SCORE_MESSAGE = "Rate it to see what others think."


def item_status_view(consensus: LiveConsensus, person_id: str, item: str) -> JsonObject:
    """An `ItemStatusView` with what the person may see."""
    status = consensus.item_status(item)
    result = status.result
    is_visible = result is not None and (
        _is_score_visible(consensus, person_id, result) or consensus.log.is_author(person_id, item)
    )
    if result is None:
        explanation = ["Nobody has judged it yet."]
    else:
        division = consensus.latest_run.snapshot.division
        explanation = explain_item(result, consensus.parameters.status, division_seen=division.seen)
        if not is_visible:
            explanation = [explanation[0], _HIDDEN_SCORE_MESSAGE]
    return {
        "item": item,
        "status": status.status,
        "reason": status.reason,
        "explanation": explanation,
        "provisional": status.is_provisional,
        "score": _score_view(result) if result is not None and is_visible else None,
    }


def _is_score_visible(consensus: LiveConsensus, person_id: str, result: ItemResult) -> bool:
    return result.status in (HELPFUL, NOT_HELPFUL) or consensus.has_rated_or_written(person_id, result.item)


def _score_view(result: ItemResult) -> JsonObject:
    sides = [
        {"ratings": side.ratings, "approval": side.approval, "estimate": side.estimate, "chance": side.chance}
        for side in result.sides
    ]
    return {"bridging": result.bridging, "axis": result.axis, "sides": sides}


def own_ratings(consensus: LiveConsensus, person_id: str, items: Sequence[str]) -> dict[str, JsonObject]:
    """The person's valid ratings of these items, by item, each as an `OwnRating`."""
    ratings: dict[str, JsonObject] = {}
    actor = consensus.log.pseudonym(person_id)
    with consensus.log.index.consistent_view() as index:
        for item in items:
            for event in index.events_about(item):
                if isinstance(event, Rating) and event.actor == actor and not index.withdrawal_of(event.id):
                    ratings[item] = {"event": event.id, "value": event.value, "tags": list(event.tags)}
    return ratings


def note_view(consensus: LiveConsensus, person_id: str, note_id: str) -> JsonObject:
    """A `NoteView`. Raises NotFound for a retracted note."""
    with consensus.log.index.consistent_view() as index:
        note = index.get_note(note_id)
    return _note_views(consensus, person_id, [note])[0]


def note_list_view(
    consensus: LiveConsensus, person_id: str, *, item: str | None, yours: bool | None, after: str | None, limit: int
) -> JsonObject:
    """A `NoteList` of the notes that are not retracted, newest first.

    `item`: only notes on this item. `yours`: only the person's own, or only those of others. `after`: only older notes.
    """
    actor = consensus.log.pseudonym(person_id)
    with consensus.log.index.consistent_view() as index:
        notes = [
            note
            for note in index.list_notes()
            if (item is None or note.item == item)
            and (yours is None or (note.actor == actor) == yours)
            and (after is None or note.note < after)
        ]
    page = notes[: -limit - 1 : -1]
    next_cursor = page[-1].note if len(notes) > limit else None
    return {"object": "list", "data": _note_views(consensus, person_id, page), "next": next_cursor}


def _note_views(consensus: LiveConsensus, person_id: str, notes: Sequence[Note]) -> list[JsonObject]:
    note_ids = [note.note for note in notes]
    texts, ratings = _public_texts(consensus, note_ids), own_ratings(consensus, person_id, note_ids)
    actor = consensus.log.pseudonym(person_id)
    return [
        {
            "object": "note",
            "id": note.note,
            "item": note.item,
            "text": texts.get(note.note),
            "created_utc": event_to_dict(note)["created_utc"],
            "yours": note.actor == actor,
            "rating": ratings.get(note.note),
            "standing": item_status_view(consensus, person_id, note.note),
        }
        for note in notes
    ]


def _public_texts(consensus: LiveConsensus, items: Sequence[str]) -> dict[str, str]:
    """The texts of those items that have a public one, by item."""
    records = consensus.log.store.texts.get_many(items)
    return {item: text for item, record in records.items() if isinstance(text := record.content.get("text"), str)}


def _kind(consensus: LiveConsensus, item: str) -> str:
    event = consensus.log.index.authoring_event(item)
    return "answer" if event is None else "note" if isinstance(event, Note) else "edit"


def jury_view(consensus: LiveConsensus, person_id: str, item: str) -> JsonObject:
    """A `JuryView`. Raises NotFound if no jury was invited."""
    jury = consensus.jury_state(item)
    actor = consensus.log.pseudonym(person_id)
    return {
        "object": "jury",
        "item": item,
        "invited": len(jury.invited),
        "answered": len(jury.answered),
        "needed": consensus.parameters.status.jury_size,
        "finding": jury.verdict,
        "yours": actor in jury.invited,
        "waits": actor in jury.invited - jury.answered,
    }


def queue_view(consensus: LiveConsensus, person_id: str, limit: int) -> JsonObject:
    """A `RatingQueueView`."""
    queue = consensus.rating_queue(person_id, limit=limit)
    items = [entry.item for entry in queue]
    texts, own = _public_texts(consensus, items), consensus.log.own_edited_offers(person_id, items)
    data = []
    for entry in queue:
        if entry.item in own:
            continue
        event = consensus.log.index.authoring_event(entry.item)
        data.append(
            {
                "item": entry.item,
                "kind": _kind(consensus, entry.item),
                "why": entry.reason,
                "text": texts.get(entry.item),
                "about": event.item if event else None,
            }
        )
    return {"object": "list", "data": data}


def consensus_view(consensus: LiveConsensus, person_id: str, limit: int) -> JsonObject:
    """A `ConsensusView` of the newest full run, with its items brought up to date."""
    latest, results = consensus.latest_run, consensus.item_results()
    visible = [result for result in results if _is_score_visible(consensus, person_id, result)]
    gaps = {result.item: abs(result.sides[0].estimate - result.sides[1].estimate) for result in visible}
    bridges = sorted(visible, key=lambda result: (-result.bridging, result.item))
    divides = sorted(visible, key=lambda result: (-gaps[result.item], result.item))
    snapshot, record, pairs = latest.snapshot, latest.record, latest.snapshot.pairs
    division = snapshot.division
    head = consensus.log.store.events.head()
    texts = _public_texts(consensus, [result.item for result in results[:limit]])
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
                "axis": result.axis if result.item in gaps else None,
                "bridging": result.bridging if result.item in gaps else None,
                "gap": gaps.get(result.item),
                "kind": _kind(consensus, result.item),
                "text": texts[result.item][:_MAX_EXCERPT_CHARS] if result.item in texts else None,
            }
            for result in results[:limit]
        ],
        "has_more": len(results) > limit,
        "bridges": [result.item for result in bridges if result.bridging > 0.5][:_NUM_STRONGEST],
        "divides": [result.item for result in divides if gaps[result.item] > 0][:_NUM_STRONGEST],
        "pairs": {
            "compared": len(pairs),
            "training": sum(1 for pair in pairs if pair.weight > 0),
        },
    }


def item_view(consensus: LiveConsensus, person_id: str, item: str) -> JsonObject:
    """An `ItemView`. Raises NotFound for an item that nobody has judged."""
    with consensus.log.index.consistent_view() as index:
        is_known = index.has_item(item)
    if not is_known:
        raise NotFound(f"Nobody has judged {item[:100]!r}.", param="item")
    status = item_status_view(consensus, person_id, item)
    pairs = [
        {
            "better": pair.better,
            "worse": pair.worse,
            "q": pair.q,
            "weight": pair.weight,
            "reason": pair.reason,
        }
        for pair in consensus.latest_run.snapshot.pairs
        if item in (pair.better, pair.worse)
    ]
    return {
        "object": "consensus.item",
        "kind": _kind(consensus, item),
        "text": _public_texts(consensus, [item]).get(item),
        "standing": status,
        "pairs": pairs if status["score"] else [],
    }


def log_view(consensus: LiveConsensus, after: int, limit: int) -> JsonObject:
    """A `LogPage`."""
    head = consensus.log.store.events.head()
    entries = consensus.log.list_entries(after=after, limit=limit)
    last_sequence = entries[-1].sequence if entries else after
    data = [
        {"sequence": entry.sequence, "event": entry.event, "previous_hash": entry.previous_hash, "hash": entry.hash}
        for entry in entries
    ]
    return {
        "object": "list",
        "data": data,
        "has_more": last_sequence < head.sequence,
        "entries": head.sequence,
        "head": head.hash,
    }
