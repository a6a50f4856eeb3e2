"""The audit log: who did what, as a hash chain (see `hash_chain.py`).

`verify` reports the head of the chain, to be compared with a note of it. Two writers cannot fork the chain: appending holds a
lock until its transaction ends, and the database refuses a second entry with the same predecessor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.records import AuditEntry
from yearling.store.database.column_types import format_time
from yearling.store.database.database import Database
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.schema import TableRow, audit_log
from yearling.store.hash_chain import CONTENT_CHANGED, GENESIS_HASH, ChainVerification, verify_chain

_to_json = json.JSONEncoder(ensure_ascii=True).encode
_AUDIT_LOCK_KEY = 0x5965_6172_0001  # unique among our advisory locks


class AuditValues(TypedDict):
    """The fields of an entry that its hash covers."""

    sequence: int
    created_utc: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, object]
    previous_hash: str


class AuditLog:
    """The audit log of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None) -> AuditEntry:
        """Add an entry; durable on return. Raises BadInput if `detail` is not JSON, StorageFailed."""
        with self._database.write() as connection:
            return append_audit_entry(connection, actor, action, subject, detail)

    def entries(self, *, after: int = 0, limit: int | None = None, actions: Collection[str] | None = None) -> list[AuditEntry]:
        """Entries with a sequence number above `after`, oldest first: those of certain actions if given."""
        query = sa.select(audit_log).where(audit_log.c.sequence > after).order_by(audit_log.c.sequence).limit(limit)
        if actions is not None:
            query = query.where(audit_log.c.action.in_(actions))
        with self._database.read() as connection:
            return [_entry_from_row(row) for row in connection.execute(query)]

    def latest_sequence(self) -> int:
        """The sequence number of the newest entry."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.max(audit_log.c.sequence))) or 0

    def hashes(self) -> dict[int, str]:
        """The hash of every entry, by its sequence number."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(audit_log.c.sequence, audit_log.c.hash))
            return {row.sequence: row.hash for row in rows}

    def verify(self) -> ChainVerification:
        """Check the whole chain and recompute every hash."""
        with self._database.read() as connection:
            return verify_audit_chain(connection)


def append_audit_entry(
    connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None
) -> AuditEntry:
    """Add an entry within the write transaction that does what the entry records."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_AUDIT_LOCK_KEY)))
    last = connection.execute(
        sa.select(audit_log.c.sequence, audit_log.c.hash).order_by(audit_log.c.sequence.desc()).limit(1)
    ).first()
    values: AuditValues = {
        "sequence": last.sequence + 1 if last else 1,
        "created_utc": now_utc(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": json.loads(pack_canonical_json(detail or {})),
        "previous_hash": last.hash if last else GENESIS_HASH,
    }
    entry = AuditEntry(**values, hash=hash_audit_entry(values))
    connection.execute(audit_log.insert().values({**values, "detail": pack_canonical_json(entry.detail), "hash": entry.hash}))
    return entry


def hash_audit_entry(values: AuditValues) -> str:
    """SHA-256 of the canonical JSON of all fields except `hash`. The time is ISO 8601 with microseconds and `Z`."""
    created = format_time(values["created_utc"].astimezone(UTC))
    return hashlib.sha256(pack_canonical_json({**values, "created_utc": created}).encode()).hexdigest()


def verify_audit_chain(connection: Connection) -> ChainVerification:
    """Check every entry in order, up to the first fault."""
    rows = connection.execution_options(yield_per=1000).execute(sa.select(audit_log).order_by(audit_log.c.sequence))
    return verify_chain(rows, _find_fault)


def verify_audit_entries(entries: Iterable[AuditEntry]) -> ChainVerification:
    """Check entries that came from elsewhere, in order, up to the first fault."""
    return verify_chain(entries, lambda entry: "" if entry.hash == hash_audit_entry(_values_of(entry)) else CONTENT_CHANGED)


def _values_of(entry: AuditEntry) -> AuditValues:
    return {
        "sequence": entry.sequence,
        "created_utc": entry.created_utc,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "previous_hash": entry.previous_hash,
    }


def _find_fault(row: TableRow) -> str:
    """What is wrong with an entry by itself.

    A column that cannot be read is a fault of the entry too. The text of `detail` is hashed as it is stored: it is canonical, and
    reading it would take most of the time.
    """
    text = (
        f'{{"action":{_to_json(row.action)},"actor":{_to_json(row.actor)},"created_utc":"{format_time(row.created_utc)}",'
        f'"detail":{row.detail},"previous_hash":"{row.previous_hash}","sequence":{row.sequence},'
        f'"subject":{_to_json(row.subject)}}}'
    )
    return "" if row.hash == hashlib.sha256(text.encode()).hexdigest() else CONTENT_CHANGED


def _entry_from_row(row: TableRow) -> AuditEntry:
    return AuditEntry(**{**row._mapping, "detail": json.loads(row.detail)})
