"""Active judgements equal those that the consensus reads, whatever the acts and their order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yearling.errors import Conflict
from yearling.feedback import (
    Comparison,
    Edit,
    FeedbackEvent,
    Note,
    NoteRating,
    Rating,
    Removal,
    Retraction,
    Vouch,
    event_to_dict,
    fold_events,
)
from yearling.tasks.active_judgements import JUDGEMENT_KINDS, find_active_judgements

T0 = datetime(2026, 3, 1, tzinfo=UTC)
REASONS = {
    "retracted": "retracted",
    "removed by an administrator": "removed_by_an_administrator",
    "replaced by a later one": "replaced_by_a_later_one",
}


@st.composite
def logs(draw: st.DrawFn) -> list[FeedbackEvent]:
    """Return a log of few people and items, in which acts replace, retract and remove each other, some without effect."""
    events: list[FeedbackEvent] = []
    for number in range(draw(st.integers(0, 25))):
        values: dict[str, Any] = {
            "id": f"e{draw(st.integers(0, 9))}-{number}",
            "created_utc": T0 + timedelta(minutes=draw(st.integers(0, 6))),
            "actor": draw(st.sampled_from("abc")),
        }
        items = draw(st.permutations("xyz"))
        event_class = draw(st.sampled_from([Rating, Comparison, Edit, Note, NoteRating, Retraction, Removal, Vouch]))
        target = draw(st.sampled_from(events)).id if events else "nothing"
        fields: dict[Any, dict[str, Any]] = {
            Rating: {"item": items[0], "value": draw(st.sampled_from([0.0, 0.5, 1.0]))},
            NoteRating: {"item": "n", "value": 1.0},
            Comparison: {"left": items[0], "right": items[1], "outcome": draw(st.sampled_from(["left", "right", "tie"]))},
            Edit: {"item": items[0], "result": f"{items[0]}{number}"},
            Note: {"item": items[0], "note": "n"},
            Retraction: {"event": target},
            Removal: {"event": target, "reason": "spam"},
            Vouch: {"account": "b", "person": "h"},
        }
        events.append(event_class(**values, **fields[event_class]))
    return events


@pytest.mark.slow
@settings(max_examples=30)
@given(logs(), st.randoms(use_true_random=False))
def test_active_judgements_equal_those_of_the_consensus(events: list[FeedbackEvent], rng: random.Random) -> None:
    state = fold_events(events)
    shuffled = list(events)
    rng.shuffle(shuffled)
    active = find_active_judgements(
        ((number, event_to_dict(event)) for number, event in enumerate(shuffled, start=1)), up_to=len(events)
    )
    assert {event["id"] for events in active.ratings.values() for event in events} == {event.id for event in state.ratings}
    compared = {event["id"] for events in active.comparisons.values() for event in events}
    assert compared == {event.id for event in state.comparisons}
    assert {event["id"] for event in active.edits} == {event.id for event in state.edits}
    kinds = {event.id: event.kind for event in events}
    expected = {one.event: REASONS[one.reason] for one in state.dropped if kinds[one.event] in JUDGEMENT_KINDS}
    assert {event: reason for event, reason in active.drop_reasons.items() if reason != "about_a_note"} == expected
    assert active.raters == {event.actor for event in (*state.ratings, *state.comparisons)}
    assert active.judgement_counts.total() + active.other_event_counts.total() == len(events)


def test_retraction_after_the_run_is_a_conflict() -> None:
    rating = Rating(id="1", created_utc=T0, actor="a", item="x", value=1.0)
    later = Rating(id="2", created_utc=T0, actor="a", item="y", value=1.0)
    retraction = Retraction(id="3", created_utc=T0 + timedelta(minutes=1), actor="a", event="1")
    entries = [(number, event_to_dict(event)) for number, event in enumerate((rating, later, retraction), start=1)]
    assert find_active_judgements(entries[:2], up_to=1).drop_reasons == {"2": "newer_than_the_consensus_run"}
    with pytest.raises(Conflict):
        find_active_judgements(entries, up_to=2)
    assert find_active_judgements(entries, up_to=3).drop_reasons == {"1": "retracted"}
