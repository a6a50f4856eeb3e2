"""`yearling audit verify`: everything that must be in the log, chains that were rewritten as a whole, flipped bytes."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.release.conftest import Installation
from tests.store.conftest import database_url, postgres_server, settings, store
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import UserError
from yearling.loop import AuditReport, verify_audit
from yearling.loop.referee.verification import read_repository
from yearling.release import Change
from yearling.store import Store
from yearling.store.audit import AuditValues, hash_audit_entry
from yearling.store.database.schema import audit_log

__all__ = ["database_url", "postgres_server", "settings", "store"]


def verify(installation: Installation) -> AuditReport:
    return verify_audit(installation.store, installation.folder)


def first_fault(installation: Installation) -> str:
    report = verify(installation)
    assert not report.ok
    return report.faults[0].sentence


def live(installation: Installation) -> None:
    """One of everything that leaves a trace: a promotion, a stop and its end, a canary, a rollback, an incident, a gate."""
    owner, store, authority = installation.owner.id, installation.store, installation.authority
    release = installation.release("second")
    store.gates.record(champion="a", challenger="b", decision="REJECT", body={}, actor=owner)
    incident = store.incidents.open(owner, sample_id="s", model="m", model_hash="h", reason="no")
    store.incidents.dismiss(incident.id, reviewed_by=owner, review="fine")
    installation.change("promote", release)
    notice = authority.stop("second", actor=owner, reason="wrong")
    authority.propose(Change(kind="resume", stop_id=notice.id), actor=owner)
    installation.change("rollback")
    authority.stop(None, actor=owner, reason="all wrong")


def test_a_life_of_releases_verifies(alone: Installation) -> None:
    live(alone)
    report = verify(alone)
    assert report.ok, report.faults
    counts = {check.name: check.count for check in report.checks}
    assert counts == {
        "chain": report.entries, "releases": 2, "gates": 1, "incidents": 1, "signatures": 4, "keys": 1, "stops": 2,
    }  # fmt: skip


def test_a_quorum_and_its_keys_verify(quorum: Installation) -> None:
    report = verify(quorum)
    assert report.ok, report.faults
    assert {check.name: check.count for check in report.checks}["keys"] == 1 + 2 + 3


def drop_guards(connection: sqlite3.Connection) -> None:
    for name in ("no_update", "no_delete", "in_sequence"):
        connection.execute(f"DROP TRIGGER IF EXISTS audit_log_{name}")


def rewrite_log(installation: Installation, keep: Callable[[dict[str, Any]], bool]) -> None:
    """What the owner of a database can do: write the whole chain anew without some entries."""
    entries = [entry for entry in installation.store.audit.entries() if keep({"action": entry.action, "subject": entry.subject})]
    with closing(sqlite3.connect(installation.store.database.path or "")) as connection:
        drop_guards(connection)
        connection.execute("DELETE FROM audit_log")
        head = "0" * 64
        for sequence, entry in enumerate(entries, start=1):
            created = entry.created_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            fields = {
                "sequence": sequence, "created_utc": created, "actor": entry.actor, "action": entry.action,
                "subject": entry.subject, "detail": entry.detail, "previous_hash": head,
            }  # fmt: skip
            text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
            head = hashlib.sha256(text.encode()).hexdigest()
            detail = json.dumps(entry.detail, sort_keys=True, separators=(",", ":"))
            values = (sequence, created, entry.actor, entry.action, entry.subject, detail, fields["previous_hash"], head)
            connection.execute(
                "INSERT INTO audit_log (sequence, created_utc, actor, action, subject, detail, previous_hash, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        connection.commit()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "check", "sentence"),
    [
        ("release.create", "releases", "is not in the log"),
        ("gate.decide", "gates", "is not in the log"),
        ("incident.open", "incidents", "is not in the log"),
        ("incident.dismissed", "incidents", "The review of the incident"),
        ("release.propose", "signatures", "was signed over another log"),
        ("release.sign", "signatures", "The signature of"),
        ("release.publish", "signatures", "The publication of version"),
        ("release.stop", "stops", "is not in the log"),
    ],
)
def test_a_chain_that_was_written_anew_without_an_entry_is_found(
    alone: Installation, action: str, check: str, sentence: str
) -> None:
    live(alone)
    rewrite_log(alone, lambda entry: entry["action"] != action)
    report = verify(alone)
    assert next(each for each in report.checks if each.name == "chain").faults == ()
    faults = [fault.sentence for fault in report.faults if fault.check == check]
    assert any(sentence in fault for fault in faults), report.faults


@pytest.mark.slow
def test_a_chain_that_was_cut_off_or_written_anew_misses_the_signed_heads(alone: Installation) -> None:
    live(alone)
    rewrite_log(alone, lambda entry: entry["action"] != "incident.open")
    heads = [fault for fault in verify(alone).faults if "signed over another log" in fault.sentence]
    assert heads
    assert heads[0].entry


@pytest.mark.slow
def test_records_that_were_removed_or_changed_are_found(alone: Installation) -> None:
    live(alone)
    with closing(sqlite3.connect(alone.store.database.path or "")) as connection:
        connection.execute("DELETE FROM releases WHERE number = 1")
        connection.execute("UPDATE gates SET decision = 'ALLOW'")
        connection.execute("UPDATE incidents SET state = 'open'")
        connection.commit()
    sentences = " ".join(fault.sentence for fault in verify(alone).faults)
    for expected in ("Release 1 was removed", "is not as it was logged", "but is open again"):
        assert expected in sentences


@pytest.mark.slow
def test_metadata_that_was_changed_removed_or_replaced_is_found(alone: Installation) -> None:
    live(alone)
    repository = alone.folder / "repository"
    changes: dict[str, Callable[[bytes], bytes]] = {
        "3.targets.json": lambda content: content.replace(b'"reason"', b'"reasom"'),
        "1.root.json": lambda content: content.replace(b'"threshold":1', b'"threshold":0'),
        "timestamp.json": lambda content: content[:-10],
    }
    for name, change in changes.items():
        original = (repository / name).read_bytes()
        changed = change(original)
        assert changed != original
        (repository / name).write_bytes(changed)
        assert name.partition(".json")[0] in first_fault(alone)
        (repository / name).write_bytes(original)
    target = next((repository / "targets" / "releases").iterdir())
    target.write_bytes(b"{}")
    assert "is missing or was changed" in first_fault(alone)
    shutil.rmtree(repository)
    assert "not complete" in first_fault(alone) or "was published" in first_fault(alone)


def test_a_stop_that_ended_without_signatures_is_found(alone: Installation) -> None:
    live(alone)
    path = alone.folder / "stop.json"
    value = {"notices": [], "sha256": hashlib.sha256(b"[]").hexdigest()}
    path.write_text(json.dumps(value))
    assert "ended without signatures" in first_fault(alone)


def test_an_installation_without_releases_verifies(installation: Installation, run_yearling: Run) -> None:
    assert {check.name for check in verify(installation).checks} == {"chain", "releases", "gates", "incidents"}
    result = run_yearling("audit", "verify")
    assert result.exit_code == 0
    assert "No fault found" in result.stdout


@pytest.mark.slow
def test_the_command_prints_the_first_fault_with_its_entry(alone: Installation, run_yearling: Run) -> None:
    live(alone)
    assert run_yearling("audit", "verify").exit_code == 0
    with closing(sqlite3.connect(alone.store.database.path or "")) as connection:
        drop_guards(connection)
        connection.execute("UPDATE audit_log SET actor = 'somebody' WHERE sequence = 2")
        connection.commit()
    result = run_yearling("audit", "verify")
    assert result.exit_code == 1
    assert "Entry 2 breaks the chain" in result.stderr
    report = json.loads(run_yearling("audit", "verify", "--json").stdout)
    assert (report["ok"], report["faults"][0]["entry"]) == (False, 2)


def flip_bytes(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Flip one bit at a time in the database of an installation. Each must be refused, reported, or change nothing that is read.

    Returns how often each of the three happened.
    """
    with Store.open(Settings(data_dir=folder / "data")) as store:
        installation = Installation(store)
        installation.bootstrap()
        live(installation)
        assert verify(installation).ok
        expected = what_counts(store)
        store.database.scrub()
    path = folder / "data" / "yearling.db"
    original = path.read_bytes()
    tables = pages_of(path)
    rng, outcomes = random.Random(seed), {"refused": 0, "reported": 0, "harmless": 0}
    for _ in range(count):
        page, size = rng.choice(tables)
        damaged = bytearray(original)
        damaged[(page - 1) * size + rng.randrange(size)] ^= 1 << rng.randrange(8)
        for leftover in folder.glob("data/yearling.db-*"):
            leftover.unlink()
        path.write_bytes(damaged)
        try:
            with Store.open(Settings(data_dir=folder / "data")) as store:
                report = verify_audit(store, folder / "data" / "release")
                if not report.ok:
                    outcomes["reported"] += 1
                    continue
                found = what_counts(store)
        except UserError:
            outcomes["refused"] += 1
            continue
        assert found == expected, "a flipped bit changed what is read, and nothing reported it"
        outcomes["harmless"] += 1
    return outcomes


