"""Verification of everything that is stored: complete, consistent and unchanged. Reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import UserError
from yearling.store.audit import verify_audit_chain
from yearling.store.blobs import BlobStore
from yearling.store.chats.correction_rows import find_correction_fault
from yearling.store.chats.samples import find_length_mismatch
from yearling.store.database.database import Database
from yearling.store.database.documents_schema import document_versions
from yearling.store.database.learning_schema import texts
from yearling.store.database.migrate import read_schema_version
from yearling.store.database.packing import unpack_ids, unpack_logprobs
from yearling.store.database.schema import SCHEMA_VERSION, corrections, metadata, samples
from yearling.store.documents.documents import find_version_fault
from yearling.store.documents.passage_rows import find_index_faults
from yearling.store.hash_chain import ChainVerification
from yearling.store.learning.event_log import verify_event_chain
from yearling.store.learning.texts import find_text_fault

_MAX_NAMED_FAULTS = 5
_GUARD_TRIGGERS = {
    "sqlite": {f"{log}_{guard}" for log in ("audit_log", "events") for guard in ("no_update", "no_delete", "in_sequence")},
    "postgresql": {f"{log}_{guard}" for log in ("audit_log", "events") for guard in ("no_change", "no_truncate", "in_sequence")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationCheck:
    """The result of one check. `count` is how many things it checked."""

    name: str
    ok: bool
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The result of a verification. Compare the heads with a note of them to see that no entry was cut off at the end."""

    checks: tuple[VerificationCheck, ...]
    audit_entries: int
    audit_head: str
    event_entries: int = 0
    event_head: str = ""

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)


def verify_store(database: Database, blobs: BlobStore | None) -> VerificationReport:
    """Verify a database, and blobs if given. A part that cannot be read is a failed check, not an error."""
    steps: dict[str, Callable[[], VerificationCheck]] = {
        "database": lambda: _check_in_transaction(database, _check_database),
        "references": lambda: _check_in_transaction(database, _check_references),
        "audit log": lambda: _check_in_transaction(
            database, lambda connection: _check_chain("audit log", verify_audit_chain(connection))
        ),
        "event log": lambda: _check_in_transaction(
            database, lambda connection: _check_chain("event log", verify_event_chain(connection))
        ),
        "texts": lambda: _check_in_transaction(database, _check_texts),
        "corrections": lambda: _check_in_transaction(database, _check_corrections),
        "documents": lambda: _check_in_transaction(database, _check_documents),
        "samples": lambda: _check_in_transaction(database, _check_samples),
    }
    if blobs is not None:
        steps["blobs"] = lambda: _check_blobs(blobs)
    checks = tuple(_run_check(name, step) for name, step in steps.items())
    try:
        with database.read() as connection:
            chain, log = verify_audit_chain(connection), verify_event_chain(connection)
        return VerificationReport(
            checks=checks,
            audit_entries=chain.num_entries,
            audit_head=chain.head,
            event_entries=log.num_entries,
            event_head=log.head,
        )
    except UserError:  # a failed check reports it
        return VerificationReport(checks=checks, audit_entries=0, audit_head="")


def _run_check(name: str, step: Callable[[], VerificationCheck]) -> VerificationCheck:
    try:
        return step()
    except UserError as error:
        return VerificationCheck(name=name, ok=False, count=0, detail=error.message)


def _check_in_transaction(database: Database, check: Callable[[Connection], VerificationCheck]) -> VerificationCheck:
    with database.read() as connection:
        return check(connection)


def _check_database(connection: Connection) -> VerificationCheck:
    """Check SQLite's own structures, the schema version, and the triggers that guard the two logs."""
    faults: list[str] = []
    if connection.dialect.name == "sqlite":
        faults += [row for row in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars() if row != "ok"]
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
    else:
        triggers = connection.exec_driver_sql("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'").scalars()
    missing = _GUARD_TRIGGERS[connection.dialect.name] - set(triggers)
    if missing:
        faults.append(f"a log is unguarded: the triggers {', '.join(sorted(missing))} are missing")
    version = read_schema_version(connection)
    if version != SCHEMA_VERSION:
        faults.append(f"the schema is {version}, not {SCHEMA_VERSION}")
    rows = sum(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables)
    return _make_check("database", rows, faults)


