"""Releases: numbered records of what could be served. Which release is served, signed metadata says (`yearling/release/`).

A record never changes: its canonical JSON is what key-holders sign the hash of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from yearling.clock import now_utc
from yearling.errors import NotFound, Untrusted
from yearling.store.audit import append_audit_entry
from yearling.store.database.column_types import format_time, parse_time
from yearling.store.database.database import Database
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.release_schema import releases
from yearling.store.database.schema import TableRow

ReleaseKind = Literal["model", "adapter", "endpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFile:
    """A file that is loaded when the release is served. `path` is relative to the data folder, with forward slashes."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What could be served, and where it comes from.

    `model` is the name that requests use. `model_hash` is the content hash of the model, or of the adapter; for an endpoint it is
    empty, and `endpoint_url` says where the model is served: its weights cannot be verified.
    """

    number: int
    created_utc: datetime
    created_by: str
    """Id of a person, or `yearling` for the first release."""
    title: str
    """What was changed, in a few words: `learnt 18 corrections`."""
    kind: ReleaseKind
    model: str
    model_hash: str
    program_version: str
    files: tuple[ReleasedFile, ...] = ()
    endpoint_url: str = ""
    base_model: str = ""
    """Name of the model below an adapter."""
    run_id: str = ""
    """The training run that the weights come from; empty without one. Likewise the hashes below."""
    lesson_set: str = ""
    consensus: str = ""
    """SHA-256 of the consensus snapshot behind the lessons."""
    parent: int | None = None
    """The champion when the release was created."""
    num_lessons: int = 0


ReleaseRecords = list[Release]


class ReleaseStore:
    """The releases of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: Release) -> Release:
        """Store a release under the next free number, whatever number the draft has, and return it."""
        with self._database.write() as connection:
            last = connection.scalar(sa.select(sa.func.max(releases.c.number)))
            fields = {name: getattr(draft, name) for name in Release.__dataclass_fields__}
            release = Release(**{**fields, "number": 0 if last is None else last + 1})
            record = release_bytes(release).decode()
            connection.execute(
                releases.insert().values(
                    number=release.number,
                    created_utc=release.created_utc,
                    model=release.model,
                    model_hash=release.model_hash,
                    record=record,
                    record_sha256=hashlib.sha256(record.encode()).hexdigest(),
                )
            )
            detail = {"model": release.model, "model_hash": release.model_hash}
            append_audit_entry(connection, release.created_by, "release.create", str(release.number), detail)
        return release

    def get(self, number: int) -> Release:
        """A release. Raises NotFound, Untrusted for a record that was changed."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(releases).where(releases.c.number == number)).first()
        if row is None:
            raise NotFound(f"There is no release {number}.")
        return _release_from_row(row)

    def list(self, *, model_hash: str | None = None) -> ReleaseRecords:
        """All releases, newest first, or those of one model. Raises Untrusted for a record that was changed."""
        query = sa.select(releases).order_by(releases.c.number.desc())
        if model_hash is not None:
            query = query.where(releases.c.model_hash == model_hash)
        with self._database.read() as connection:
            return [_release_from_row(row) for row in connection.execute(query)]


def new_release(
    *, created_by: str, title: str, kind: ReleaseKind, model: str, model_hash: str, program_version: str, **fields: Any
) -> Release:
    """A draft: its number is given when it is stored."""
    return Release(
        number=-1,
        created_utc=now_utc(),
        created_by=created_by,
        title=title,
        kind=kind,
        model=model,
        model_hash=model_hash,
        program_version=program_version,
        **fields,
    )


def release_bytes(release: Release) -> bytes:
    """The canonical JSON of a release: what key-holders sign the hash of."""
    return pack_canonical_json({**asdict(release), "created_utc": format_time(release.created_utc)}).encode()


def release_from_bytes(content: bytes) -> Release:
    """The inverse of `release_bytes`. Raises Untrusted for anything else."""
    try:
        fields = json.loads(content)
        files: Sequence[dict[str, Any]] = fields.pop("files")
        created = parse_time(fields.pop("created_utc"))
        return Release(**fields, created_utc=created, files=tuple(ReleasedFile(**file) for file in files))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Untrusted("This is no record of a release.", advice="Restore a backup.") from None


def _release_from_row(row: TableRow) -> Release:
    record = str(row.record).encode()
    if hashlib.sha256(record).hexdigest() != row.record_sha256:
        raise Untrusted(f"The record of release {row.number} was changed.", advice="Run `yearling verify`.")
    return release_from_bytes(record)
