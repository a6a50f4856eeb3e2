"""The event log of feedback: what people did, as a chain in which every entry's hash covers the entry before it.

Each entry is the canonical JSON of one event; the log knows nothing of what events mean, only that each has an `id` that is
unique. Appending an event that is there already adds nothing, so that importing an export twice changes nothing. Like the audit
log it shows changes in the middle by itself, and a cut at the end against a head noted elsewhere (every backup and every export
carries one). Two writers never fork it: appending holds a lock until its transaction ends, and the database refuses a second
entry with the same predecessor, an update and a delete.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.schema import events
from yearling.store.hash_chain import CONTENT_CHANGED, GENESIS_HASH, ChainVerification, verify_chain
from yearling.store.learning.texts import TextRecord, add_texts, delete_texts

_EVENT_LOCK_KEY = 0x5965_6172_0003
_ID = re.compile(r"[!-~]{1,64}")
_LARGE_APPEND_ROWS = 5_000
_LARGE_CACHE_KIB = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """One link: `hash` = SHA-256 of `sequence`, `previous_hash` and the event's canonical JSON, a line feed between them."""

    sequence: int
    event: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogHead:
    """Where the log ends: the newest entry's number (0 for an empty log) and hash."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendResult:
    """What an append did: the new rows of the log, and the ids of events that were in it already."""

    new_rows: tuple[Mapping[str, Any], ...]
    known_ids: tuple[str, ...]

    @property
    def entries(self) -> tuple[EventEntry, ...]:
        """The new entries."""
        return tuple(
            EventEntry(
                sequence=row["sequence"], event=json.loads(row["event"]), previous_hash=row["previous_hash"], hash=row["hash"]
            )
            for row in self.new_rows
        )


class EventLog:
    """The event log of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        new: Iterable[Mapping[str, Any]],
        *,
        texts: Iterable[TextRecord] = (),
        delete_text_ids: Iterable[str] = (),
        expected_head: str | None = None,
    ) -> AppendResult:
        """Add events, all or none, with the texts that they refer to; `forget` are texts that go with them. Durable on return.

        Raises what `Texts.add` raises; BadInput for an event that is no JSON or has no proper id; Untrusted when its id stands
        for another event already; Conflict when `expected_head` is given and the log has another; StorageFailed.
        """
        prepared, words, gone = list(new), list(texts), list(delete_text_ids)
        with self._database.write() as connection:
            if words:
                add_texts(connection, words)
            appended = append_events(connection, prepared, expected_head=expected_head)
            forgotten = delete_texts(connection, gone, actor=str(prepared[0].get("actor", ""))) if gone and prepared else 0
        if forgotten:
            self._database.scrub("texts")
        return appended

    def entries(self, *, after: int = 0, up_to: int | None = None, limit: int | None = None) -> list[EventEntry]:
        """Entries with `after` < sequence ≤ `up_to`, oldest first, at most `limit`."""
        with self.stream(after=after, up_to=up_to, limit=limit) as found:
            return list(found)

    @contextmanager
    def stream(self, *, after: int = 0, up_to: int | None = None, limit: int | None = None) -> Iterator[Iterator[EventEntry]]:
        """The same one by one, for logs larger than memory: one moment's view while the block lasts."""
        query = sa.select(events).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
        if up_to is not None:
            query = query.where(events.c.sequence <= up_to)
        with self._database.read() as connection:
            yield (_entry_from_row(row) for row in connection.execution_options(yield_per=1000).execute(query))

    def get(self, event_id: str) -> EventEntry:
        """The entry of an event. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(events).where(events.c.id == event_id)).first()
        if row is None:
            raise NotFound(f"There is no event {event_id[:100]!r}.")
        return _entry_from_row(row)

    def known_ids(self, ids: Iterable[str]) -> set[str]:
        """Those of these ids that are in the log."""
        with self._database.read() as connection:
            return set(_existing_lines(connection, list(ids)))

    def head(self) -> EventLogHead:
        """Where the log ends now."""
        with self._database.read() as connection:
            return _read_head(connection)

    def verify(self) -> ChainVerification:
        """Walk the whole chain and recompute every hash."""
        with self._database.read() as connection:
            return verify_event_chain(connection)


def append_events(connection: Connection, new: Sequence[Mapping[str, Any]], *, expected_head: str | None = None) -> AppendResult:
    """Add events within a write transaction that also does what belongs to them. Raises as `Events.append`."""
    lines: dict[str, str] = {}
    for event in new:
        event_id, line = _validated_id(event), pack_canonical_json(event)
        if lines.setdefault(event_id, line) != line:
            raise _conflicting_events_error(event_id)
    lock_event_log(connection)
    head = _read_head(connection)
    if expected_head is not None and head.hash != expected_head:
        raise Conflict("Others wrote to the event log in the meantime.", advice="Try again.")
    present = _existing_lines(connection, list(lines)) if head.sequence else {}
    for event_id, line in present.items():
        if lines[event_id] != line:
            raise _conflicting_events_error(event_id)
    rows = []
    sequence, previous = head.sequence, head.hash
    for event_id, line in lines.items():
        if event_id not in present:
            sequence += 1
            digest = hash_event_entry(sequence, previous, line)
            rows.append({"sequence": sequence, "id": event_id, "event": line, "previous_hash": previous, "hash": digest})
            previous = digest
    with _enlarged_cache(connection, len(rows)):
        for batch in in_batches(rows):
            connection.execute(events.insert(), batch)
    return AppendResult(new_rows=tuple(rows), known_ids=tuple(present))


@contextmanager
def _enlarged_cache(connection: Connection, num_rows: int) -> Iterator[None]:
    """Memory for the pages of a large append: hashes scatter over the indexes, and SQLite would read and write each again."""
    if connection.dialect.name != "sqlite" or num_rows < _LARGE_APPEND_ROWS:
        yield
        return
    before = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    connection.exec_driver_sql(f"PRAGMA cache_size = {-_LARGE_CACHE_KIB}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = {before}")


def lock_event_log(connection: Connection) -> None:
    """Keep other writers from the log until the transaction ends; on SQLite the transaction does. Locking twice is free."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_EVENT_LOCK_KEY)))


