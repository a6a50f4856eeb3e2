"""Corrections memory: ownership, contradictions, history, ceilings, vectors, the team's verdicts, and the version of it all."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.store.transfer.test_exporter import export_file, import_file
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import Message, Person
from yearling.store import Correction, Store
from yearling.store.chats import correction_rows
from yearling.store.database.schema import correction_vectors, correction_wordings, corrections

MODEL = "ab" * 32


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def answered(store: Store, person: Person) -> Message:
    """An answer in a conversation of a person."""
    conversation = store.conversations.create(person.id)
    return store.conversations.add_message(conversation.id, person_id=person.id, role="assistant", content="Wrong.")


def accepted(store: Store, person: Person, question: str, answer: str) -> Correction:
    """An entry that the team has accepted."""
    correction = store.corrections.add(person.id, question, answer, scope="team").correction
    store.corrections.set_item(correction.id, f"item {correction.id}", person_id=person.id)
    store.corrections.settle({f"item {correction.id}": ("active", "2 of 2 agree")})
    return store.corrections.get(correction.id, person_id=person.id)


def vector(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def test_entry_is_stored_and_visible_to_its_person_only(store: Store, ada: Person, bob: Person) -> None:
    message = answered(store, ada)
    added = store.corrections.add(
        ada.id, " When do we open? ", "At 9.", origin="edit", message_id=message.id, event_id="event", source=""
    )
    entry = added.correction
    assert (added.is_new, added.replaced) == (True, None)
    assert (entry.question, entry.answer, entry.scope, entry.state, entry.active) == (
        "When do we open?",
        "At 9.",
        "me",
        "active",
        True,
    )
    assert (entry.kind, entry.origin, entry.message_id, entry.event_id) == ("correction", "edit", message.id, "event")
    assert store.corrections.list(ada.id) == [entry] == store.corrections.list_effective(ada.id)
    assert store.corrections.get(entry.id, person_id=ada.id) == entry
    assert store.corrections.list(bob.id) == store.corrections.list_effective(bob.id) == store.corrections.list_team() == []
    attempts: tuple[Callable[..., Any], ...] = (
        store.corrections.get,
        store.corrections.update,
        store.corrections.confirm,
        store.corrections.history,
        store.corrections.delete,
    )
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt(entry.id, person_id=bob.id)
    with pytest.raises(NotFound):
        store.corrections.set_item(entry.id, "item", person_id=bob.id)
    with pytest.raises(NotFound):
        store.corrections.add(bob.id, "Why?", "So.", message_id=message.id)
    with pytest.raises(NotFound):
        store.corrections.add("nobody", "Why?", "So.")
    assert store.verify().ok


def test_later_contradiction_wins_and_the_earlier_becomes_history(store: Store, ada: Person, bob: Person) -> None:
    first = store.corrections.add(ada.id, "When do we open?", "At 8.").correction
    store.corrections.add(bob.id, "When do we open?", "At 7.")
    store.corrections.add(ada.id, "When do we open?", "Ask me.", kind="reminder")
    same = store.corrections.add(ada.id, "when do  we OPEN", "at 8.")
    assert (same.is_new, same.correction) == (False, first)
    store.corrections.update(first.id, person_id=ada.id, answer="At 8:30.", active=False)
    second = store.corrections.add(ada.id, "ＷＨＥＮ do we open？", "At 9.")
    assert second.is_new
    assert second.replaced is not None
    assert second.replaced.answer == "At 8:30."
    assert [entry.answer for entry in store.corrections.list_effective(ada.id)] == ["At 9."]
    wordings = store.corrections.history(second.correction.id, person_id=ada.id)
    assert [wording.answer for wording in wordings] == ["At 8:30.", "At 8."]
    assert wordings[0].id == first.id
    assert store.corrections.get(first.id, person_id=ada.id) == second.correction  # links to the earlier entry lead here
    with pytest.raises(NotFound):
        store.corrections.get(first.id, person_id=bob.id)
    assert len(store.corrections.list(bob.id)) == 1
    assert store.verify().ok


def test_switching_off_on_and_adding_again(store: Store, ada: Person) -> None:
    entry = store.corrections.add(ada.id, "Why?", "So.").correction
    store.corrections.update(entry.id, person_id=ada.id, active=False)
    assert store.corrections.list_effective(ada.id) == []
    again = store.corrections.add(ada.id, "why", "SO.")
    assert (again.is_new, again.correction.id, again.correction.active) == (False, entry.id, True)


def test_rewording_keeps_history_and_drops_vectors(store: Store, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_rows, "MAX_WORDINGS", 3)
    entry = store.corrections.add(ada.id, "Why?", "0").correction
    other = store.corrections.add(ada.id, "Who?", "Ada").correction
    store.corrections.set_vectors(MODEL, {entry.id: vector(1, 2), other.id: vector(3, 4), "gone": vector(5, 6)})
    assert store.corrections.vectors(ada.id, MODEL) == {entry.id: vector(1, 2), other.id: vector(3, 4)}
    assert store.corrections.vectors(ada.id, "cd" * 32) == {}
    store.corrections.update(entry.id, person_id=ada.id, active=True)
    assert entry.id in store.corrections.vectors(ada.id, MODEL)
    for answer in "12345":
        store.corrections.update(entry.id, person_id=ada.id, answer=answer)
    assert store.corrections.vectors(ada.id, MODEL) == {other.id: vector(3, 4)}
    assert [wording.answer for wording in store.corrections.history(entry.id, person_id=ada.id)] == ["4", "3", "2"]
    # A vector of the wording that was read before a change is not stored.
    store.corrections.set_vectors(MODEL, {entry.id: vector(1, 2)}, updated_utc={entry.id: entry.updated_utc})
    assert entry.id not in store.corrections.vectors(ada.id, MODEL)
    now = store.corrections.get(entry.id, person_id=ada.id)
    for value in (vector(1, 2), vector(2, 1)):
        store.corrections.set_vectors(MODEL, {entry.id: value}, updated_utc={entry.id: now.updated_utc})
    assert store.corrections.vectors(ada.id, MODEL)[entry.id] == vector(2, 1)
    for bad in (b"", b"abc", b"\0" * 40_000):
        with pytest.raises(BadInput):
            store.corrections.set_vectors(MODEL, {entry.id: bad})
    with pytest.raises(Conflict):
        store.corrections.update(entry.id, person_id=ada.id, question="who")


def test_suggestion_acts_when_it_is_confirmed(store: Store, ada: Person) -> None:
    confirmed = store.corrections.add(ada.id, "I write to Eva", "Mention the invoice.", kind="reminder", suggested=False)
    assert confirmed.correction.state == "active"
    suggested = store.corrections.add(ada.id, "I write to Eva", "Mention the party.", kind="reminder")
    assert (suggested.correction.state, suggested.replaced) == ("suggested", None)
    assert [entry.answer for entry in store.corrections.list_effective(ada.id)] == ["Mention the invoice."]
    assert store.corrections.update(suggested.correction.id, person_id=ada.id, active=True).state == "suggested"
    for _ in range(2):
        assert store.corrections.confirm(suggested.correction.id, person_id=ada.id).state == "active"
    assert [entry.answer for entry in store.corrections.list(ada.id)] == ["Mention the party."]
    history = store.corrections.history(suggested.correction.id, person_id=ada.id)
    assert [wording.answer for wording in history] == ["Mention the invoice."]
    lesson = store.corrections.add(ada.id, "A trip", "Pack early.", kind="lesson").correction
    reworded = store.corrections.update(lesson.id, person_id=ada.id, answer="Pack the day before.")
    assert (lesson.state, reworded.state) == ("suggested", "active")


def test_team_entry_acts_for_everybody_once_it_is_accepted(store: Store, ada: Person, bob: Person) -> None:
    entry = store.corrections.add(ada.id, "When do we open?", "At 9.", scope="team").correction
    assert entry.state == "proposed"
    assert store.corrections.list_effective(ada.id) == [entry]
    assert store.corrections.list_effective(bob.id) == []
    assert store.corrections.list_team(state="proposed") == [entry] == store.corrections.list_team()
    assert store.corrections.get(entry.id, person_id=bob.id) == entry
    assert store.corrections.settle({"unknown": ("active", "")}) == 0
    store.corrections.set_item(entry.id, "item", person_id=ada.id)
    assert store.corrections.settle({"item": ("active", "2 of 3 agree")}) == 1
    assert store.corrections.settle({"item": ("active", "2 of 3 agree")}) == 0
    assert [found.reason for found in store.corrections.list_effective(bob.id)] == ["2 of 3 agree"]
    with pytest.raises(NotFound):
        store.corrections.update(entry.id, person_id=bob.id, active=False)
    # A person's own answer goes before the team's, and a later one of the team before an earlier one.
    own = store.corrections.add(bob.id, "when do we open", "At 10 for me.").correction
    assert store.corrections.list_effective(bob.id) == [own]
    store.corrections.delete(own.id, person_id=bob.id)
    later = accepted(store, bob, "When do we open?", "At 11.")
    assert [found.answer for found in store.corrections.list_effective(store.people.owner().id)] == [later.answer]
    assert [found.answer for found in store.corrections.list_effective(ada.id)] == ["At 9."]
    assert store.corrections.settle({"item": ("declined", "2 of 3 disagree")}) == 1
    assert [found.id for found in store.corrections.list_effective(ada.id)] == [later.id]
    assert [entry.action for entry in store.audit.entries()][-1] == "correction.declined"
    # New words have not been judged.
    reworded = store.corrections.update(entry.id, person_id=ada.id, answer="At 9 sharp.")
    assert (reworded.state, reworded.item, reworded.reason) == ("proposed", None, "")
    kept = store.corrections.update(entry.id, person_id=ada.id, scope="me")
    assert (kept.scope, kept.state) == ("me", "active")
    with pytest.raises(NotFound):
        store.corrections.get(entry.id, person_id=bob.id)
    assert store.verify().ok


def test_version_changes_with_what_acts(store: Store, ada: Person, bob: Person) -> None:
    seen = [store.corrections.version(bob.id)]

    def step(change: Callable[[], Any], *, changes: bool = True) -> Any:
        result = change()
        version = store.corrections.version(bob.id)
        assert (version != seen[-1]) == changes
        assert version == store.corrections.version(bob.id)
        seen.append(version)
        return result

    store_of = store.corrections
    entry = step(lambda: store_of.add(bob.id, "Why?", "So.").correction)
    step(lambda: store_of.update(entry.id, person_id=bob.id, answer="Thus."))
    step(lambda: store_of.update(entry.id, person_id=bob.id, active=False))
    step(lambda: store_of.update(entry.id, person_id=bob.id, active=True))
    step(lambda: store_of.add(bob.id, "Why?", "Never mind."))
    step(lambda: store_of.add(ada.id, "Why?", "Mine."), changes=False)
    step(lambda: store_of.add(bob.id, "Trip", "Pack.", kind="lesson"), changes=False)
    team = step(lambda: accepted(store, ada, "Who?", "Ada."))
    step(lambda: store_of.settle({team.item: ("declined", "no")}))
    step(lambda: store_of.settle({team.item: ("active", "yes")}))
    step(lambda: store.delete_person(ada.id, actor="test"))
    step(lambda: store_of.delete_all(bob.id))


def test_ceilings(store: Store, ada: Person, bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for question, answer in (("", "x"), ("x", " \n"), ("x" * 2001, "x"), ("x", "x" * 2001)):
        with pytest.raises(BadInput):
            store.corrections.add(ada.id, question, answer)
    entry = store.corrections.add(ada.id, "x" * 2000, "y" * 2000).correction
    with pytest.raises(BadInput):
        store.corrections.update(entry.id, person_id=ada.id, answer="")
    monkeypatch.setattr(correction_rows, "MAX_CORRECTIONS_PER_PERSON", 3)
    store.corrections.add(ada.id, "b", "b")
    with pytest.raises(Conflict):  # all or nothing
        store.corrections.add_many(ada.id, [("c", "c"), ("d", "d")], scope="me", source="faq.csv")
    assert len(store.corrections.list(ada.id)) == 2
    added = store.corrections.add_many(ada.id, [("c", "c"), ("b", "q"), ("b", "B")], scope="me", source="faq.csv")
    assert [(each.is_new, each.replaced is not None) for each in added] == [(True, False), (False, False)]
    assert added[0].correction.source == "faq.csv"
    (replaced,) = store.corrections.add_many(ada.id, [("b", "x")], scope="me", source="faq.csv")
    assert (replaced.is_new, replaced.replaced is not None) == (True, True)
    store.corrections.update(replaced.correction.id, person_id=ada.id, answer="y")
    (last,) = store.corrections.add_many(ada.id, [("B?", "z")], scope="me", source="faq.csv")
    assert [wording.answer for wording in store.corrections.history(last.correction.id, person_id=ada.id)] == ["y", "x", "b"]
    with pytest.raises(Conflict):
        store.corrections.add(ada.id, "e", "e")
    monkeypatch.setattr(correction_rows, "MAX_TEAM_CORRECTIONS", 1)
    store.corrections.add(bob.id, "a", "b", scope="team")
    with pytest.raises(Conflict):
        store.corrections.add(bob.id, "b", "b", scope="team")
    with pytest.raises(Conflict):
        store.corrections.update(entry.id, person_id=ada.id, scope="team")


def test_lists_page_and_search(store: Store, ada: Person) -> None:
    store.corrections.add_many(ada.id, [(f"Question {n}?", f"Ärger {n}") for n in range(7)], scope="me", source="FAQ.md")
    pages = [store.corrections.list(ada.id, limit=3)]
    while pages[-1]:
        pages.append(store.corrections.list(ada.id, limit=3, before=pages[-1][-1].id))
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [entry.question for entry in store.corrections.list(ada.id, search="ärger 5")] == ["Question 5?"]
    assert len(store.corrections.list(ada.id, search="faq", limit=4)) == 4
    assert store.corrections.list(ada.id, search="nothing") == []


def test_deletions_leave_nothing_behind(store: Store, ada: Person, bob: Person) -> None:
    message = answered(store, ada)
    entry = store.corrections.add(ada.id, "Why?", "SECRET-1", message_id=message.id, event_id="event").correction
    store.corrections.update(entry.id, person_id=ada.id, answer="SECRET-2")
    store.corrections.set_vectors(MODEL, {entry.id: vector(1)})
    # The corrected answer goes; the entry is the person's own words.
    store.delete_message(message.id, conversation_id=message.conversation_id, person_id=ada.id)
    kept = store.corrections.get(entry.id, person_id=ada.id)
    assert (kept.message_id, kept.event_id, kept.answer) == (None, "event", "SECRET-2")
    assert store.corrections.delete(entry.id, person_id=ada.id).answer == "SECRET-2"
    assert [found.action for found in store.audit.entries()][-1] == "correction.delete"
    with pytest.raises(NotFound):
        store.corrections.delete(entry.id, person_id=ada.id)
    for person in (ada, bob):
        accepted(store, person, f"Who {person.name}?", "SECRET-3")
    assert store.corrections.delete_all(bob.id) == 1
    store.delete_person(ada.id, actor="test")
    assert store.corrections.list_team() == []
    with store.database.read() as connection:
        for table in (corrections, correction_wordings, correction_vectors):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
    if store.database.path:
        files = [store.database.path, store.database.path.with_name("yearling.db-wal")]
        assert not any(b"SECRET" in file.read_bytes() for file in files if file.exists())
    assert store.verify().ok


def test_messages_forget_deleted_entries(store: Store, ada: Person, bob: Person) -> None:
    def answered_with(person: Person, *entries: Correction) -> Message:
        conversation = store.conversations.create(person.id)
        used = [{"id": entry.id, "question": entry.question} for entry in entries]
        return store.conversations.add_message(
            conversation.id, person_id=person.id, role="assistant", content="So.", facts={"mode": "", "corrections": used}
        )

    def questions(message: Message, person: Person) -> list[str]:
        (stored,) = store.conversations.list_messages(message.conversation_id, person_id=person.id)
        assert stored.facts["mode"] == ""
        return [entry["question"] for entry in stored.facts["corrections"]]

    earlier = store.corrections.add(ada.id, "SECRET-1?", "So.").correction
    later = store.corrections.add(ada.id, "SECRET-1?", "Otherwise.").correction
    other, of_team = store.corrections.add(ada.id, "Other?", "Yes.").correction, accepted(store, ada, "SECRET-2?", "Team.")
    with_both, with_earlier = answered_with(ada, later, other), answered_with(ada, earlier)
    odd: list[dict[str, object]] = [{"corrections": 1}, {"corrections": [1, {"id": []}]}, {"mode": {"corrections": []}}]
    for facts in odd:  # an imported file can say anything
        conversation = store.conversations.create(bob.id)
        store.conversations.add_message(conversation.id, person_id=bob.id, role="assistant", content="So.", facts=facts)
    of_bob = answered_with(bob, of_team, accepted(store, bob, "Bob?", "Yes."))
    store.corrections.delete(later.id, person_id=ada.id)
    assert (questions(with_both, ada), questions(with_earlier, ada)) == (["Other?"], [])
    assert questions(of_bob, bob) == ["SECRET-2?", "Bob?"]
    store.corrections.delete_all(ada.id)
    assert (questions(with_both, ada), questions(of_bob, bob)) == ([], ["Bob?"])
    if store.database.path:
        files = [store.database.path, store.database.path.with_name("yearling.db-wal")]
        assert not any(b"SECRET" in file.read_bytes() for file in files if file.exists())
    last = answered_with(bob, accepted(store, ada, "SECRET-3?", "Team."))
    store.delete_person(ada.id, actor="test")
    assert questions(last, bob) == []


def test_export_brings_entries_back_for_their_person_only(store: Store, ada: Person, bob: Person) -> None:
    store.corrections.add(ada.id, "Why?", "So.")
    accepted(store, ada, "Who?", "Ada.")
    content = export_file(store, ada.id)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = [json.loads(line) for line in archive.read("corrections.jsonl").splitlines()]
    assert [(row["question"], row["scope"], row["state"]) for row in rows] == [
        ("Who?", "team", "active"),
        ("Why?", "me", "active"),
    ]
    assert import_file(store, ada.id, content).corrections == 0
    # What another person imports acts for that person alone.
    assert import_file(store, bob.id, content).corrections == 2
    assert {entry.scope for entry in store.corrections.list(bob.id)} == {"me"}
    assert len(store.corrections.list_team()) == 1
    assert store.verify().ok


def test_damage_is_found(store: Store, ada: Person) -> None:
    entry = store.corrections.add(ada.id, "Why?", "So.").correction
    for values in ({"question": "When?"}, {"question": "Why?", "state": "declined"}):
        with store.database.write() as connection:
            connection.execute(corrections.update().where(corrections.c.id == entry.id).values(values))
        assert [check.name for check in store.verify().checks if not check.ok] == ["corrections"]
