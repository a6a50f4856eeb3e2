"""Feedback and consensus as JSON data, made from the live consensus. Nothing here writes.

People who can still rate an undecided item, and have not, do not see how others rate it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from yearling.api.feedback.item_words import ItemWords, find_item_words, item_kind, public_texts
from yearling.api.http.json_response import JsonObject
from yearling.errors import NotFound
from yearling.feedback import (
    HELPFUL,
    NEEDS_MORE,
    NOT_HELPFUL,
    PEOPLE_ARE_DIVIDED,
    STATUS_TITLES,
    ConsensusPair,
    ItemResult,
    LiveConsensus,
    Note,
    Rating,
    Snapshot,
    display_status,
    event_to_dict,
    explain_item,
    explain_snapshot,
    find_telling_items,
    shows_two_sides,
    whole_ratings,
    without_only_compared,
)

_NUM_STRONGEST = 10
_RATER_COUNTS = ("seen", "counted", "collapsed", "side_0", "side_1")
_HIDDEN_SCORE_MESSAGE = "Rate it to see what others think."


def item_status_view(consensus: LiveConsensus, person_id: str, item: str) -> JsonObject:
    """An `ItemStatusView` with what the person may see."""
    status = consensus.item_status(item)
    result = status.result
    is_visible = result is not None and (
        _is_score_visible(consensus, person_id, result) or consensus.log.is_author(person_id, item)
    )
    degree = consensus.visible_degree
    if result is None:
        explanation = ["Nobody has judged it yet."]
    elif is_visible:
        is_note = consensus.log.index.is_note(item)
        explanation = explain_item(result, consensus.parameters.status, degree=degree, is_note=is_note)
    else:
        explanation = [f"{STATUS_TITLES[result.status]}.", _HIDDEN_SCORE_MESSAGE]
    return {
        "item": item,
        "status": status.status,
        "display_status": display_status(result) if result is not None and is_visible else status.status,
        "reason": status.reason,
        "two_sides": shows_two_sides(degree),
        "explanation": explanation,
        "provisional": status.is_provisional,
        "score": _score_view(result) if result is not None and is_visible else None,
    }


def _is_score_visible(consensus: LiveConsensus, person_id: str, result: ItemResult) -> bool:
    return result.status in (HELPFUL, NOT_HELPFUL) or consensus.has_rated_or_written(person_id, result.item)


def _score_view(result: ItemResult) -> JsonObject:
    sides = []
    for side in result.sides:
        ratings, approval = whole_ratings(side)
        sides.append({"ratings": ratings, "approval": approval, "estimate": side.estimate, "chance": side.chance})
    return {
        "judged": result.judged,
        "approval": result.approval,
        "uncounted": dict(result.uncounted),
        "label": result.label,
        "q": result.q,
        "weight": result.weight,
        "bridging": result.bridging,
        "axis": result.axis,
        "sides": sides,
    }


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
    texts, ratings = public_texts(consensus, note_ids), own_ratings(consensus, person_id, note_ids)
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
    texts, own = public_texts(consensus, items), consensus.log.own_edited_offers(person_id, items)
    data = []
    for entry in queue:
        if entry.item in own:
            continue
        event = consensus.log.index.authoring_event(entry.item)
        data.append(
            {
                "item": entry.item,
                "kind": item_kind(consensus, entry.item),
                "why": entry.reason,
                "text": texts.get(entry.item),
                "about": event.item if event else None,
            }
        )
    return {"object": "list", "data": data}


def consensus_view(consensus: LiveConsensus, person_id: str, limit: int) -> JsonObject:
    """A `ConsensusView` of the newest full run, with its items brought up to date.

    Answers that were only ever compared count among the pairs, not among the items.
    """
    latest = consensus.latest_run
    results = without_only_compared(consensus.item_results(), latest.snapshot.pairs)
    visible = [result for result in results if _is_score_visible(consensus, person_id, result)]
    visible_items = {result.item for result in visible}
    bridges = sorted(visible, key=lambda result: (-result.bridging, result.item))
    snapshot, record, pairs = latest.snapshot, latest.record, latest.snapshot.pairs
    division = snapshot.division
    head = consensus.log.store.events.head()
    # Answers that were only ever compared need no ratings: people judge them as pairs.
    compared = {item for pair in pairs for item in (pair.better, pair.worse)}
    words = find_item_words(consensus, person_id, [result.item for result in results])

    def item(result: ItemResult) -> JsonObject:
        return _axis_item_view(result, words[result.item], is_visible=result.item in visible_items)

    return {
        "object": "consensus",
        "run": record.sequence,
        "as_of_utc": snapshot.as_of_utc,
        "snapshot": record.snapshot_sha256,
        "log_head": head.hash,
        "entries": head.sequence,
        "code": record.code_hash,
        "parameters": record.parameters_hash,
        "raters": {name: snapshot.raters.get(name, 0) for name in _RATER_COUNTS},
        "division": {
            "seen": division.seen,
            "strength": division.strength,
            "chance": division.chance,
            "distance": division.distance,
            "degree": snapshot.visible_division.degree,
        },
        "two_sides": snapshot.crowd.two_sides,
        "sides": _side_views(snapshot, visible, words, item),
        "counts": Counter(display_status(result) for result in results if result.judged or result.item not in compared),
        "learnable": sum(1 for result in results if result.weight > 0.0),
        "summary": explain_snapshot(snapshot),
        "items": [item(result) for result in results[:limit]],
        "has_more": len(results) > limit,
        "bridges": [result.item for result in bridges if result.bridging > 0.5][:_NUM_STRONGEST],
        "divides": _most_divided(snapshot, visible),
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
    pairs = [pair for pair in consensus.latest_run.snapshot.pairs if item in (pair.better, pair.worse)] if status["score"] else []
    others = [pair.worse if pair.better == item else pair.better for pair in pairs]
    words = find_item_words(consensus, person_id, [item, *others])
    return {
        "object": "consensus.item",
        **words[item].view(excerpt=False),
        "standing": status,
        "pairs": [_pair_view(pair, words[other]) for pair, other in zip(pairs, others, strict=True)],
    }


def _axis_item_view(result: ItemResult, words: ItemWords, *, is_visible: bool) -> JsonObject:
    return {
        "item": result.item,
        "status": result.status,
        "display_status": display_status(result) if is_visible else result.status,
        "reason": result.reason,
        "judged": result.judged if is_visible else None,
        "approval": result.approval if is_visible else None,
        "axis": result.axis if is_visible else None,
        "bridging": result.bridging if is_visible else None,
        "gap": _gap(result) if is_visible else None,
        **words.view(),
    }


def _side_views(
    snapshot: Snapshot, visible: Sequence[ItemResult], words: Mapping[str, ItemWords], view: Callable[[ItemResult], JsonObject]
) -> list[JsonObject]:
    """Both sides, described by items whose score the person may see; empty where the run shows no two sides."""
    if not snapshot.crowd.two_sides:
        return []
    results = {result.item: result for result in visible if words[result.item].text is not None}
    return [
        {"people": snapshot.raters.get(f"side_{side}", 0), "likes": [view(results[item]) for item in likes]}
        for side, likes in enumerate(find_telling_items(snapshot, results))
    ]


def _most_divided(snapshot: Snapshot, visible: Sequence[ItemResult]) -> list[str]:
    if snapshot.crowd.two_sides:
        divided = sorted(
            (result for result in visible if display_status(result) == PEOPLE_ARE_DIVIDED or _is_open_between_sides(result)),
            key=lambda result: (-_gap(result), result.item),
        )
    else:
        balances = {
            result.item: abs(result.approval / result.judged - 0.5)
            for result in visible
            if result.judged and display_status(result) == PEOPLE_ARE_DIVIDED
        }
        divided = sorted(
            (result for result in visible if result.item in balances), key=lambda result: (balances[result.item], result.item)
        )
    return [result.item for result in divided[:_NUM_STRONGEST]]


def _is_open_between_sides(result: ItemResult) -> bool:
    first, second = result.sides
    are_opposed = (first.estimate - 0.5) * (second.estimate - 0.5) < 0.0
    return result.status == NEEDS_MORE and are_opposed and min(first.ratings, second.ratings) > 0


def _gap(result: ItemResult) -> float:
    return abs(result.sides[0].estimate - result.sides[1].estimate)


def _pair_view(pair: ConsensusPair, other: ItemWords) -> JsonObject:
    return {
        "better": pair.better,
        "worse": pair.worse,
        "other": other.view(),
        "q": pair.q,
        "weight": pair.weight,
        "reason": pair.reason,
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