def hash_event_entry(sequence: int, previous_hash: str, line: str) -> str:
    """SHA-256 of an entry, whose event is `line` in canonical JSON (ASCII, sorted keys, no spaces)."""
    return hashlib.sha256(f"{sequence}\n{previous_hash}\n{line}".encode()).hexdigest()


def verify_event_chain(connection: Connection) -> ChainVerification:
    """Check every entry in order, up to the first fault."""
    rows = connection.execution_options(yield_per=1000).execute(sa.select(events).order_by(events.c.sequence))
    return verify_chain(rows, _find_fault)


def _find_fault(row: Row[Any]) -> str:
    if row.hash != hash_event_entry(row.sequence, row.previous_hash, row.event):
        return CONTENT_CHANGED
    return "" if json.loads(row.event).get("id") == row.id else "it is filed under another event's id"


def _read_head(connection: Connection) -> EventLogHead:
    last = connection.execute(sa.select(events.c.sequence, events.c.hash).order_by(events.c.sequence.desc()).limit(1)).first()
    return EventLogHead(sequence=last.sequence, hash=last.hash) if last else EventLogHead(sequence=0, hash=GENESIS_HASH)


def _existing_lines(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The lines of those of these ids that are in the log."""
    found: dict[str, str] = {}
    for batch in in_batches(ids):
        query = sa.select(events.c.id, events.c.event).where(events.c.id.in_(batch))
        found.update((row.id, row.event) for row in connection.execute(query))
    return found


def _validated_id(event: Mapping[str, Any]) -> str:
    event_id = event.get("id")
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise BadInput(f"An event needs an id of 1 to 64 visible ASCII characters, not {event_id!r}.", param="id")
    return event_id


def _conflicting_events_error(event_id: str) -> Untrusted:
    return Untrusted(f"Two different events have the id {event_id}.", advice="Take the events from their source again.")


def _entry_from_row(row: Row[Any]) -> EventEntry:
    return EventEntry(sequence=row.sequence, event=json.loads(row.event), previous_hash=row.previous_hash, hash=row.hash)
