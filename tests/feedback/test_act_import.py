"""Exporting and importing a person's own acts: each act enters once, under the importer's pseudonym, never in the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import add_answers, open_feedback_log
from tests.store.examples import make_sample
from yearling.clock import now_utc
from yearling.errors import BadInput
from yearling.feedback import (
    Admission,
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
from yearling.feedback.defences import accounts_with_standing

T0 = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "other") as log:
        yield log


def perform_acts(log: FeedbackLog) -> tuple[str, list[str]]:
    """Add a person who performs one act of each kind and changes one rating. Returns the person and their answers."""
    ada = log.store.people.add("Ada").id
    items = add_answers(log, ada, 4)
    log.rate(ada, items[0], 0.0)
    log.rate(ada, items[0], 1.0, tags=["clear"])
    log.compare(ada, items[0], items[1], "left")
    log.add_note(ada, items[1], "The figure is from 2019. 你好")
    log.add_edit(ada, items[2], "Better words.")
    return ada, items


def add_person_with_answers(log: FeedbackLog, items: list[str], name: str = "Ada") -> str:
    """Add a person with the same answers, as after an import of their conversations."""
    person = log.store.people.add(name).id
    log.store.samples.add_many([make_sample(person, id=item) for item in items])
    return person


def export_rows(log: FeedbackLog, person_id: str) -> list[dict[str, Any]]:
    return list(export_own_acts(log, person_id))


def logged_events(log: FeedbackLog) -> list[Any]:
    return [event_from_dict(entry.event) for entry in log.store.events.entries()]


def test_import_restores_only_texts_of_logged_acts(log: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    before, head = export_rows(log, ada), log.store.events.head()
    assert [row["kind"] for row in before] == ["rating", "rating", "comparison", "note", "edit"]
    log.delete_own_texts(ada, items)
    assert "words" not in export_rows(log, ada)[3]
    result = import_own_acts(log, ada, before, {})
    assert (result.new, result.known, result.num_texts_restored, dict(result.skipped)) == (0, 5, 2, {})
    assert export_rows(log, ada) == before
    assert log.store.events.head() == head
    assert log.store.verify().ok


def test_import_restores_only_texts_with_the_logged_hash(log: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    before = export_rows(log, ada)
    log.delete_own_texts(ada, items)
    before[3]["words"] = {"text": "What I wish I had said."}
    del before[4]["salt"]
    assert import_own_acts(log, ada, before, {}).num_texts_restored == 0
    assert not any("words" in row for row in export_rows(log, ada))


def test_import_does_not_restore_withdrawn_acts(log: FeedbackLog) -> None:
    ada, _ = perform_acts(log)
    before = export_rows(log, ada)
    for at in (1, 3):
        log.retract(ada, before[at]["id"])
    log.remove(log.store.people.owner().id, before[4]["id"], "spam", delete_text=True)
    result = import_own_acts(log, ada, before, {})
    assert (result.new, result.known, result.num_texts_restored) == (0, 5, 0)
    assert len(log.index.events()) == 9, "five acts, three withdrawals, and one admission"
    assert not any("words" in row for row in export_rows(log, ada))


def test_import_into_another_log_uses_the_present_time_and_keeps_the_old_one_as_a_claim(
    log: FeedbackLog, other: FeedbackLog
) -> None:
    ada, items = perform_acts(log)
    num_before, exported = now_utc(), export_rows(log, ada)
    importing_person = add_person_with_answers(other, items)
    result = import_own_acts(other, importing_person, exported, {})
    assert (result.new, result.known, dict(result.skipped)) == (5, 0, {})
    events = logged_events(other)
    assert {event.actor for event in events} == {other.pseudonym(importing_person)}
    assert all(event.created_utc >= num_before for event in events), "no event is in the past"
    assert [event.origin for event in events] == [row["id"] for row in exported]
    assert [event.acted_utc for event in events] == [row["created_utc"] for row in exported]
    assert not {event.id for event in events} & {row["id"] for row in exported}, "ids in the log cannot be chosen"
    assert [(one.item, one.value) for one in fold_events(events).ratings] == [(items[0], 1.0)], "each judgement counts once"
    assert export_rows(other, importing_person) == exported, "a further export is the same"
    again = import_own_acts(other, importing_person, exported, {})
    assert (again.new, again.known) == (0, 5)
    result = import_own_acts(log, ada, export_rows(other, importing_person), {})
    assert (result.new, result.known, result.num_texts_restored) == (0, 5, 0)


def test_imported_act_can_be_retracted_by_its_original_id(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    exported = export_rows(log, ada)
    importing_person = add_person_with_answers(other, items)
    import_own_acts(other, importing_person, exported, {})
    other.retract(importing_person, exported[1]["id"])
    assert [one.value for one in fold_events(logged_events(other)).ratings] == [0.0]


def test_second_account_cannot_import_the_same_acts(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    exported, num_before = export_rows(log, ada), len(logged_events(log))
    eve = log.store.people.add("Eve").id
    result = import_own_acts(log, eve, exported, {item: item for item in items})
    assert dict(result.skipped) == {"the log has it under another account, where it counts": 5}
    assert len(logged_events(log)) == num_before
    import_own_acts(other, add_person_with_answers(other, items), exported, {})
    second = other.store.people.add("Ada again").id
    assert import_own_acts(other, second, exported, {}).skipped.total() == 5


def test_forged_file_gives_no_additional_rights(log: FeedbackLog, other: FeedbackLog) -> None:
    """A forged file may name answers of other people, one's own texts, future times, ids, kinds, or garbage."""
    ada, _ = perform_acts(log)
    eve = log.store.people.add("Eve").id
    own_answers = add_answers(log, eve, 2)
    own_note = log.add_note(eve, own_answers[0], "My note.").note
    foreign_note = str(export_rows(log, ada)[3]["note"])
    before = len(logged_events(log))

    def forged(**fields: Any) -> dict[str, Any]:
        act = {"kind": "rating", "id": "f1", "created_utc": "2020-01-01T00:00:00.000000Z", "item": own_answers[0], "value": 1.0}
        return {**act, "actor": log.pseudonym(ada), **fields}

    for row, reason in (
        (forged(item="0190-nobody-has-it"), "what it is about is not here"),
        (forged(item=add_answers(log, ada, 1)[0]), "what it is about is not here"),
        (forged(item=["a", "list"]), "it is none that a Yearling writes"),
        (forged(item="half \ud800"), "it is none that a Yearling writes"),
        (forged(item=own_note), "nobody judges their own words"),
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
        (forged(kind="retraction", event=export_rows(log, ada)[0]["id"]), "it was taken back"),
        (forged(kind="note"), "its words were deleted"),
        (forged(kind="note", item=foreign_note, words={"text": "w"}), "a note is neither noted nor edited"),
        (forged(kind="note", words={"text": "w" * 5001}), "it is none that a Yearling writes"),
        (forged(kind="note", words={"text": "w"}, salt="no salt"), "it is none that a Yearling writes"),
    ):
        result = import_own_acts(log, eve, [row], {})
        assert (result.new, dict(result.skipped)) == (0, {reason: 1}), row
    assert len(logged_events(log)) == before
    result = import_own_acts(log, eve, [forged(note="n", result="r", origin="o", text_sha256="0"), forged()], {})
    assert (result.new, dict(result.skipped)) == (1, {"the same act twice": 1})
    assert logged_events(log)[-1].actor == log.pseudonym(eve), "under no other name"


