"""The event log, its texts, consensus runs and secrets: append-only, and one chain whoever writes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.store.examples import make_event
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.store import Store, hash_event_entry, make_text

GUARDS = ("no_update", "no_delete", "in_sequence")


def tamper(store: Store, statement: str) -> None:
    """Remove the guards and change the log, as the owner of the database could."""
    drop_triggers = [f"DROP TRIGGER events_{name}" for name in GUARDS]
    with store.database.write() as connection:
        for command in (*(drop_triggers if store.database.is_sqlite else ["ALTER TABLE events DISABLE TRIGGER USER"]), statement):
            connection.exec_driver_sql(command)


def record_run(store: Store, snapshot: bytes, changes: list[dict[str, Any]], *, previous: int) -> Any:
    head = store.events.head()
    return store.consensus_runs.record(
        snapshot,
        changes,
        previous_sequence=previous,
        up_to=head.sequence,
        head=head.hash,
        code_hash="a" * 64,
        parameters={"x": 0.1},
        parameters_hash="b" * 64,
        duration_s=0.5,
    )


def test_events_round_trip_and_are_chained(store: Store) -> None:
    assert store.events.head().sequence == 0
    new = [make_event("one", tags=["é", "\0"], value=1.0), make_event("two", nested={"b": None, "a": 0.1})]
    appended = store.events.append(new)
    assert [entry.event for entry in appended.entries] == new
    assert store.events.entries() == list(appended.entries)
    assert store.events.entries(after=1) == list(appended.entries[1:])
    assert store.events.entries(up_to=1) == list(appended.entries[:1])
    assert store.events.entries(limit=1) == list(appended.entries[:1])
    assert store.events.get("two") == appended.entries[1]
    assert [entry.sequence for entry in appended.entries] == [1, 2]
    assert appended.entries[1].previous_hash == appended.entries[0].hash
    assert store.events.head().hash == appended.entries[1].hash
    with pytest.raises(NotFound):
        store.events.get("three")


def test_hash_follows_its_definition(store: Store) -> None:
    (entry,) = store.events.append([make_event("one")]).entries
    line = json.dumps(make_event("one"), sort_keys=True, separators=(",", ":"))
    assert entry.hash == hashlib.sha256(f"1\n{'0' * 64}\n{line}".encode()).hexdigest()
    assert entry.hash == hash_event_entry(1, "0" * 64, line)


def test_known_events_are_not_appended_again(store: Store) -> None:
    new = [make_event(str(number)) for number in range(1200)]  # more than one batch
    store.events.append(new[:700])
    appended = store.events.append(new + new[:5])
    assert len(appended.known_ids) == 700
    assert [entry.event["id"] for entry in appended.entries] == [str(number) for number in range(700, 1200)]
    assert store.events.append(new).entries == ()
    assert store.events.verify().num_entries == 1200


def test_event_id_is_unique(store: Store) -> None:
    store.events.append([make_event("one")])
    for batch in (
        [make_event("new"), make_event("one", value=1.0)],
        [make_event("new"), make_event("new", value=1.0)],
    ):
        with pytest.raises(Untrusted, match="Two different events"):
            store.events.append(batch)
    assert store.events.head().sequence == 1


@pytest.mark.parametrize("event_id", ["", "x" * 65, "a b", "é", None, 7])
def test_invalid_event_ids_are_refused(store: Store, event_id: Any) -> None:
    with pytest.raises(BadInput, match="id"):
        store.events.append([{**make_event("x"), "id": event_id}])


def test_event_must_be_json(store: Store) -> None:
    with pytest.raises(BadInput):
        store.events.append([make_event("one"), make_event("two", value=float("nan"))])
    assert store.events.head().sequence == 0


def test_append_raises_conflict_for_unexpected_head(store: Store) -> None:
    head = store.events.append([make_event("one")]).entries[0].hash
    store.events.append([make_event("two")], expected_head=head)
    with pytest.raises(Conflict, match="in the meantime"):
        store.events.append([make_event("three")], expected_head=head)
    assert store.events.head().sequence == 2


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ('UPDATE events SET event = \'{"id":"3"}\' WHERE sequence = 3', 3, "changed"),
        ("UPDATE events SET id = 'x' WHERE sequence = 2", 2, "filed"),
        ("DELETE FROM events WHERE sequence = 2", 3, "missing"),
        ("DELETE FROM events WHERE sequence = 1", 2, "missing"),
        (f"UPDATE events SET hash = '{'f' * 64}' WHERE sequence = 4", 4, "changed"),
        (f"UPDATE events SET previous_hash = '{'f' * 64}' WHERE sequence = 4", 4, "follow"),
    ],
)
def test_verify_names_the_first_broken_entry(store: Store, statement: str, broken_at: int, reason: str) -> None:
    store.events.append([make_event(str(number)) for number in range(1, 6)])
    assert store.verify().ok
    tamper(store, statement)
    verification = store.events.verify()
    assert (verification.broken_at, reason in verification.reason) == (broken_at, True)
    report = store.verify()
    assert "unguarded" in report.checks[0].detail
    assert f"entry {broken_at}" in next(check.detail for check in report.checks if check.name == "event log")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET event = 'x'",
        "DELETE FROM events WHERE sequence = 2",
        "DELETE FROM events",
        "INSERT INTO events VALUES (7, 'x', '{}', 'x', 'y')",
        "INSERT INTO events SELECT 3, id, event, 'x', 'y' FROM events WHERE sequence = 1",
    ],
)
def test_database_refuses_changes_to_the_log(store: Store, statement: str) -> None:
    appended = list(store.events.append([make_event("one"), make_event("two")]).entries)
    with pytest.raises(sa.exc.IntegrityError), store.database.write() as connection:
        connection.exec_driver_sql(statement)
    assert store.events.entries() == appended


@pytest.mark.parametrize("sequence", [1, 2])
def test_database_refuses_replacement_and_truncation(store: Store, sequence: int) -> None:
    store.events.append([make_event("one")])
    row = f"SELECT {sequence}, id, 'forged', previous_hash, hash FROM events"
    statement = f"INSERT OR REPLACE INTO events {row}" if store.database.is_sqlite else "TRUNCATE events"
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), store.database.write() as connection:
        connection.exec_driver_sql(statement)
    assert store.events.get("one").event == make_event("one")


def test_concurrent_threads_never_fork_the_chain(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.events.append([make_event(str(number % 60))]), range(80)))
    verification = store.events.verify()
    assert (verification.num_entries, verification.broken_at) == (60, None)


APPENDER = """
import sys
from pathlib import Path
from yearling.config import Settings
from yearling.store import Store

