"""Acts and their permissions, recorded runs, and the live consensus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import add_answers, append_events, open_feedback_log, publish, simulate_events
from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback import (
    NEEDS_MORE,
    Admission,
    FeedbackEvent,
    FeedbackLog,
    LiveConsensus,
    NoteRating,
    Rating,
    RecordedConsensusRun,
    StatusChange,
    event_from_dict,
    event_to_dict,
    load_latest_run,
    run_and_record,
    run_consensus,
    update_item_result,
)
from yearling.feedback import consensus_runs as consensus_runs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


def add_people(log: FeedbackLog, *names: str) -> list[str]:
    return [log.store.people.add(name).id for name in names]


def wait_until(check: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_every_act_is_one_event_under_a_pseudonym(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    first, second = add_answers(log, ada)
    rating = log.rate(ada, first, 1, tags=["clear", "brief", "clear"])
    comparison = log.compare(ada, first, second, "tie")
    note = log.add_note(ada, first, "The figure is from 2019.")
    events: list[FeedbackEvent] = [
        rating,
        comparison,
        note,
        log.add_edit(ada, second, "Better words."),
        log.rate_note(ben, note.note, 0.5),
        log.remove(log.store.people.owner().id, rating.id, "spam"),
        log.retract(ada, comparison.id),
    ]
    entries = log.store.events.entries()
    logged = [event_from_dict(entry.event) for entry in entries]
    assert [event for event in logged if not isinstance(event, Admission)] == events
    admissions = [event for event in logged if isinstance(event, Admission)]
    assert [(one.account, one.basis) for one in admissions] == [(log.pseudonym(person), "invitation") for person in (ada, ben)]
    assert rating.tags == ("brief", "clear")
    assert isinstance(events[4], NoteRating)
    assert [event.created_utc for event in events] == sorted({event.created_utc for event in events})
    text = str([entry.event for entry in entries])
    for secret in ("Ada", "Ben", "The figure", "Better", ada, ben):
        assert secret not in text
    assert log.store.texts.get(note.note).content == {"text": "The figure is from 2019."}
    assert log.store.texts.get(note.note).sha256 == note.text_sha256
    state = run_consensus(events).state
    assert not [dropped for dropped in state.dropped if dropped.reason not in ("retracted", "removed by an administrator")]


def test_pseudonyms_are_stable_and_differ_between_installations(log: FeedbackLog, tmp_path: Path) -> None:
    (ada,) = add_people(log, "Ada")
    again = FeedbackLog(log.store)
    assert again.pseudonym(ada) == log.pseudonym(ada)
    with open_feedback_log(tmp_path / "other") as other:
        assert other.pseudonym(ada) != log.pseudonym(ada)
    assert log.pseudonym(ada) != log.pseudonym(ada + "x")


def test_unknown_items_cannot_be_judged(log: FeedbackLog) -> None:
    (ada,) = add_people(log, "Ada")
    (own_answer,) = add_answers(log, ada, 1)
    for attempt in (
        lambda: log.rate(ada, "nothing", 1),
        lambda: log.compare(ada, own_answer, "nothing", "left"),
        lambda: log.add_note(ada, "nothing", "words"),
        lambda: log.add_edit(ada, "nothing", "words"),
        lambda: log.rate_note(ada, own_answer, 1),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert log.store.events.head().sequence == 0


def test_only_those_who_may_read_an_answer_can_judge_it(log: FeedbackLog) -> None:
    """Judgements are public, the answers that they are about are not."""
    ada, ben = add_people(log, "Ada", "Ben")
    answer, public = add_answers(log, ada)
    (other,) = add_answers(log, ben, 1)
    log.rate(ada, answer, 1)
    log.compare(ada, answer, public, "left")
    log.add_note(ada, answer, "words")
    edit = log.add_edit(ada, answer, "better words")
    sequence = log.store.events.head().sequence
    for attempt in (
        lambda: log.rate(ben, answer, 0),
        lambda: log.compare(ben, answer, other, "left"),
        lambda: log.compare(ben, other, answer, "right"),
        lambda: log.add_note(ben, answer, "words"),
        lambda: log.add_edit(ben, answer, "words"),
    ):
        with pytest.raises(NotFound):
            attempt()
    with pytest.raises(Conflict, match="private"):
        log.require_can_invite_jury(log.store.people.owner().id, answer)
    assert log.store.events.head().sequence == sequence
    publish(log, public)
    log.rate(ben, public, 0)
    log.compare(ben, other, public, "left")
    log.rate(ben, edit.result, 1)
    log.require_can_invite_jury(log.store.people.owner().id, public)
    log.store.texts.delete(edit.result, actor="test")
    with pytest.raises(NotFound):
        log.rate(ben, edit.result, 0)


@pytest.mark.parametrize("item", ["", "x\0", "a\nb", "\ud800", "x" * 201])
def test_invalid_item_ids_are_rejected(log: FeedbackLog, item: str) -> None:
    with pytest.raises(BadInput):
        log.rate(log.store.people.owner().id, item, 1)


def test_invalid_values_tags_and_texts_are_rejected(log: FeedbackLog) -> None:
    (ada,) = add_people(log, "Ada")
    first, second = add_answers(log, ada)
    for attempt in (
        lambda: log.rate(ada, first, 0.7),
        lambda: log.rate(ada, first, 1, tags=["Mr Smith lied"]),
        lambda: log.rate(ada, first, 1, tags=[f"t{number}" for number in range(11)]),
        lambda: log.compare(ada, first, first, "left"),
        lambda: log.compare(ada, first, second, "both"),  # type: ignore[arg-type]
        lambda: log.add_note(ada, first, " \n"),
        lambda: log.add_note(ada, first, "x" * 6000),
    ):
        with pytest.raises(BadInput):
            attempt()
    assert log.store.events.head().sequence == 0
    assert log.store.texts.list() == []


def test_own_text_cannot_be_judged(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    (answer,) = add_answers(log, ada, 1)
    note, edit = log.add_note(ada, answer, "words"), log.add_edit(ada, answer, "more words")
    for attempt in (
        lambda: log.rate_note(ada, note.note, 1),
        lambda: log.rate(ada, edit.result, 1),
        lambda: log.compare(ada, answer, edit.result, "right"),
    ):
        with pytest.raises(Conflict):
            attempt()
    log.rate_note(ben, note.note, 1)
    log.rate(ada, answer, 1)
    log.rate(ben, edit.result, 1)
    with pytest.raises(BadInput):
        log.add_note(ben, note.note, "a note on a note")


def test_people_can_retract_only_their_own_acts(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    (answer,) = add_answers(log, ada, 1)
    rating = log.rate(ada, answer, 1)
    note = log.add_note(ada, answer, "private words")
    for event_id in (rating.id, note.id, "nothing"):
        with pytest.raises(NotFound):
            log.retract(ben, event_id)
    assert log.store.events.head().sequence == 3, "a rating, an admission and a note"
    retraction = log.retract(ada, rating.id)
    log.retract(ada, note.id)
    for event_id in (rating.id, note.id, retraction.id):
        with pytest.raises(Conflict):
            log.retract(ada, event_id)
    assert not log.index.has_rated(log.pseudonym(ada), answer)
    with pytest.raises(NotFound):
        log.store.texts.get(note.note)
    with pytest.raises(NotFound):
        log.rate_note(ben, note.note, 1)
    assert log.store.events.verify().broken_at is None
    log.rate(ada, answer, 0)
    assert log.index.has_rated(log.pseudonym(ada), answer)


def test_only_administrators_can_remove_and_need_a_reason(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    owner = log.store.people.owner().id
    (answer,) = add_answers(log, ada, 1)
    note = log.add_note(ada, answer, "an address")
    with pytest.raises(NotFound, match="administrator"):
        log.remove(ben, note.id, "I dislike it")
    with pytest.raises(BadInput, match="reason"):
        log.remove(owner, note.id, " ")
    removal = log.remove(owner, note.id, "private data", delete_text=True)
    assert removal.reason in str(log.list_entries()[-1].event)
    assert log.store.texts.list() == []
    with pytest.raises(Conflict):
        log.remove(owner, note.id, "again")


def test_event_times_follow_the_order_of_acts_if_the_clock_is_behind(log: FeedbackLog) -> None:
    (ada,) = add_people(log, "Ada")
    (answer,) = add_answers(log, ada, 1)
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    early = Rating(id=new_id(), created_utc=ahead, actor=log.pseudonym(ada), item=answer, value=1.0)
    log.store.events.append([event_to_dict(early)])
    log.retract(ada, early.id)
    events = [event_from_dict(entry.event) for entry in log.store.events.entries()]
    assert {dropped.reason for dropped in run_consensus(events).state.dropped} == {"retracted"}


def test_run_is_recorded_once_and_logs_status_changes(log: FeedbackLog) -> None:
    append_events(log, simulate_events())
    first = run_and_record(log.store, log.index)
    changes = [event_from_dict(entry.event) for entry in log.store.events.entries(after=first.record.up_to)]
    assert first.is_new
    assert first.status_changes
    assert {change.item: change.status for change in changes if isinstance(change, StatusChange)} == dict(first.status_changes)
    assert {change.actor for change in changes} == {"yearling"}
    assert {change.snapshot for change in changes if isinstance(change, StatusChange)} == {first.snapshot.hash}
    again = run_and_record(log.store, log.index)
    assert (again.is_new, again.record, again.snapshot) == (False, first.record, first.snapshot)
    recorded = load_latest_run(log.store)
    assert recorded is not None
    assert recorded.snapshot == first.snapshot
    assert recorded.snapshot.canonical_bytes() == first.snapshot.canonical_bytes()
    assert log.store.verify().ok
    # The next act leads to a new run, in which the earlier statuses are kept.
    (ada,) = add_people(log, "Ada")
    log.rate(ada, "i1", 1)
    second = run_and_record(log.store, log.index)
    assert second.is_new
    assert second.record.sequence == 2
    assert {item.item: item.previous for item in second.snapshot.items if item.item in first.status_changes} == dict(
        first.status_changes
    )


def test_run_overtaken_by_another_is_repeated(log: FeedbackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    append_events(log, simulate_events())
    other = FeedbackLog(log.store)
    races: list[bool] = []

    def slow(events: Any, parameters: Any) -> Any:
        result = run_consensus(events, parameters)
        if not races:
            races.append(True)
            run_and_record(other.store, other.index)
        return result

    monkeypatch.setattr(consensus_runs, "run_consensus", slow)
    finished = run_and_record(log.store, log.index)
    assert (finished.is_new, finished.record.sequence) == (False, 1)
    statuses = [entry.event for entry in log.store.events.entries() if entry.event["kind"] == "status_change"]
    assert len({status["item"] for status in statuses}) == len(statuses)


@pytest.mark.slow
def test_rating_updates_its_item_until_the_full_run_replaces_the_result(log: FeedbackLog) -> None:
    events = simulate_events(num_raters=60)
    rest = [event for event in events if getattr(event, "item", "") == "i3"][-8:]
    append_events(log, [event for event in events if event not in rest])
    live = LiveConsensus(log)
    live.run_now()
    before = live.item_status("i3")
    assert (before.result, before.is_provisional) == (live.latest_run.snapshot.find_item("i3"), False)
    others = {item.item: item for item in live.latest_run.snapshot.items if item.item != "i3"}
    append_events(log, rest)
    started = time.perf_counter()
    provisional_status = live.item_status("i3")
    assert time.perf_counter() - started < 1.0
    assert provisional_status.is_provisional
    assert provisional_status.result is not None
    assert before.result is not None
    gained = sum(side.ratings for side in provisional_status.result.sides) - sum(side.ratings for side in before.result.sides)
    assert 0 < gained <= len(rest)  # a rater may be new and wait for the full run
    assert live.latest_run.result is not None
    assert provisional_status.result == update_item_result(live.latest_run.result, "i3", live.log.index.events_about("i3"))
    assert {item.item: item for item in live.item_results() if item.item != "i3"} == others
    finished = live.run_now()
    full_status = live.item_status("i3")
    assert not full_status.is_provisional
    assert full_status.result == finished.snapshot.find_item("i3")
    # The result equals that of a log that held all events from the start.
    acts = [event for event in log.index.events() if not isinstance(event, StatusChange)]
    recomputed = run_consensus(acts).snapshot.find_item("i3")
    assert recomputed is not None
    assert full_status.result is not None
    assert full_status.result.sides == recomputed.sides


def test_retraction_updates_its_item_at_once(log: FeedbackLog) -> None:
    (ada,) = add_people(log, "Ada")
    append_events(log, simulate_events())
    live = LiveConsensus(log)
    ratings = [log.rate(ada, f"i{number}", 1) for number in range(14)]
    live.run_now()
    before = live.item_status("i13").result
    log.retract(ada, ratings[13].id)
    after = live.item_status("i13")
    assert after.is_provisional
    assert before is not None
    assert after.result is not None
    assert sum(side.ratings for side in after.result.sides) == sum(side.ratings for side in before.sides) - 1


@pytest.mark.slow
def test_background_runs_follow_acts_of_other_writers(log: FeedbackLog, tmp_path: Path) -> None:
    live = LiveConsensus(log, interval_s=0.05)
    live.start()
    try:
        assert log.store.consensus_runs.get_newest() is None  # the log is empty
        append_events(log, simulate_events())
        live.request_run()
        wait_until(lambda: log.store.consensus_runs.get_newest() is not None)
        wait_until(lambda: live.item_status("i1").result is not None and not live.item_status("i1").is_provisional)
        append_events(
            log,
            [replace(event, id=f"x{event.id}") for event in simulate_events(seed=9) if getattr(event, "item", "") == "i1"][:3],
        )
        assert live.item_status("i1").is_provisional  # reading the log shows the change, and a run follows
        wait_until(lambda: not live.item_status("i1").is_provisional)
    finally:
        live.close()


def test_unrated_note_has_a_status(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    (answer,) = add_answers(log, ada, 1)
    live = LiveConsensus(log)
    assert live.item_status("unheard of").status == NEEDS_MORE
    note = log.add_note(ada, answer, "words")
    assert live.item_status(note.note).status == NEEDS_MORE
    log.rate_note(ben, note.note, 1)
    assert live.item_status(note.note).is_provisional
    live.run_now()
    assert live.item_status(note.note).reason == "no_quorum"
    assert live.has_rated_or_written(ada, note.note)
    assert live.has_rated_or_written(ben, note.note)
    assert not live.has_rated_or_written(log.store.people.owner().id, note.note)


def test_queue_omits_rated_and_own_items(log: FeedbackLog) -> None:
    ada, ben = add_people(log, "Ada", "Ben")
    first, second = add_answers(log, ada)
    note = log.add_note(ada, first, "words")
    withdrawn_note = log.add_note(ada, first, "other words")
    log.rate(ada, first, 1)
    log.rate(ada, second, 1)
    log.retract(ada, withdrawn_note.id)
    live = LiveConsensus(log)
    assert [wanted.item for wanted in live.rating_queue(ada)] == []
    assert {wanted.item for wanted in live.rating_queue(ben)} == {note.note}  # the answers are private
    publish(log, first, second)
    assert {wanted.item for wanted in live.rating_queue(ben)} == {first, second, note.note}
    log.rate(ben, first, 0)
    assert {wanted.item for wanted in live.rating_queue(ben)} == {second, note.note}
    assert len(live.rating_queue(ben, limit=1)) == 1


def test_recorded_run_can_be_computed_again_with_fits(log: FeedbackLog) -> None:
    append_events(log, simulate_events())
    first = run_and_record(log.store, log.index)
    fresh = FeedbackLog(log.store)
    again: RecordedConsensusRun = run_and_record(fresh.store, fresh.index, need_fits=True)
    assert again.result is not None
    assert first.result is not None
    assert again.result.snapshot.canonical_bytes() == first.snapshot.canonical_bytes()
    assert again.result.state.statuses == first.result.state.statuses