def test_imported_judgement_does_not_replace_a_newer_one(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    importing_person = add_person_with_answers(other, items)
    other.rate(importing_person, items[0], 0.5)
    result = import_own_acts(other, importing_person, export_rows(log, ada), {})
    assert dict(result.skipped) == {"a later judgement of the same is here": 2}
    assert [one.value for one in fold_events(logged_events(other)).ratings] == [0.5]
    log.rate(ada, items[0], 0.0)
    import_own_acts(other, importing_person, export_rows(log, ada), {})
    assert [one.value for one in fold_events(logged_events(other)).ratings] == [0.0], "a newer judgement does"


def test_import_maps_the_ids_of_renamed_answers(log: FeedbackLog, other: FeedbackLog) -> None:
    ada, items = perform_acts(log)
    renamed = dict(zip(items, add_answers(other, add_person_with_answers(other, []), 4), strict=True))
    person = other.store.people.get_by_name("Ada").id
    import_own_acts(other, person, export_rows(log, ada), renamed)
    notes = [event for event in logged_events(other) if isinstance(event, Note)]
    assert [note.item for note in notes] == [renamed[items[1]]]


def rating(k: int, item: int, *, imported: bool = False) -> Rating:
    claim: dict[str, Any] = {"origin": f"o{k}", "acted_utc": "2020-01-01T00:00:00.000000Z"} if imported else {}
    return Rating(id=f"r{k}", created_utc=T0 + timedelta(minutes=k), actor="ann", item=f"i{item}", value=1.0, **claim)


def test_imported_acts_earn_no_standing_and_count_once_the_account_has_it() -> None:
    def standing(acts: list[Rating]) -> frozenset[str]:
        invited = [replace(rating(500 + k, k), actor="known") for k in range(20)]
        return accounts_with_standing([*invited, *acts], {"known": "invitation"}, {}, DefenceParameters())

    imported_acts = [rating(k, k, imported=True) for k in range(20)]
    assert standing(imported_acts) == {"known"}, "twenty claims earn nothing"
    assert standing([*imported_acts, *(rating(100 + k, k) for k in range(3))]) == {"known", "ann"}


def test_export_of_a_log_with_imported_acts_round_trips(log: FeedbackLog, other: FeedbackLog, tmp_path: Path) -> None:
    ada, items = perform_acts(log)
    import_own_acts(other, add_person_with_answers(other, items), export_rows(log, ada), {})
    imported_acts = tmp_path / "log.jsonl"
    imported_acts.write_bytes(b"".join(export_log_lines(other.store)))
    assert import_feedback_file(log.store, imported_acts, "jsonl").num_kept == 7
    acts = [event for event in logged_events(other) if not isinstance(event, Admission)]
    assert [event for event in logged_events(log) if not isinstance(event, Admission)][-5:] == acts
    with pytest.raises(BadInput, match="only one of origin"):
        Rating(id="x", created_utc=T0, actor="a", item="i", value=1.0, origin="o")
