"""A person's own acts out of one log and back in, or into another: once each, in their own name, never into the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import answers, opened
from tests.store.examples import make_sample
from yearling.clock import now_utc
from yearling.errors import BadInput
from yearling.feedback import (
    DefenceParameters,
    FeedbackLog,
    Note,
    Rating,
    event_from_dict,
    export_log_lines,
    export_own_acts,
    fold_events,
    import_feedback_file,
    import_own_acts,
)
from yearling.feedback.defences import compute_experience

T0 = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with opened(tmp_path / "data") as log:
        yield log


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FeedbackLog]:
    with opened(tmp_path / "other") as log:
        yield log


def acted(log: FeedbackLog) -> tuple[str, list[str]]:
    """Somebody who did one act of each kind and changed their mind once; with the answers they got."""
    ada = log.store.people.add("Ada").id
    items = answers(log, ada, 4)
    log.rate(ada, items[0], 0.0)
    log.rate(ada, items[0], 1.0, tags=["clear"])
    log.compare(ada, items[0], items[1], "left")
    log.add_note(ada, items[1], "The figure is from 2019. 你好")
    log.add_edit(ada, items[2], "Better words.")
    return ada, items


def arrived(log: FeedbackLog, items: list[str], name: str = "Ada") -> str:
    """Who got the same answers here, by an import."""
    person = log.store.people.add(name).id
    log.store.samples.add_many([make_sample(person, id=item) for item in items])
    return person


def rows(log: FeedbackLog, person_id: str) -> list[dict[str, Any]]:
    return list(export_own_acts(log, person_id))


def logged(log: FeedbackLog) -> list[Any]:
    return [event_from_dict(entry.event) for entry in log.store.events.entries()]


def test_what_the_log_has_is_known_and_only_its_words_come_back(log: FeedbackLog) -> None:
    ada, items = acted(log)
    before, head = rows(log, ada), log.store.events.head()
    assert [row["kind"] for row in before] == ["rating", "rating", "comparison", "note", "edit"]
    log.delete_own_texts(ada, items)
    assert "words" not in rows(log, ada)[3]
    done = import_own_acts(log, ada, before, {})
    assert (done.new, done.known, done.num_texts_restored, dict(done.skipped)) == (0, 5, 2, {})
    assert rows(log, ada) == before
    assert log.store.events.head() == head
    assert log.store.verify().ok


def test_words_come_back_only_if_they_are_the_same(log: FeedbackLog) -> None:
    ada, items = acted(log)
    before = rows(log, ada)
    log.delete_own_texts(ada, items)
    before[3]["words"] = {"text": "What I wish I had said."}
    del before[4]["salt"]
    assert import_own_acts(log, ada, before, {}).num_texts_restored == 0
    assert not any("words" in row for row in rows(log, ada))


def test_what_was_taken_back_stays_so(log: FeedbackLog) -> None:
    ada, _ = acted(log)
    before = rows(log, ada)
    for at in (1, 3):
        log.retract(ada, before[at]["id"])
    log.remove(log.store.people.owner().id, before[4]["id"], "spam", delete_text=True)
    done = import_own_acts(log, ada, before, {})
    assert (done.new, done.known, done.num_texts_restored) == (0, 5, 0)
    assert len(log.index.events()) == 8
    assert not any("words" in row for row in rows(log, ada))


def test_in_another_log_acts_are_imports_of_today_with_their_past_as_a_claim(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = acted(log)
    begun, sent = now_utc(), rows(log, ada)
    here = arrived(other, items)
    done = import_own_acts(other, here, sent, {})
    assert (done.new, done.known, dict(done.skipped)) == (5, 0, {})
    events = logged(other)
    assert {event.actor for event in events} == {other.pseudonym(here)}
    assert all(event.created_utc >= begun for event in events), "nothing is written into the past"
    assert [event.origin for event in events] == [row["id"] for row in sent]
    assert [event.acted_utc for event in events] == [row["created_utc"] for row in sent]
    assert not {event.id for event in events} & {row["id"] for row in sent}, "nobody chooses an id in the log"
    assert [(one.item, one.value) for one in fold_events(events).ratings] == [(items[0], 1.0)], "each counts once"
    assert rows(other, here) == sent, "and from there it goes on the same"
    again = import_own_acts(other, here, sent, {})
    assert (again.new, again.known) == (0, 5)
    back = import_own_acts(log, ada, rows(other, here), {})
    assert (back.new, back.known, back.num_texts_restored) == (0, 5, 0)


def test_an_act_is_taken_back_by_the_id_that_it_had(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = acted(log)
    sent = rows(log, ada)
    here = arrived(other, items)
    import_own_acts(other, here, sent, {})
    other.retract(here, sent[1]["id"])
    assert [one.value for one in fold_events(logged(other)).ratings] == [0.0]


def test_nobody_gets_an_act_twice_by_a_second_account(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = acted(log)
    sent, begun = rows(log, ada), len(logged(log))
    eve = log.store.people.add("Eve").id
    done = import_own_acts(log, eve, sent, {item: item for item in items})
    assert dict(done.skipped) == {"the log has it under another account, where it counts": 5}
    assert len(logged(log)) == begun
    import_own_acts(other, arrived(other, items), sent, {})
    second = other.store.people.add("Ada again").id
    assert import_own_acts(other, second, sent, {}).skipped.total() == 5


def test_a_file_gives_no_right_that_its_person_has_not(log: FeedbackLog, other: FeedbackLog) -> None:
    """Whatever stands in it: other people's answers, one's own words, times to come, ids, kinds, nonsense."""
    ada, _ = acted(log)
    eve = log.store.people.add("Eve").id
    own = answers(log, eve, 2)
    mine = log.add_note(eve, own[0], "My note.").note
    theirs = str(rows(log, ada)[3]["note"])
    before = len(logged(log))

    def forged(**fields: Any) -> dict[str, Any]:
        act = {"kind": "rating", "id": "f1", "created_utc": "2020-01-01T00:00:00.000000Z", "item": own[0], "value": 1.0}
        return {**act, "actor": log.pseudonym(ada), **fields}

    for row, reason in (
        (forged(item="0190-nobody-has-it"), "what it is about is not here"),
        (forged(item=answers(log, ada, 1)[0]), "what it is about is not here"),
        (forged(item=["a", "list"]), "it is none that a Yearling writes"),
        (forged(item="half \ud800"), "it is none that a Yearling writes"),
        (forged(item=mine), "nobody judges their own words"),
        (forged(created_utc="2999-01-01T00:00:00Z"), "its time has not come"),
        (forged(created_utc="0001-01-01T00:00:00+23:00"), "it is none that a Yearling writes"),
        (forged(created_utc="2020-01-01"), "it is none that a Yearling writes"),
        (forged(value=7), "it is none that a Yearling writes"),
        (forged(tags=["Prose is no tag!"]), "it is none that a Yearling writes"),
        (forged(id="x" * 65), "it is none that a Yearling writes"),
        (forged(id=None), "it is none that a Yearling writes"),
        ([1, 2], "it is none that a Yearling writes"),
        (forged(kind="vouch", account="p", person="h"), "an act of that kind holds only where it was done"),
        (forged(kind="status_change", status="helpful"), "an act of that kind holds only where it was done"),
        (forged(kind="removal", event="x", reason="r"), "an act of that kind holds only where it was done"),
        (forged(kind="retraction", event=rows(log, ada)[0]["id"]), "it was taken back"),
        (forged(kind="note"), "its words were deleted"),
        (forged(kind="note", item=theirs, words={"text": "w"}), "a note is neither noted nor edited"),
        (forged(kind="note", words={"text": "w" * 5001}), "it is none that a Yearling writes"),
        (forged(kind="note", words={"text": "w"}, salt="no salt"), "it is none that a Yearling writes"),
    ):
        done = import_own_acts(log, eve, [row], {})
        assert (done.new, dict(done.skipped)) == (0, {reason: 1}), row
    assert len(logged(log)) == before
    done = import_own_acts(log, eve, [forged(note="n", result="r", origin="o", text_sha256="0"), forged()], {})
    assert (done.new, dict(done.skipped)) == (1, {"the same act twice": 1})
    assert logged(log)[-1].actor == log.pseudonym(eve), "in nobody else's name"


def test_an_older_judgement_does_not_replace_a_newer_one(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = acted(log)
    here = arrived(other, items)
    other.rate(here, items[0], 0.5)
    done = import_own_acts(other, here, rows(log, ada), {})
    assert dict(done.skipped) == {"a later judgement of the same is here": 2}
    assert [one.value for one in fold_events(logged(other)).ratings] == [0.5]
    log.rate(ada, items[0], 0.0)
    import_own_acts(other, here, rows(log, ada), {})
    assert [one.value for one in fold_events(logged(other)).ratings] == [0.0], "but a newer one does"


def test_answers_with_new_ids_are_judged_by_these(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = acted(log)
    renamed = dict(zip(items, answers(other, arrived(other, []), 4), strict=True))
    person = other.store.people.get_by_name("Ada").id
    import_own_acts(other, person, rows(log, ada), renamed)
    notes = [event for event in logged(other) if isinstance(event, Note)]
    assert [note.item for note in notes] == [renamed[items[1]]]


def rating(k: int, item: int, *, brought: bool = False) -> Rating:
    claim = {"origin": f"o{k}", "acted_utc": "2020-01-01T00:00:00.000000Z"} if brought else {}
    return Rating(id=f"r{k}", created_utc=T0 + timedelta(minutes=k), actor="ann", item=f"i{item}", value=1.0, **claim)


def test_acts_from_a_file_earn_nothing_and_count_once_their_rater_has_earned_it_here() -> None:
    p = DefenceParameters(earlier_acts=3)
    file = [rating(k, k, brought=True) for k in range(50)]
    assert compute_experience(file, {}, p).counted_act_ids == frozenset(), "fifty forged acts buy nothing"
    hand = [rating(100 + k, 100 + k) for k in range(4)]
    found = compute_experience([*file, *hand], {}, p)
    assert found.num_earned_acts == {"ann": 4}
    assert found.counted_act_ids == {"r103", *(act.id for act in file)}


def test_a_log_with_imports_reads_the_same_elsewhere(log: FeedbackLog, other: FeedbackLog, tmp_path: Path) -> None:
    ada, items = acted(log)
    import_own_acts(other, arrived(other, items), rows(log, ada), {})
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"".join(export_log_lines(other.store)))
    assert import_feedback_file(log.store, file, "jsonl").num_kept == 7
    assert logged(log)[-5:] == logged(other)
    with pytest.raises(BadInput, match="only half"):
        Rating(id="x", created_utc=T0, actor="a", item="i", value=1.0, origin="o")
