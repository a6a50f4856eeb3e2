"""The event log of feedback: what people did, as a hash chain (see `hash_chain.py`).

Each entry is the canonical JSON of one event. The log knows nothing of what events mean, only that each has a unique `id`.
Appending an event that is in the log already adds nothing, so importing an export twice changes nothing. Two writers cannot fork
the chain: appending holds a lock until its transaction ends. The database refuses updates, deletes, and a second entry with the
same predecessor.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.store.database.database import Database, in_batches
from yearling.store.database.learning_schema import events
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.schema import TableRow
from yearling.store.hash_chain import CONTENT_CHANGED, GENESIS_HASH, ChainVerification, verify_chain
from yearling.store.learning.texts import TextRecord, add_texts, delete_texts

_EVENT_LOCK_KEY = 0x5965_6172_0003
_ID = re.compile(r"[!-~]{1,64}")
_LARGE_APPEND_ROWS = 5_000
_LARGE_CACHE_KIB = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """One entry. `hash` is the SHA-256 of `sequence`, `previous_hash` and the event's canonical JSON, separated by line feeds."""

    sequence: int
    event: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogHead:
    """The end of the log: sequence number (0 for an empty log) and hash of the newest entry."""

    sequence: int
    hash: str


class EventRow(TypedDict):
    """A row of the log. `event` is canonical JSON."""

    sequence: int
    id: str
    event: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendResult:
    """The result of an append: the new rows of the log, and the ids of events that were in it already."""

    new_rows: tuple[EventRow, ...]
    known_ids: tuple[str, ...]

    @property
    def entries(self) -> tuple[EventEntry, ...]:
        """The new rows as entries."""
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
        new: Iterable[Mapping[str, object]],
        *,
        texts: Iterable[TextRecord] = (),
        delete_text_ids: Iterable[str] = (),
        expected_head: str | None = None,
    ) -> AppendResult:
        """Add events, all or none, with the texts that they refer to, and delete the texts that they retract. Durable on return.

        Raises as `TextStore.add`; BadInput for an event that is not JSON or has no valid id; Untrusted if its id belongs to
        another event; Conflict if `expected_head` is given and the log has another head; StorageFailed.
        """
        new_events, new_texts, text_ids = list(new), list(texts), list(delete_text_ids)
        with self._database.write() as connection:
            if new_texts:
                add_texts(connection, new_texts)
            result = append_events(connection, new_events, expected_head=expected_head)
            actor = str(new_events[0].get("actor", "")) if new_events else ""
            num_deleted = delete_texts(connection, text_ids, actor=actor) if text_ids and new_events else 0
        if num_deleted:
            self._database.scrub("texts")
        return result

    def entries(self, *, after: int = 0, up_to: int | None = None, limit: int | None = None) -> list[EventEntry]:
        """Entries with `after` < sequence ≤ `up_to`, oldest first, at most `limit`."""
        with self.stream(after=after, up_to=up_to, limit=limit) as entries:
            return list(entries)

    @contextmanager
    def stream(self, *, after: int = 0, up_to: int | None = None, limit: int | None = None) -> Iterator[Iterator[EventEntry]]:
        """Iterate over such entries, for logs larger than memory. The block sees one consistent state."""
        query = sa.select(events).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
        if up_to is not None:
            query = query.where(events.c.sequence <= up_to)
        with self._database.read() as connection:
            yield (_entry_from_row(row) for row in connection.execution_options(yield_per=1000).execute(query))

    def get(self, event_id: str) -> EventEntry:
        """The entry with this event. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(events).where(events.c.id == event_id)).first()
        if row is None:
            raise NotFound(f"There is no event {event_id[:100]!r}.")
        return _entry_from_row(row)

    def known_ids(self, ids: Iterable[str]) -> set[str]:
        """The subset of these event ids that are in the log."""
        with self._database.read() as connection:
            return set(_existing_lines(connection, list(ids)))

    def head(self) -> EventLogHead:
        """The current end of the log."""
        with self._database.read() as connection:
            return _read_head(connection)

    def verify(self) -> ChainVerification:
        """Check the whole chain and recompute every hash."""
        with self._database.read() as connection:
            return verify_event_chain(connection)


def append_events(
    connection: Connection, new: Sequence[Mapping[str, object]], *, expected_head: str | None = None
) -> AppendResult:
    """Add events within a write transaction that makes related changes. Raises as `EventLog.append`."""
    lines: dict[str, str] = {}
    for event in new:
        event_id, line = _validated_id(event), pack_canonical_json(event)
        if lines.setdefault(event_id, line) != line:
            raise _conflicting_events_error(event_id)
    lock_event_log(connection)
    head = _read_head(connection)
    if expected_head is not None and head.hash != expected_head:
        raise Conflict("The event log changed in the meantime.", advice="Try again.")
    present = _existing_lines(connection, list(lines)) if head.sequence else {}
    for event_id, line in present.items():
        if lines[event_id] != line:
            raise _conflicting_events_error(event_id)
    rows: list[EventRow] = []
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
    """Enlarge SQLite's page cache for a large append: hashes scatter over the indexes, whose pages would be read repeatedly."""
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
    """Keep other writers out of the log until the transaction ends. On SQLite every write transaction does. Reentrant."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_EVENT_LOCK_KEY)))


def hash_event_entry(sequence: int, previous_hash: str, line: str) -> str:
    """SHA-256 of an entry. `line` is the event as canonical JSON in ASCII."""
    return hashlib.sha256(f"{sequence}\n{previous_hash}\n{line}".encode()).hexdigest()


def verify_event_chain(connection: Connection) -> ChainVerification:
    """Check every entry in order, up to the first fault."""
    rows = connection.execution_options(yield_per=1000).execute(sa.select(events).order_by(events.c.sequence))
    return verify_chain(rows, _find_fault)


def _find_fault(row: TableRow) -> str:
    if row.hash != hash_event_entry(row.sequence, row.previous_hash, row.event):
        return CONTENT_CHANGED
    return "" if json.loads(row.event).get("id") == row.id else "it is filed under another event's id"


def _read_head(connection: Connection) -> EventLogHead:
    last = connection.execute(sa.select(events.c.sequence, events.c.hash).order_by(events.c.sequence.desc()).limit(1)).first()
    return EventLogHead(sequence=last.sequence, hash=last.hash) if last else EventLogHead(sequence=0, hash=GENESIS_HASH)


def _existing_lines(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The stored lines of these events, by id; those that are not in the log are omitted."""
    lines: dict[str, str] = {}
    for batch in in_batches(ids):
        query = sa.select(events.c.id, events.c.event).where(events.c.id.in_(batch))
        lines.update((row.id, row.event) for row in connection.execute(query))
    return lines


def _validated_id(event: Mapping[str, object]) -> str:
    event_id = event.get("id")
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise BadInput(f"The id of an event must have 1 to 64 visible ASCII characters, not {event_id!r}.", param="id")
    return event_id


def _conflicting_events_error(event_id: str) -> Untrusted:
    return Untrusted(f"Two different events have the id {event_id}.", advice="Get the events from their source again.")


def _entry_from_row(row: TableRow) -> EventEntry:
    return EventEntry(sequence=row.sequence, event=json.loads(row.event), previous_hash=row.previous_hash, hash=row.hash)
