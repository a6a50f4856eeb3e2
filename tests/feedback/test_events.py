"""Events as data, and the state of a log prefix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from yearling.errors import BadInput, Untrusted
from yearling.feedback import (
    Comparison,
    Edit,
    FeedbackEvent,
    JuryInvitation,
    Note,
    NoteRating,
    Rating,
    Removal,
    Retraction,
    StatusChange,
    Vouch,
    canonical_event_bytes,
    event_from_dict,
    event_to_dict,
    fold_events,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def rating(event_id: str, minute: int, *, actor: str = "ann", item: str = "x", value: float = 1.0) -> Rating:
    return Rating(id=event_id, created_utc=at(minute), actor=actor, item=item, value=value)


EVERY_KIND: list[FeedbackEvent] = [
    Rating(id="1", created_utc=at(1), actor="ann", item="x", value=0.5, tags=("clear", "küh")),
    NoteRating(id="2", created_utc=at(2), actor="bob", item="n", value=0.0),
    Comparison(id="3", created_utc=at(3), actor="bob", left="x", right="y", outcome="tie"),
    Edit(id="4", created_utc=at(4), actor="bob", item="x", result="x2", text_sha256="ab"),
    Note(id="5", created_utc=at(5), actor="ann", item="x", note="n"),
    Retraction(id="6", created_utc=at(6), actor="ann", event="1"),
    Removal(id="7", created_utc=at(7), actor="admin", event="3", reason="spam"),
    Vouch(id="8", created_utc=at(8), actor="ann", account="bob", person="p2"),
    JuryInvitation(id="9", created_utc=at(9), actor="system", item="x", jurors=("ann", "bob")),
    StatusChange(id="a", created_utc=at(10), actor="system", item="x", status="helpful", snapshot="ff"),
]


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: event.kind)
def test_event_round_trips_through_json(event: FeedbackEvent) -> None:
    assert event_from_dict(event_to_dict(event)) == event
    assert canonical_event_bytes(event_from_dict(event_to_dict(event))) == canonical_event_bytes(event)


def test_times_are_encoded_in_utc() -> None:
    from datetime import timezone

    east = rating("1", 0)
    moved = replace(east, created_utc=east.created_utc.astimezone(timezone(timedelta(hours=9))))
    assert canonical_event_bytes(moved) == canonical_event_bytes(east)
    assert event_to_dict(east)["created_utc"] == "2026-03-01T12:00:00.000000Z"


def test_invalid_events_are_rejected_with_the_reason() -> None:
    with pytest.raises(BadInput, match=r"0, 0\.5 or 1"):
        rating("1", 0, value=0.7)
    with pytest.raises(BadInput, match="time zone"):
        Rating(id="1", created_utc=datetime(2026, 1, 1), actor="a", item="x", value=1.0)
    with pytest.raises(BadInput, match="itself"):
        Comparison(id="1", created_utc=T0, actor="a", left="x", right="x", outcome="left")
    with pytest.raises(BadInput, match="reason"):
        Removal(id="1", created_utc=T0, actor="a", event="2", reason=" ")
    with pytest.raises(BadInput, match="Unknown kind"):
        event_from_dict({"kind": "applause"})
    with pytest.raises(BadInput, match="no field"):
        event_from_dict({**event_to_dict(rating("1", 0)), "name": "Ann"})
    with pytest.raises(BadInput, match="incomplete"):
        event_from_dict({"kind": "rating", "id": "1", "created_utc": "2026-01-01T00:00:00Z", "actor": "a"})


def test_last_rating_of_an_item_counts_and_the_first_is_listed_as_dropped() -> None:
    state = fold_events([rating("1", 0, value=0.0), rating("2", 5, value=1.0)])
    assert [(r.id, r.value) for r in state.ratings] == [("2", 1.0)]
    assert [(d.event, d.reason) for d in state.dropped] == [("1", "replaced by a later one")]


def test_comparison_in_reverse_order_replaces_the_first() -> None:
    first = Comparison(id="1", created_utc=at(0), actor="a", left="x", right="y", outcome="left")
    second = Comparison(id="2", created_utc=at(1), actor="a", left="y", right="x", outcome="left")
    assert fold_events([second, first]).comparisons == (second,)


def test_retracting_a_correction_restores_the_first_rating() -> None:
    first, second = rating("1", 0, value=0.0), rating("2", 1, value=1.0)
    retraction = Retraction(id="3", created_utc=at(2), actor="ann", event="2")
    assert fold_events([first, retraction]).ratings == (first,)
    assert fold_events([first, second, retraction]).ratings == (first,)


def test_only_the_author_can_retract() -> None:
    state = fold_events([rating("1", 0), Retraction(id="2", created_utc=at(1), actor="eve", event="1")])
    assert len(state.ratings) == 1
    assert [d.reason for d in state.dropped] == ["retracts an act of somebody else"]


def test_retraction_of_a_later_event_is_void() -> None:
    state = fold_events([rating("1", 5), Retraction(id="2", created_utc=at(1), actor="ann", event="1")])
    assert len(state.ratings) == 1
    assert [d.reason for d in state.dropped] == ["names no earlier event"]


def test_removal_is_visible_and_cannot_be_retracted() -> None:
    removal = Removal(id="2", created_utc=at(1), actor="admin", event="1", reason="doxxing")
    state = fold_events([rating("1", 0), removal, Retraction(id="3", created_utc=at(2), actor="admin", event="2")])
    assert state.ratings == ()
    assert state.removals == (removal,)
    assert {(d.event, d.reason) for d in state.dropped} == {
        ("1", "removed by an administrator"),
        ("3", "a removal cannot be taken back"),
    }


def test_two_events_with_one_id_are_rejected() -> None:
    with pytest.raises(Untrusted, match="Two different"):
        fold_events([rating("1", 0), rating("1", 0, value=0.0)])
