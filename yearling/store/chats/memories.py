"""Memories: what the assistant may know about a person, in the person's own words, each with its source message.

Deleting the source message deletes the memory too, unless the person has edited it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.chats.conversations import UNCHANGED, Unchanged
from yearling.store.database.column_types import parse_time
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import record_values
from yearling.store.database.schema import TableRow, conversations, memories, messages
from yearling.store.database.search import fold_text

MAX_MEMORIES_PER_PERSON = 1000
"""How many memories one person can have. The oldest unedited ones are deleted to make room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One memory. A `topic` (such as a name or a home) has one memory only; `said` came from a message, `added` by hand."""

    id: str
    person_id: str
    text: str
    topic: str
    active: bool
    origin: Literal["said", "added"]
    edited: bool
    message_id: str | None
    created_utc: datetime
    updated_utc: datetime


MemoryRecords = list[Memory]


class MemoryStore:
    """All memories. Each is visible only to the person whom it is about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, person_id: str, *, active_only: bool = False) -> MemoryRecords:
        """A person's memories, newest first."""
        query = sa.select(memories).where(memories.c.person_id == person_id)
        if active_only:
            query = query.where(memories.c.active)
        with self._database.read() as connection:
            return [_memory_from_row(row) for row in connection.execute(query.order_by(memories.c.id.desc()))]

    def get(self, memory_id: str, *, person_id: str) -> Memory:
        """A memory of a person. Raises NotFound."""
        with self._database.read() as connection:
            return _require_memory(connection, memory_id, person_id)

    def add(self, person_id: str, text: str) -> Memory:
        """Add a memory by hand. Raises Conflict if it exists already, BadInput if it is empty."""
        with self._database.write() as connection:
            known = _known_texts(connection, person_id)
            if fold_text(_validated_text(text)) in known:
                raise Conflict("This memory exists already.", param="text")
            return _insert_memory(connection, person_id, _validated_text(text), "", "added", None)

    def add_extracted(self, person_id: str, message_id: str, extracted: Sequence[tuple[str, str]]) -> MemoryRecords:
        """Add memories, each (text, topic), taken from a message. Returns the new ones.

        Known texts are skipped, and nothing is added if the message was deleted meanwhile. A memory with a topic replaces the
        earlier one on that topic, unless the person has edited it.
        """
        added: MemoryRecords = []
        with self._database.write() as connection:
            if connection.execute(sa.select(messages.c.id).where(messages.c.id == message_id)).first() is None:
                return []
            for text, topic in extracted:
                known = _known_texts(connection, person_id)
                if fold_text(text) in known:
                    continue
                if topic:
                    outdated = sa.and_(memories.c.person_id == person_id, memories.c.topic == topic, ~memories.c.edited)
                    connection.execute(memories.delete().where(outdated))
                added.append(_insert_memory(connection, person_id, text, topic, "said", message_id))
            _evict_oldest(connection, person_id)
        return added

    def update(
        self, memory_id: str, *, person_id: str, text: str | Unchanged = UNCHANGED, active: bool | Unchanged = UNCHANGED
    ) -> Memory:
        """Change the text of a memory, or switch it on or off. Raises NotFound, BadInput."""
        changes: dict[str, object] = {"updated_utc": now_utc()}
        if text is not UNCHANGED:
            changes |= {"text": _validated_text(text), "edited": True}
        if active is not UNCHANGED:
            changes["active"] = active
        with self._database.write() as connection:
            _require_memory(connection, memory_id, person_id)
            connection.execute(memories.update().where(memories.c.id == memory_id).values(changes))
            return _require_memory(connection, memory_id, person_id)

    def delete(self, memory_id: str, *, person_id: str) -> None:
        """Delete a memory. Raises NotFound."""
        with self._database.write() as connection:
            _require_memory(connection, memory_id, person_id)
            connection.execute(memories.delete().where(memories.c.id == memory_id))
            append_audit_entry(connection, person_id, "memory.delete", memory_id)
        self._database.scrub("memories")

    def delete_all(self, person_id: str) -> int:
        """Delete all memories of a person. Returns how many there were."""
        with self._database.write() as connection:
            count = connection.execute(memories.delete().where(memories.c.person_id == person_id)).rowcount
            append_audit_entry(connection, person_id, "memory.delete_all", person_id, {"memories": count})
        self._database.scrub("memories")
        return count

    def insert_exported(self, person_id: str, row: Mapping[str, Any]) -> bool:
        """Store a memory from an export. Returns False if its text is known already. Its source message may be missing."""
        with self._database.write() as connection:
            if fold_text(row["text"]) in _known_texts(connection, person_id):
                return False
            query = sa.select(messages.c.id).join(conversations, conversations.c.id == messages.c.conversation_id)
            own = sa.and_(messages.c.id == row["message_id"], conversations.c.person_id == person_id)
            has_message = row["message_id"] and connection.execute(query.where(own)).first()
            times = {name: parse_time(row[name]) for name in ("created_utc", "updated_utc")}
            values = {**row, **times, "person_id": person_id, "message_id": row["message_id"] if has_message else None}
            connection.execute(memories.insert().values({name: values[name] for name in Memory.__slots__}))
        return True

    def conversation_ids_by_message(self, message_ids: Sequence[str]) -> dict[str, str]:
        """The conversation of each of these messages, by message id."""
        query = sa.select(messages.c.id, messages.c.conversation_id)
        with self._database.read() as connection:
            return {
                row.id: row.conversation_id
                for batch in in_batches(message_ids)
                for row in connection.execute(query.where(messages.c.id.in_(batch)))
            }


def _insert_memory(
    connection: Connection, person_id: str, text: str, topic: str, origin: Literal["said", "added"], message_id: str | None
) -> Memory:
    now = now_utc()
    memory = Memory(
        id=new_id(),
        person_id=person_id,
        text=text,
        topic=topic,
        active=True,
        origin=origin,
        edited=False,
        message_id=message_id,
        created_utc=now,
        updated_utc=now,
    )
    connection.execute(memories.insert().values(record_values(memory)))
    return memory


def _known_texts(connection: Connection, person_id: str) -> set[str]:
    return {fold_text(text) for text in connection.scalars(sa.select(memories.c.text).where(memories.c.person_id == person_id))}


def _evict_oldest(connection: Connection, person_id: str) -> None:
    own = sa.select(memories.c.id).where(memories.c.person_id == person_id)
    surplus = (connection.execute(sa.select(sa.func.count()).select_from(own.subquery())).scalar() or 0) - MAX_MEMORIES_PER_PERSON
    if surplus > 0:
        untouched = own.where(memories.c.origin == "said", ~memories.c.edited).order_by(memories.c.id).limit(surplus)
        connection.execute(memories.delete().where(memories.c.id.in_(list(connection.scalars(untouched)))))


def _require_memory(connection: Connection, memory_id: str, person_id: str) -> Memory:
    own = sa.and_(memories.c.id == memory_id, memories.c.person_id == person_id)
    row = connection.execute(sa.select(memories).where(own)).first()
    if row is None:
        raise NotFound(f"There is no memory {memory_id!r}.")
    return _memory_from_row(row)


def _memory_from_row(row: TableRow) -> Memory:
    return Memory(**row._mapping)


def _validated_text(text: str) -> str:
    if not text.strip():
        raise BadInput("A memory needs a text.", param="text")
    return " ".join(text.split())
