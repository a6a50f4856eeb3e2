"""Texts that the event log refers to: notes, edits, and answers that came with imported judgements.

They are stored apart from the log so that a person's texts can be deleted while the log stays complete. The log holds at most the
salted hash of a text: it proves which text is meant, and it reveals nothing once text and salt are deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database, in_batches
from yearling.store.database.learning_schema import texts
from yearling.store.database.packing import pack_canonical_json, record_values
from yearling.store.database.schema import TableRow, people

_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_KIND = re.compile(r"[a-z_]{1,16}")
_DELETED_AT_ONCE = 100
_SALT = re.compile(r"[0-9a-f]{0,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecord:
    """A text and the id of its item. `person_id` is its author, or None if that is nobody here.

    `sha256` is the SHA-256 of `salt` followed by the canonical JSON of `content`.
    """

    id: str
    kind: str
    content: Mapping[str, object]
    salt: str
    sha256: str
    created_utc: datetime
    person_id: str | None = None


TextRecords = list[TextRecord]


def make_text(
    text_id: str,
    kind: str,
    content: Mapping[str, object],
    *,
    person_id: str | None = None,
    salt: str | None = None,
    created_utc: datetime | None = None,
) -> TextRecord:
    """Make a text with its hash, and a new salt unless one is given. Raises BadInput for an invalid id, kind, salt or content."""
    salt = os.urandom(16).hex() if salt is None else salt
    for name, value, pattern in (("id", text_id, _ID), ("kind", kind, _KIND), ("salt", salt, _SALT)):
        if not pattern.fullmatch(value):
            raise BadInput(f"{value[:50]!r} is not a valid {name} of a text.", param=name)
    digest = hashlib.sha256((salt + pack_canonical_json(content)).encode()).hexdigest()
    return TextRecord(
        id=text_id,
        kind=kind,
        content=content,
        salt=salt,
        sha256=digest,
        created_utc=created_utc or now_utc(),
        person_id=person_id,
    )


class TextStore:
    """The texts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Iterable[TextRecord]) -> int:
        """Store texts, all or none; known ones are skipped. Returns how many were new.

        Raises Conflict if an id belongs to another text, NotFound for an unknown person.
        """
        new_texts = list(new)
        with self._database.write() as connection:
            return add_texts(connection, new_texts)

    def get(self, text_id: str) -> TextRecord:
        """A text by its id. Raises NotFound, also for deleted texts."""
        by_id = self.get_many([text_id])
        if not by_id:
            raise NotFound(f"There is no text {text_id[:100]!r}.", advice="Its author may have deleted it.")
        return by_id[text_id]

    def get_many(self, ids: Sequence[str]) -> dict[str, TextRecord]:
        """The texts with these ids that exist, by id."""
        with self._database.read() as connection:
            return _select_existing(connection, ids)

    def existing_ids(self, ids: Sequence[str]) -> set[str]:
        """The subset of these ids that belong to a text. Reads no text."""
        found: set[str] = set()
        with self._database.read() as connection:
            for batch in in_batches(ids):
                found.update(connection.scalars(sa.select(texts.c.id).where(texts.c.id.in_(batch))))
        return found

    def state_of_kinds(self, kinds: Sequence[str]) -> tuple[int, str]:
        """The number of texts of these kinds and their largest id: whoever knows the list of them sees whether it changed."""
        query = sa.select(sa.func.count(), sa.func.max(texts.c.id)).where(texts.c.kind.in_(kinds))
        with self._database.read() as connection:
            count, largest = connection.execute(query).one()
        return count, largest or ""

    def ids_of_kinds(self, kinds: Sequence[str]) -> list[str]:
        """The ids of all texts of these kinds, in order of kind and id. Reads no text."""
        query = sa.select(texts.c.id).where(texts.c.kind.in_(kinds)).order_by(texts.c.kind, texts.c.id)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def list(self) -> list[TextRecord]:
        """All texts, ordered by id."""
        with self._database.read() as connection:
            return [_text_from_row(row) for row in connection.execute(sa.select(texts).order_by(texts.c.id))]

    def list_by_kind(self, kind: str, *, limit: int) -> TextRecords:
        """The newest texts of a kind, newest first."""
        query = sa.select(texts).where(texts.c.kind == kind).order_by(texts.c.created_utc.desc(), texts.c.id).limit(limit)
        with self._database.read() as connection:
            return [_text_from_row(row) for row in connection.execute(query)]

    def delete(self, text_id: str, *, actor: str) -> None:
        """Delete a text; its events stay in the log. `actor` is for the audit log. Raises NotFound."""
        with self._database.write() as connection:
            if not delete_texts(connection, [text_id], actor=actor):
                raise NotFound(f"There is no text {text_id[:100]!r}.")
        self._database.scrub("texts")

    def delete_many(self, ids: Sequence[str], *, actor: str) -> int:
        """Delete the texts with these ids that exist, as `delete` does. Returns how many there were."""
        count = 0
        for batch in in_batches(ids, _DELETED_AT_ONCE):  # others can write in between
            with self._database.write() as connection:
                count += delete_texts(connection, batch, actor=actor)
        self._database.scrub("texts")
        return count


def add_texts(connection: Connection, new: Sequence[TextRecord]) -> int:
    """Add texts within a write transaction that makes related changes. Raises as `TextStore.add`."""
    by_id: dict[str, TextRecord] = {}
    for text in new:
        if by_id.setdefault(text.id, text).sha256 != text.sha256:
            raise _id_conflict_error(text.id)
    present = _select_existing(connection, list(by_id))
    for text_id, stored in present.items():
        if stored.sha256 != by_id[text_id].sha256:
            raise _id_conflict_error(text_id)
    authors = {text.person_id for text in by_id.values() if text.person_id}
    if authors:
        missing = authors - set(connection.scalars(sa.select(people.c.id).where(people.c.id.in_(authors))))
        if missing:
            raise NotFound(f"There is no person {sorted(missing)[0]!r}.")
    rows = [_row_values(text) for text_id, text in by_id.items() if text_id not in present]
    for batch in in_batches(rows):
        connection.execute(texts.insert(), batch)
    return len(rows)


def delete_texts(connection: Connection, ids: Sequence[str], *, actor: str) -> int:
    """Delete texts within a write transaction. Returns how many there were. Call `Database.scrub` afterwards."""
    count = 0
    for text_id in ids:
        if connection.execute(texts.delete().where(texts.c.id == text_id)).rowcount:
            append_audit_entry(connection, actor, "text.delete", text_id)
            count += 1
    return count


def find_text_fault(row: TableRow) -> str:
    """What is wrong with a stored row, or an empty string."""
    is_intact = hashlib.sha256((row.salt + row.content).encode()).hexdigest() == row.sha256
    return "" if is_intact else f"text {row.id} was changed or is damaged"


def _select_existing(connection: Connection, ids: Sequence[str]) -> dict[str, TextRecord]:
    existing: dict[str, TextRecord] = {}
    for batch in in_batches(ids):
        query = sa.select(texts).where(texts.c.id.in_(batch))
        existing.update((row.id, _text_from_row(row)) for row in connection.execute(query))
    return existing


def _row_values(text: TextRecord) -> dict[str, object]:
    return record_values(text) | {"content": pack_canonical_json(text.content)}


def _text_from_row(row: TableRow) -> TextRecord:
    return TextRecord(**{**row._mapping, "content": json.loads(row.content)})


def _id_conflict_error(text_id: str) -> Conflict:
    return Conflict(f"The id {text_id!r} belongs to another text.", advice="Give a new text a new id.", param="id")