def what_counts(store: Store) -> tuple[object, ...]:
    """What an audit reports of a store."""
    gates = [(gate.id, gate.champion, gate.challenger, gate.decision, gate.body) for gate in store.gates.list()]
    return store.audit.entries(), store.releases.list(), gates, [(each.id, each.state) for each in store.incidents.list()]


def pages_of(path: Path) -> list[tuple[int, int]]:
    """(page number, page size) of the pages that hold the log and the records of releases."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        names = ("audit_log", "releases", "gates")
        marks = ",".join("?" * len(names))
        roots = connection.execute(f"SELECT rootpage FROM sqlite_master WHERE tbl_name IN ({marks}) AND rootpage > 0", names)
        try:
            pages = connection.execute(f"SELECT pageno FROM dbstat WHERE name IN ({marks})", names).fetchall()
        except sqlite3.OperationalError:
            pages = roots.fetchall()
        return [(number, size) for (number,) in pages]


def flip_metadata(installation: Installation, count: int, seed: int) -> dict[str, int]:
    """Flip one bit at a time in a file of the signed metadata: a fault, or exactly the history that was signed."""
    live(installation)
    folder = installation.folder / "repository"
    expected = read_repository(folder)
    assert expected.faults == []
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    rng, outcomes = random.Random(seed), {"reported": 0, "harmless": 0}
    for _ in range(count):
        path = rng.choice(files)
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found = read_repository(folder)
        if found.faults or (found.roots != expected.roots and not verify(installation).ok):
            outcomes["reported"] += 1
        else:  # such as a snapshot that nothing names any more
            assert (found.roots, found.versions, found.current) == (expected.roots, expected.versions, expected.current)
            assert found.contents == expected.contents
            outcomes["harmless"] += 1
        path.write_bytes(content)
    return outcomes


@pytest.mark.slow
def test_a_sample_of_flipped_bits_in_the_database(tmp_path: Path) -> None:
    outcomes = flip_bytes(tmp_path, 40, seed=1)
    print(outcomes)
    assert outcomes["refused"] + outcomes["reported"] > 0


@pytest.mark.drill
def test_a_thousand_flipped_bits_in_the_database(tmp_path: Path) -> None:
    print(flip_bytes(tmp_path, 1000, seed=2))


@pytest.mark.slow
def test_a_sample_of_flipped_bits_in_the_metadata(alone: Installation) -> None:
    outcomes = flip_metadata(alone, 60, seed=1)
    print(outcomes)
    assert outcomes["reported"] > 30


@pytest.mark.drill
def test_a_thousand_flipped_bits_in_the_metadata(alone: Installation) -> None:
    print(flip_metadata(alone, 1000, seed=2))


@pytest.mark.drill
def test_a_hundred_thousand_entries_take_at_most_five_seconds(store: Store) -> None:
    """On SQLite and on Postgres."""
    head = "0" * 64
    rows: list[dict[str, object]] = []
    for sequence in range(store.audit.latest_sequence() + 1, 100_001):
        head = head if rows else store.audit.verify().head
        values: AuditValues = {
            "sequence": sequence,
            "created_utc": now_utc(),
            "actor": "0190aaaa-bbbb-cccc-dddd-eeeeffff0000",
            "action": "session.open",
            "subject": str(sequence),
            "detail": {"how": "password"},
            "previous_hash": head,
        }
        head = hash_audit_entry(values)
        rows.append({**values, "detail": '{"how":"password"}', "hash": head})
    with store.database.write() as connection:
        connection.execute(audit_log.insert(), rows)
    started, processor = time.monotonic(), time.process_time()
    report = verify_audit(store, store.settings.data_dir / "release")
    wall_s, processor_s = time.monotonic() - started, time.process_time() - processor
    print(f"{report.entries} entries: {wall_s:.2f} s, of which {processor_s:.2f} s here")
    assert (report.ok, report.entries) == (True, 100_000)
    assert processor_s <= 5
