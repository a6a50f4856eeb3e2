"""Which judgements stand after a prefix of the event log, and why the others do not.

Reads the log's entries as plain data. The rules are those by which the consensus reads the log (`feedback/events.py`, `fold`); a
test holds the two against each other. What anybody agrees on is decided there, never here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.errors import Conflict

JUDGEMENT_KINDS = ("rating", "note_rating", "comparison", "edit", "note")
"""What people say of answers and of notes; everything else in the log is about people and about statuses."""

RETRACTING_KINDS = ("retraction", "removal")

EventMapping = Mapping[str, Any]
ItemPair = tuple[str, str]
"""Two items, in the order of their ids."""


@dataclass(slots=True)
class ActiveJudgements:
    """The judgements that stand, and what became of the rest."""

    ratings: dict[str, list[EventMapping]] = field(default_factory=dict)
    """By item. Note ratings are among them, under the note."""
    comparisons: dict[ItemPair, list[EventMapping]] = field(default_factory=dict)
    edits: list[EventMapping] = field(default_factory=list)
    note_items: set[str] = field(default_factory=set)
    """Items that are notes, whether they stand or not."""
    withdrawn_edits: set[str] = field(default_factory=set)
    """Items that are edits which were taken back."""
    drop_reasons: dict[str, str] = field(default_factory=dict)
    """Judgements that do not stand, by id, with the reason."""
    judgement_counts: Counter[str] = field(default_factory=Counter)
    """All judgements, by kind."""
    other_event_counts: Counter[str] = field(default_factory=Counter)
    """Events that are no judgements, by kind."""
    raters: set[str] = field(default_factory=set)
    """Who rated or compared something and stands by it."""


def make_item_pair(first: str, second: str) -> ItemPair:
    """Two items as the key of what was said of both."""
    return (first, second) if first < second else (second, first)


def find_active_judgements(entries: Iterable[tuple[int, EventMapping]], *, up_to: int) -> ActiveJudgements:
    """What stands after the entries (sequence, event) with a sequence of at most `up_to`; later judgements wait.

    Raises Conflict when something was taken back later than `up_to`: what the consensus found then holds what is no longer said.
    """
    found, counted = ActiveJudgements(), list[EventMapping]()
    for sequence, event in entries:
        kind = event["kind"]
        (found.judgement_counts if kind in JUDGEMENT_KINDS else found.other_event_counts)[kind] += 1
        if sequence <= up_to:
            counted.append(event)
        elif kind in RETRACTING_KINDS:
            raise Conflict(
                "Something was taken back since the newest consensus run.",
                advice="Run `yearling consensus run` first, so that nothing of it is learnt.",
            )
        elif kind in JUDGEMENT_KINDS:
            found.drop_reasons[event["id"]] = "newer_than_the_consensus_run"
    # As the consensus does: the order of acts is that of their times.
    ordered = sorted(counted, key=lambda event: (event["created_utc"], event["id"]))
    gone = _retracted_events(ordered)
    last: dict[tuple[str, ...], EventMapping] = {}
    for event in ordered:
        kind, event_id = event["kind"], event["id"]
        if kind == "note":
            found.note_items.add(event["note"])
        if kind not in JUDGEMENT_KINDS:
            continue
        if event_id in gone:
            found.drop_reasons[event_id] = gone[event_id]
            if kind == "edit":
                found.withdrawn_edits.add(event["result"])
        elif kind == "edit":
            found.edits.append(event)
        elif kind == "note":
            found.drop_reasons[event_id] = "about_a_note"
        else:
            subject = (event["item"],) if kind != "comparison" else make_item_pair(event["left"], event["right"])
            before = last.get((event["actor"], *subject))
            if before is not None:
                found.drop_reasons[before["id"]] = "replaced_by_a_later_one"
            last[(event["actor"], *subject)] = event
    for event in last.values():
        if event["kind"] == "comparison":
            found.comparisons.setdefault(make_item_pair(event["left"], event["right"]), []).append(event)
        else:
            found.ratings.setdefault(event["item"], []).append(event)
        found.raters.add(event["actor"])
    return found


def _retracted_events(ordered: Iterable[EventMapping]) -> dict[str, str]:
    """Ids of acts that count as never done, with the reason."""
    by_id: dict[str, EventMapping] = {}
    gone: dict[str, str] = {}
    for event in ordered:
        target = by_id.get(event["event"]) if event["kind"] in RETRACTING_KINDS else None
        if target is not None and target["kind"] not in (*RETRACTING_KINDS, "status_change"):
            if event["kind"] == "removal":
                gone[target["id"]] = "removed_by_an_administrator"
            elif target["actor"] == event["actor"]:
                gone.setdefault(target["id"], "retracted")
        by_id[event["id"]] = event
    return gone
