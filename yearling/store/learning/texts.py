"""Words that the event log refers to: notes, edits, answers that came with imported judgements.

They lie apart from the log, so that somebody's words can be deleted while the log stays whole. The log holds at most the salted
hash of a text: who has the text can prove that it is the one meant, and once text and salt are deleted the hash says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import pack_canonical_json, record_values
from yearling.store.database.schema import people, texts

_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_KIND = re.compile(r"[a-z_]{1,16}")
_SALT = re.compile(r"[0-9a-f]{0,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecord:
    """Words by the id of the item that they are. `person_id` is whose words, None when nobody here wrote them.

    `sha256` is the SHA-256 of `salt` and the canonical JSON of `content`, one after the other.
    """

    id: str
    kind: str
    content: dict[str, Any]
    salt: str
    sha256: str
    created_utc: datetime
    person_id: str | None = None


def make_text(
    text_id: str,
    kind: str,
    content: dict[str, Any],
    *,
    person_id: str | None = None,
    salt: str | None = None,
    created_utc: datetime | None = None,
) -> TextRecord:
    """A text with its hash; a fresh salt unless one is given. Raises BadInput for an id or content that cannot be kept."""
    salt = os.urandom(16).hex() if salt is None else salt
    for name, value, form in (("id", text_id, _ID), ("kind", kind, _KIND), ("salt", salt, _SALT)):
        if not form.fullmatch(value):
            raise BadInput(f"A text's {name} cannot be {value[:50]!r}.", param=name)
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
        """Store texts, all or none; those that are there already are left alone. Returns how many were new.

        Raises Conflict when an id stands for other words, NotFound for an unknown person.
        """
        prepared = list(new)
        with self._database.write() as connection:
            return add_texts(connection, prepared)

    def get(self, text_id: str) -> TextRecord:
        """Raises NotFound, for deleted texts too."""
        found = self.get_many([text_id])
        if not found:
            raise NotFound(f"There is no text {text_id[:100]!r}.", advice="It may have been deleted by who wrote it.")
        return found[text_id]

    def get_many(self, ids: Sequence[str]) -> dict[str, TextRecord]:
        """Those of these texts that are there, by id."""
        with self._database.read() as connection:
            return _select_existing(connection, ids)

    def list(self) -> list[TextRecord]:
        """All texts, by id."""
        with self._database.read() as connection:
            return [_text_from_row(row) for row in connection.execute(sa.select(texts).order_by(texts.c.id))]

    def delete(self, text_id: str, *, actor: str) -> None:
        """Forget a text; what the log says of it stays. `actor` is for the audit log. Raises NotFound."""
        with self._database.write() as connection:
            if not delete_texts(connection, [text_id], actor=actor):
                raise NotFound(f"There is no text {text_id[:100]!r}.")
        self._database.scrub("texts")


def add_texts(connection: Connection, new: Sequence[TextRecord]) -> int:
    """Add texts within a write transaction that also does what belongs to them. Raises as `Texts.add`."""
    by_id: dict[str, TextRecord] = {}
    for text in new:
        if by_id.setdefault(text.id, text).sha256 != text.sha256:
            raise _id_conflict_error(text.id)
    present = _select_existing(connection, list(by_id))
    for text_id, there in present.items():
        if there.sha256 != by_id[text_id].sha256:
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
    """Forget texts within a write transaction; returns how many there were. Call `Database.scrub` after it."""
    count = 0
    for text_id in ids:
        if connection.execute(texts.delete().where(texts.c.id == text_id)).rowcount:
            append_audit_entry(connection, actor, "text.delete", text_id)
            count += 1
    return count


def find_text_fault(row: Row[Any]) -> str:
    """Why a stored row is not what was put in, or nothing."""
    whole = hashlib.sha256((row.salt + row.content).encode()).hexdigest() == row.sha256
    return "" if whole else f"text {row.id} was changed or damaged"


def _select_existing(connection: Connection, ids: Sequence[str]) -> dict[str, TextRecord]:
    found: dict[str, TextRecord] = {}
    for batch in in_batches(ids):
        query = sa.select(texts).where(texts.c.id.in_(batch))
        found.update((row.id, _text_from_row(row)) for row in connection.execute(query))
    return found


def _row_values(text: TextRecord) -> dict[str, Any]:
    return record_values(text) | {"content": pack_canonical_json(text.content)}


def _text_from_row(row: Row[Any]) -> TextRecord:
    return TextRecord(**{**row._mapping, "content": json.loads(row.content)})


def _id_conflict_error(text_id: str) -> Conflict:
    return Conflict(f"The id {text_id!r} stands for other words already.", advice="Give new words a new id.", param="id")
