"""Is everything that is stored whole and as it was written? Reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import UserError
from yearling.store.audit import ChainState, walk
from yearling.store.blobs import Blobs
from yearling.store.chats.samples import length_fault
from yearling.store.database.database import Database
from yearling.store.database.migrate import current_version
from yearling.store.database.packing import unpack_ids, unpack_logprobs
from yearling.store.database.schema import VERSION, metadata, samples, texts
from yearling.store.learning.event_log import walk_events
from yearling.store.learning.texts import text_fault

_MOST_NAMED = 5
_GUARDS = {
    "sqlite": {f"{log}_{guard}" for log in ("audit_log", "events") for guard in ("no_update", "no_delete", "in_sequence")},
    "postgresql": {f"{log}_{guard}" for log in ("audit_log", "events") for guard in ("no_change", "no_truncate", "in_sequence")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `count` is how many there were to look at."""

    name: str
    ok: bool
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What verification found. Compare the heads with a note of yours to see that no entry was cut off at the end."""

    checks: tuple[Check, ...]
    audit_entries: int
    audit_head: str
    event_entries: int = 0
    event_head: str = ""

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def verify(database: Database, blobs: Blobs | None) -> Report:
    """Check the database, and the blobs where given. A part that cannot be read is a failed check, not an error."""
    steps: dict[str, Callable[[], Check]] = {
        "database": lambda: _in_view(database, _integrity),
        "references": lambda: _in_view(database, _references),
        "audit log": lambda: _in_view(database, lambda connection: _chain("audit log", walk(connection))),
        "event log": lambda: _in_view(database, lambda connection: _chain("event log", walk_events(connection))),
        "texts": lambda: _in_view(database, _texts),
        "samples": lambda: _in_view(database, _samples),
    }
    if blobs is not None:
        steps["blobs"] = lambda: _blobs(blobs)
    checks = tuple(_tried(name, step) for name, step in steps.items())
    try:
        with database.read() as connection:
            chain, log = walk(connection), walk_events(connection)
        return Report(
            checks=checks,
            audit_entries=chain.entries,
            audit_head=chain.head,
            event_entries=log.entries,
            event_head=log.head,
        )
    except UserError:  # told by the failed check already
        return Report(checks=checks, audit_entries=0, audit_head="")


def _tried(name: str, step: Callable[[], Check]) -> Check:
    try:
        return step()
    except UserError as error:
        return Check(name=name, ok=False, count=0, detail=error.message)


def _in_view(database: Database, check: Callable[[Connection], Check]) -> Check:
    with database.read() as connection:
        return check(connection)


def _integrity(connection: Connection) -> Check:
    """The database's own structures (SQLite), the schema's number, and the triggers that guard the two logs."""
    faults: list[str] = []
    if connection.dialect.name == "sqlite":
        faults += [row for row in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars() if row != "ok"]
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
    else:
        triggers = connection.exec_driver_sql("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'").scalars()
    missing = _GUARDS[connection.dialect.name] - set(triggers)
    if missing:
        faults.append(f"a log is not guarded: {', '.join(sorted(missing))} missing")
    version = current_version(connection)
    if version != VERSION:
        faults.append(f"the schema is {version}, not {VERSION}")
    rows = sum(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables)
    return _check("database", rows, faults)


def _references(connection: Connection) -> Check:
    """Every foreign key, counted by hand: rows that refer to nothing."""
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
    return _check("references", count, faults)


def _chain(name: str, chain: ChainState) -> Check:
    faults = [] if chain.broken_at is None else [f"entry {chain.broken_at} breaks the chain: {chain.reason}"]
    return _check(name, chain.entries, faults)


def _texts(connection: Connection) -> Check:
    faults, count = [], 0
    for row in connection.execution_options(yield_per=500).execute(sa.select(texts)):
        count += 1
        if fault := text_fault(row):
            faults.append(fault)
    return _check("texts", count, faults)


def _samples(connection: Connection) -> Check:
    """Packed columns that unpack, with as many log-probabilities as tokens, and nothing kept that should not be."""
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
        if fault := length_fault(output_ids, logprobs):
            faults.append(f"sample {row.id} has {fault}")
        if row.kept == "metadata" and (prompt_ids or output_ids or logprobs):
            faults.append(f"sample {row.id} holds tokens that were not to be kept")
    return _check("samples", count, faults)


def _blobs(blobs: Blobs) -> Check:
    with blobs.in_use():
        present = [sha256 for sha256, _ in blobs.sizes()]
        faults = [f"blob {sha256} was changed or damaged" for sha256 in present if not blobs.intact(sha256)]
        faults += [f"blob {sha256} is missing" for sha256 in sorted(blobs.needed() - set(present))]
    return _check("blobs", len(present), faults)


def _check(name: str, count: int, faults: list[str]) -> Check:
    more = f"; and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
    return Check(name=name, ok=not faults, count=count, detail="; ".join(faults[:_MOST_NAMED]) + more)
