"""What people see of feedback and consensus: plain data for the wire, made from the board.

Who has not rated an undecided item is not shown what others think of it. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
_SHOWN_CHARS = 280
_HIDDEN_SCORE_MESSAGE = "Rate it to see what others think."


def item_status_view(board: LiveConsensus, person_id: str, item: str) -> dict[str, Any]:
    """Where an item stands, and what the asker may know of it."""
    standing = board.item_status(item)
    result = standing.result
    visible = result is not None and _is_score_visible(board, person_id, result)
    if result is None:
        explanation = ["Nobody has judged it yet."]
    else:
        p, division = board.parameters.status, board.latest_run.snapshot.division
        explanation = explain_item(result, p, division_seen=division.seen)
        if not visible:
            explanation = [explanation[0], _HIDDEN_SCORE_MESSAGE]
    return {
        "item": item,
        "status": standing.status,
        "reason": standing.reason,
        "explanation": explanation,
        "provisional": standing.is_provisional,
        "score": _score(result) if result is not None and visible else None,
    }


def _is_score_visible(board: LiveConsensus, person_id: str, result: ItemResult) -> bool:
    return result.status in (HELPFUL, NOT_HELPFUL) or board.has_rated_or_written(person_id, result.item)


def _score(result: ItemResult) -> dict[str, Any]:
    sides = [
        {"ratings": side.ratings, "approval": side.approval, "estimate": side.estimate, "chance": side.chance}
        for side in result.sides
    ]
    return {"bridging": result.bridging, "axis": result.axis, "sides": sides}


def note_view(board: LiveConsensus, person_id: str, note_id: str) -> dict[str, Any]:
    """A note with its words and its standing. Raises NotFound for one that was taken back."""
    with board.log.index.consistent_view() as ledger:
        note = ledger.get_note(note_id)
    return _note(board, person_id, note, _public_texts(board, [note.note]).get(note.note))


def note_list_view(
    board: LiveConsensus, person_id: str, *, item: str | None, yours: bool | None, after: str | None, limit: int
) -> dict[str, Any]:
    """The notes that stand, newest first: all, those on an item, the asker's own or those of others."""
    actor = board.log.pseudonym(person_id)
    with board.log.index.consistent_view() as ledger:
        notes = [
            note
            for note in ledger.list_notes()
            if (item is None or note.item == item)
            and (yours is None or (note.actor == actor) == yours)
            and (after is None or note.note < after)
        ]
    page = notes[: -limit - 1 : -1]
    words = _public_texts(board, [note.note for note in page])
    data = [_note(board, person_id, note, words.get(note.note)) for note in page]
    return {"object": "list", "data": data, "next": page[-1].note if len(notes) > limit else None}


def _note(board: LiveConsensus, person_id: str, note: Note, text: str | None) -> dict[str, Any]:
    return {
        "object": "note",
        "id": note.note,
        "item": note.item,
        "text": text,
        "created_utc": event_to_dict(note)["created_utc"],
        "yours": note.actor == board.log.pseudonym(person_id),
        "rating": _own_rating(board, person_id, note.note),
        "standing": item_status_view(board, person_id, note.note),
    }


def _own_rating(board: LiveConsensus, person_id: str, item: str) -> dict[str, Any] | None:
    actor, found = board.log.pseudonym(person_id), None
    with board.log.index.consistent_view() as ledger:
        for event in ledger.events_about(item):
            if isinstance(event, Rating) and event.actor == actor and not ledger.withdrawal_of(event.id):
                found = {"event": event.id, "value": event.value, "tags": list(event.tags)}
    return found


def _public_texts(board: LiveConsensus, items: Sequence[str]) -> dict[str, str]:
    """The public words of those items that have any."""
    texts = board.log.store.texts.get_many(items)
    return {item: text.content["text"] for item, text in texts.items() if isinstance(text.content.get("text"), str)}


def _kind(board: LiveConsensus, item: str) -> str:
    written = board.log.index.authoring_event(item)
    return "answer" if written is None else "note" if isinstance(written, Note) else "edit"


def jury_view(board: LiveConsensus, person_id: str, item: str) -> dict[str, Any]:
    """How far the jury on an item is. Raises NotFound where none was invited."""
    jury = board.jury_state(item)
    actor = board.log.pseudonym(person_id)
    return {
        "object": "jury",
        "item": item,
        "invited": len(jury.invited),
        "answered": len(jury.answered),
        "needed": board.parameters.status.jury_size,
        "finding": jury.verdict,
        "yours": actor in jury.invited,
        "waits": actor in jury.invited - jury.answered,
    }


def queue_view(board: LiveConsensus, person_id: str, limit: int) -> dict[str, Any]:
    """What a person could rate next, with the words."""
    wanted = board.rating_queue(person_id, limit=limit)
    words = _public_texts(board, [one.item for one in wanted])
    data = []
    for one in wanted:
        written = board.log.index.authoring_event(one.item)
        about = written.item if written else None
        data.append(
            {"item": one.item, "kind": _kind(board, one.item), "why": one.reason, "text": words.get(one.item), "about": about}
        )
    return {"object": "list", "data": data}


def consensus_view(board: LiveConsensus, person_id: str, limit: int) -> dict[str, Any]:
    """The newest full run, its items brought up to date."""
    latest, results = board.latest_run, board.item_results()
    seen = {result.item for result in results if _is_score_visible(board, person_id, result)}
    shown = [result for result in results if result.item in seen]
    gaps = {result.item: abs(result.sides[0].estimate - result.sides[1].estimate) for result in shown}
    bridges = sorted(shown, key=lambda result: (-result.bridging, result.item))
    divides = sorted(shown, key=lambda result: (-gaps[result.item], result.item))
    snapshot, record, pairs = latest.snapshot, latest.record, latest.snapshot.pairs
    division = snapshot.division
    head = board.log.store.events.head()
    words = _public_texts(board, [result.item for result in results[:limit]])
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
                "kind": _kind(board, result.item),
                "text": words[result.item][:_SHOWN_CHARS] if result.item in words else None,
            }
            for result in results[:limit]
        ],
        "has_more": len(results) > limit,
        "bridges": [result.item for result in bridges if result.bridging > 0.5][:_NUM_STRONGEST],
        "divides": [result.item for result in divides if gaps[result.item] > 0][:_NUM_STRONGEST],
        "pairs": {
            "compared": len(pairs),
            "training": sum(1 for pair in pairs if pair.weight > 0),
            "provisional": bool(pairs) and pairs[0].provisional,
        },
    }


def item_view(board: LiveConsensus, person_id: str, item: str) -> dict[str, Any]:
    """An item and its pairs. Raises NotFound for one that nobody judged."""
    with board.log.index.consistent_view() as ledger:
        known = ledger.has_item(item)
    if not known:
        raise NotFound(f"Nobody has judged {item[:100]!r}.", param="item")
    standing = item_status_view(board, person_id, item)
    pairs = [pair for pair in board.latest_run.snapshot.pairs if item in (pair.better, pair.worse)]
    told = [{name: getattr(pair, name) for name in ("better", "worse", "q", "weight", "reason", "provisional")} for pair in pairs]
    return {
        "object": "consensus.item",
        "kind": _kind(board, item),
        "text": _public_texts(board, [item]).get(item),
        "standing": standing,
        "pairs": told if standing["score"] else [],
    }


def log_view(board: LiveConsensus, after: int, limit: int) -> dict[str, Any]:
    """A page of the public log, with the whole log's head."""
    head = board.log.store.events.head()
    entries = board.log.list_entries(after=after, limit=limit)
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