def _check_references(connection: Connection) -> VerificationCheck:
    """Count the rows with dangling references, for every foreign key."""
    faults, count = [], 0
    for table in metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            count += 1
            parent = constraint.referred_table.alias()
            pairs = [(element.parent, parent.c[element.column.name]) for element in constraint.elements]
            orphans = connection.execute(
                sa.select(sa.func.count())
                .select_from(table.outerjoin(parent, sa.and_(*(child == other for child, other in pairs))))
                .where(*(child.is_not(None) for child, _ in pairs), pairs[0][1].is_(None))
            ).scalar_one()
            if orphans:
                faults.append(f"{orphans} rows of {table.name} refer to missing {constraint.referred_table.name}")
    return _make_check("references", count, faults)


def _check_chain(name: str, chain: ChainVerification) -> VerificationCheck:
    faults = [] if chain.broken_at is None else [f"entry {chain.broken_at} breaks the chain: {chain.reason}"]
    return _make_check(name, chain.num_entries, faults)


def _check_texts(connection: Connection) -> VerificationCheck:
    faults, count = [], 0
    for row in connection.execution_options(yield_per=500).execute(sa.select(texts)):
        count += 1
        if fault := find_text_fault(row):
            faults.append(fault)
    return _make_check("texts", count, faults)


def _check_corrections(connection: Connection) -> VerificationCheck:
    faults, count = [], 0
    for row in connection.execution_options(yield_per=500).execute(sa.select(corrections)):
        count += 1
        if fault := find_correction_fault(row):
            faults.append(fault)
    return _make_check("corrections", count, faults)


def _check_documents(connection: Connection) -> VerificationCheck:
    """Check that packed columns unpack, that passages are complete and counted, and that vectors have their length."""
    faults, count = [], 0
    for row in connection.execution_options(yield_per=500).execute(sa.select(document_versions)):
        count += 1
        if fault := find_version_fault(row):
            faults.append(fault)
    return _make_check("documents", count, faults + find_index_faults(connection))


def _check_samples(connection: Connection) -> VerificationCheck:
    """Check that packed columns unpack, that lengths match, and that `metadata` samples hold no tokens."""
    faults, count = [], 0
    columns = (samples.c.id, samples.c.prompt_ids, samples.c.output_ids, samples.c.logprobs, samples.c.kept)
    for row in connection.execution_options(yield_per=500).execute(sa.select(*columns)):
        count += 1
        try:
            prompt_ids, output_ids, logprobs = (
                unpack_ids(row.prompt_ids),
                unpack_ids(row.output_ids),
                unpack_logprobs(row.logprobs),
            )
        except UserError as error:
            faults.append(f"sample {row.id}: {error.message}")
            continue
        if fault := find_length_mismatch(output_ids, logprobs):
            faults.append(f"sample {row.id} has {fault}")
        if row.kept == "metadata" and (prompt_ids or output_ids or logprobs):
            faults.append(f"sample {row.id} holds tokens although only its metadata should be kept")
    return _make_check("samples", count, faults)


def _check_blobs(blobs: BlobStore) -> VerificationCheck:
    with blobs.pause_collection():
        present = [sha256 for sha256, _ in blobs.iter_sizes()]
        faults = [f"blob {sha256} was changed or is damaged" for sha256 in present if not blobs.is_intact(sha256)]
        faults += [f"blob {sha256} is missing" for sha256 in sorted(blobs.referenced_hashes() - set(present))]
    return _make_check("blobs", len(present), faults)


def _make_check(name: str, count: int, faults: list[str]) -> VerificationCheck:
    more = f"; and {len(faults) - _MAX_NAMED_FAULTS} more" if len(faults) > _MAX_NAMED_FAULTS else ""
    return VerificationCheck(name=name, ok=not faults, count=count, detail="; ".join(faults[:_MAX_NAMED_FAULTS]) + more)
