"""Which judgements count after a prefix of the event log, and why the others do not.

Reads the entries of the log as plain data. Retractions, removals and replaced judgements follow the rules that the consensus uses
(`yearling/store/learning/retraction_rules.py`). What people agree on is decided by the consensus, never here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.errors import Conflict
from yearling.store import REPLACED_BY_LATER, WITHDRAWAL_KINDS, judgement_subject, latest_judgements, void_acts

JUDGEMENT_KINDS = ("rating", "note_rating", "comparison", "edit", "note")
"""Judgements of answers and notes. All other events concern people or statuses."""

EventMapping = Mapping[str, Any]
ItemPair = tuple[str, str]
"""Two items, ordered by id."""


@dataclass(slots=True)
class ActiveJudgements:
    """The judgements that count, and why the others do not."""

    ratings: dict[str, list[EventMapping]] = field(default_factory=dict)
    """By item; ratings of notes are listed under the note."""
    comparisons: dict[ItemPair, list[EventMapping]] = field(default_factory=dict)
    edits: list[EventMapping] = field(default_factory=list)
    note_items: set[str] = field(default_factory=set)
    """Items that are notes, withdrawn or not."""
    withdrawn_edits: set[str] = field(default_factory=set)
    """Items that are withdrawn edits."""
    drop_reasons: dict[str, str] = field(default_factory=dict)
    """The reason for each judgement that does not count, by event id."""
    judgement_counts: Counter[str] = field(default_factory=Counter)
    """Number of all judgements, by kind."""
    other_event_counts: Counter[str] = field(default_factory=Counter)
    """Number of other events, by kind."""
    raters: set[str] = field(default_factory=set)
    """People with a rating or comparison that counts."""


def make_item_pair(first: str, second: str) -> ItemPair:
    """Return two items as a key, whatever their order."""
    return (first, second) if first < second else (second, first)


@dataclass(frozen=True, slots=True)
class _Act:
    """The fields of an entry that the retraction rules read, and the entry itself."""

    id: str
    kind: str
    actor: str
    event: EventMapping


def find_active_judgements(entries: Iterable[tuple[int, EventMapping]], *, up_to: int) -> ActiveJudgements:
    """Return the judgements that count after the entries (sequence, event) with a sequence of at most `up_to`.

    Later judgements wait for the next consensus run. Raises Conflict if an act was withdrawn after `up_to`, because the consensus
    run then includes judgements that no longer count.
    """
    result, acts = ActiveJudgements(), list[_Act]()
    for sequence, event in entries:
        kind = event["kind"]
        (result.judgement_counts if kind in JUDGEMENT_KINDS else result.other_event_counts)[kind] += 1
        if sequence <= up_to:
            acts.append(_Act(event["id"], kind, event["actor"], event))
        elif kind in WITHDRAWAL_KINDS:
            raise Conflict(
                "A judgement was withdrawn after the newest consensus run.",
                advice="Run `yearling consensus run` first, so that no lesson contains it.",
            )
        elif kind in JUDGEMENT_KINDS:
            result.drop_reasons[event["id"]] = "newer_than_the_consensus_run"
    # In log order, as the consensus sorts: times have a fixed width, so text sorts as time does.
    acts.sort(key=lambda act: (act.event["created_utc"], act.id))
    void_reasons = void_acts(acts, _withdrawn_id)
    for act in acts:
        if act.kind == "note":
            result.note_items.add(act.event["note"])
        if act.kind not in JUDGEMENT_KINDS:
            continue
        if act.id in void_reasons:
            result.drop_reasons[act.id] = void_reasons[act.id]
            if act.kind == "edit":
                result.withdrawn_edits.add(act.event["result"])
        elif act.kind == "edit":
            result.edits.append(act.event)
        elif act.kind == "note":
            result.drop_reasons[act.id] = "about_a_note"
    latest, replaced = latest_judgements(acts, void_reasons, _judged_subject)
    for act in replaced:
        result.drop_reasons[act.id] = REPLACED_BY_LATER
    for act in latest:
        if act.kind == "comparison":
            result.comparisons.setdefault(make_item_pair(act.event["left"], act.event["right"]), []).append(act.event)
        else:
            result.ratings.setdefault(act.event["item"], []).append(act.event)
        result.raters.add(act.actor)
    return result


def _withdrawn_id(act: _Act) -> str:
    return str(act.event["event"])


def _judged_subject(act: _Act) -> tuple[str, ...] | None:
    if act.kind == "comparison":
        return judgement_subject(act.actor, act.event["left"], act.event["right"])
    return judgement_subject(act.actor, act.event["item"]) if act.kind in ("rating", "note_rating") else None
