"""The audit log: hash chain, guards in the database, and concurrent writers."""

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

from yearling.config import Settings
from yearling.errors import BadInput
from yearling.store import Store
from yearling.store.audit import AuditValues, hash_audit_entry


def statements_without_guards(store: Store) -> list[str]:
    if store.database.is_sqlite:
        return [f"DROP TRIGGER audit_log_{name}" for name in ("no_update", "no_delete", "in_sequence")]
    return ["ALTER TABLE audit_log DISABLE TRIGGER USER"]


def tamper(store: Store, statement: str) -> None:
    """Remove the guards and change the log, as the owner of the database could."""
    with store.database.write() as connection:
        for command in (*statements_without_guards(store), statement):
            connection.exec_driver_sql(command)


def test_entries_round_trip_and_are_chained(store: Store) -> None:
    detail = {"b": [1, 0.1, None, True], "a": "é\0"}
    appended = [store.audit.append("ada", "test.one", "s\0", detail), store.audit.append("ada", "test.two", "s")]
    assert store.audit.entries() == appended
    assert store.audit.entries(after=1) == appended[1:]
    assert store.audit.entries(limit=1) == appended[:1]
    assert [entry.sequence for entry in appended] == [1, 2]
    assert appended[0].previous_hash == "0" * 64
    assert appended[1].previous_hash == appended[0].hash
    assert appended[0].detail == detail


def test_hash_follows_its_definition(store: Store) -> None:
    entry = store.audit.append("ada", "test", "subject", {"b": 1, "a": "é"})
    fields: dict[str, Any] = {
        "action": "test",
        "actor": "ada",
        "created_utc": entry.created_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "detail": {"a": "é", "b": 1},
        "previous_hash": "0" * 64,
        "sequence": 1,
        "subject": "subject",
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert entry.hash == hashlib.sha256(text.encode()).hexdigest()


def test_detail_must_be_json(store: Store) -> None:
    with pytest.raises(BadInput):
        store.audit.append("ada", "test", "subject", {"x": float("nan")})
    assert store.audit.entries() == []


def test_unchanged_chain_verifies(store: Store) -> None:
    assert store.audit.verify().num_entries == 0
    for number in range(20):
        last = store.audit.append("ada", "test", str(number))
    verification = store.audit.verify()
    assert (verification.num_entries, verification.head, verification.broken_at) == (20, last.hash, None)


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit_log SET subject = 'x' WHERE sequence = 3", 3, "changed"),
        ("UPDATE audit_log SET detail = '{\"n\":9}' WHERE sequence = 1", 1, "changed"),
        ("UPDATE audit_log SET actor = 'eve' WHERE sequence = 5", 5, "changed"),
        ("DELETE FROM audit_log WHERE sequence = 2", 3, "missing"),
        ("DELETE FROM audit_log WHERE sequence = 1", 2, "missing"),
    ],
)
def test_verify_names_the_first_broken_entry(store: Store, statement: str, broken_at: int, reason: str) -> None:
    for number in range(5):
        store.audit.append("ada", "test", str(number), {"n": number})
    tamper(store, statement)
    verification = store.audit.verify()
    assert verification.broken_at == broken_at
    assert reason in verification.reason
    report = store.verify()
    assert not report.ok
    assert f"entry {broken_at}" in next(check.detail for check in report.checks if check.name == "audit log")


def test_entry_forged_with_valid_hash_breaks_the_next_entry(store: Store) -> None:
    for number in range(3):
        store.audit.append("ada", "test", str(number))
    second = store.audit.entries()[1]
    forged: AuditValues = {
        "sequence": second.sequence,
        "created_utc": second.created_utc,
        "actor": second.actor,
        "action": second.action,
        "subject": "forged",
        "detail": second.detail,
        "previous_hash": second.previous_hash,
    }
    tamper(store, f"UPDATE audit_log SET subject = 'forged', hash = '{hash_audit_entry(forged)}' WHERE sequence = 2")
    verification = store.audit.verify()
    assert verification.broken_at == 3
    assert "does not follow" in verification.reason


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET subject = 'x'",
        "DELETE FROM audit_log WHERE sequence = 2",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log SELECT 7, created_utc, actor, action, subject, detail, 'x', 'y' FROM audit_log WHERE sequence = 1",
    ],
)
def test_database_refuses_changes_to_the_log(store: Store, statement: str) -> None:
    appended = [store.audit.append("ada", "test", str(number)) for number in range(2)]
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), store.database.write() as connection:
        connection.exec_driver_sql(statement)
    assert store.audit.entries() == appended


def test_database_refuses_replacement_and_truncation(store: Store) -> None:
    store.audit.append("ada", "test", "1")
    row = "SELECT 1, created_utc, actor, action, 'forged', detail, previous_hash, hash FROM audit_log"
    statement = f"INSERT OR REPLACE INTO audit_log {row}" if store.database.is_sqlite else "TRUNCATE audit_log"
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), store.database.write() as connection:
        connection.exec_driver_sql(statement)
    assert store.audit.entries()[0].subject == "1"


def test_verify_reports_missing_triggers(store: Store) -> None:
    tamper(store, "SELECT 1")
    report = store.verify()
    assert not report.ok
    assert "unguarded" in report.checks[0].detail


def test_concurrent_threads_never_fork_the_chain(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.audit.append("ada", "test", str(number)), range(80)))
    verification = store.audit.verify()
    assert (verification.num_entries, verification.broken_at) == (80, None)


APPENDER = """
import sys
from pathlib import Path
from yearling.config import Settings
from yearling.store import Store

with Store.open(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as store:
    for number in range(25):
        store.audit.append(sys.argv[3], "test", str(number))
"""


@pytest.mark.slow
def test_concurrent_processes_never_fork_the_chain(settings: Settings, store: Store) -> None:
    command = [sys.executable, "-c", APPENDER, str(settings.data_dir), settings.database_url]
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([*command, str(number)], cwd=root) for number in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    verification = store.audit.verify()
    assert (verification.num_entries, verification.broken_at) == (100, None)