with Store.open(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as store:
    store.secrets.get_or_create("key")
    for number in range(25):
        store.events.append([{"id": f"{sys.argv[3]}-{number}"}, {"id": f"shared-{number}"}])
"""


@pytest.mark.slow
def test_concurrent_processes_never_fork_the_chain(settings: Settings, store: Store) -> None:
    command = [sys.executable, "-c", APPENDER, str(settings.data_dir), settings.database_url]
    root = Path(__file__).parents[3]
    writers = [subprocess.Popen([*command, str(number)], cwd=root) for number in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    verification = store.events.verify()
    assert (verification.num_entries, verification.broken_at) == (125, None)
    assert store.secrets.get_or_create("key") == store.secrets.get_or_create("key")


def test_texts_round_trip_until_deleted(store: Store) -> None:
    ada = store.people.add("Ada")
    text = make_text("n1", "note", {"text": "words \0 \ud800 é"}, person_id=ada.id)
    imported = make_text("i1", "answer", {"messages": [], "text": "x"}, salt="")
    assert store.texts.add([text, imported]) == 2
    assert store.texts.add([text, imported]) == 0
    assert store.texts.get("n1") == text
    assert store.texts.get_many(["n1", "i1", "nothing"]) == {"n1": text, "i1": imported}
    assert store.texts.list() == [imported, text]
    store.texts.delete("n1", actor="ada")
    for attempt in (lambda: store.texts.get("n1"), lambda: store.texts.delete("n1", actor="ada")):
        with pytest.raises(NotFound):
            attempt()
    assert [entry.subject for entry in store.audit.entries() if entry.action == "text.delete"] == ["n1"]
    assert store.verify().ok


def test_texts_of_a_kind_are_listed_newest_first(store: Store) -> None:
    store.texts.add([make_text(name, kind, {}) for name, kind in (("1", "offer"), ("2", "note"), ("3", "offer"))])
    assert [text.id for text in store.texts.list_by_kind("offer", limit=9)] == ["3", "1"]
    assert [text.id for text in store.texts.list_by_kind("offer", limit=1)] == ["3"]
    assert store.texts.list_by_kind("edit", limit=9) == []


def test_text_id_is_unique(store: Store) -> None:
    store.texts.add([make_text("n1", "note", {"text": "a"}, salt="")])
    with pytest.raises(Conflict, match="belongs to another text"):
        store.texts.add([make_text("n2", "note", {"text": "b"}), make_text("n1", "note", {"text": "b"}, salt="")])
    with pytest.raises(NotFound, match="person"):
        store.texts.add([make_text("n2", "note", {"text": "b"}, person_id="nobody")])
    assert [text.id for text in store.texts.list()] == ["n1"]


def test_salted_hashes_of_equal_texts_differ(store: Store) -> None:
    assert make_text("a", "note", {"text": "yes"}).sha256 != make_text("a", "note", {"text": "yes"}).sha256
    text = make_text("a", "note", {"text": "yes"}, salt="00ff")
    assert text.sha256 == hashlib.sha256(b'00ff{"text":"yes"}').hexdigest()
    for text_id, kind, salt in (("", "note", ""), ("a\0", "note", ""), ("\ud800", "note", ""), ("a", "", ""), ("a", "note", "x")):
        with pytest.raises(BadInput):
            make_text(text_id, kind, {}, salt=salt)


def test_verify_reports_changed_text(store: Store) -> None:
    store.texts.add([make_text("n1", "note", {"text": "a"})])
    with store.database.write() as connection:
        connection.exec_driver_sql('UPDATE texts SET content = \'{"text":"b"}\'')
    assert [check.name for check in store.verify().checks if not check.ok] == ["texts"]


def test_run_is_recorded_only_after_the_newest_one(store: Store) -> None:
    store.events.append([make_event("one")])
    assert store.consensus_runs.get_newest() is None
    first, appended = record_run(store, b"first", [make_event("change")], previous=0)
    assert [entry.event["id"] for entry in appended.entries] == ["change"]
    assert (first.up_to, first.num_changes) == (1, 1)
    assert store.consensus_runs.get_newest() == first
    with pytest.raises(Conflict, match="meantime"):
        record_run(store, b"late", [make_event("late")], previous=0)
    assert store.events.head().sequence == 2
    second, _ = record_run(store, b"second", [], previous=1)
    third, _ = record_run(store, b"third", [], previous=2)
    assert store.consensus_runs.list() == [first, second, third]
    assert store.consensus_runs.read_snapshot(third) == b"third"
    # Snapshots of runs that changed a status, and the newest one, are kept.
    assert store.blobs.referenced_hashes() == {first.snapshot_sha256, third.snapshot_sha256}
    assert store.verify().ok


def test_secret_is_created_once(settings: Settings, store: Store) -> None:
    key = store.secrets.get_or_create("key")
    assert len(key) == 32
    assert store.secrets.get_or_create("other") != key
    with Store.open(settings) as second:
        assert second.secrets.get_or_create("key") == key
