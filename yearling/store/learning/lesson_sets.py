"""Records of lesson sets: from which consensus run and which judgements each was built. The lessons are files elsewhere.

The record of a set is two blobs, so that backups include it: its manifest and report, and the judgements behind each lesson. They
contain ids and numbers but no text. Lineage can therefore be followed both ways even if the files are gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from yearling.errors import NotFound
from yearling.store.audit import AuditLog
from yearling.store.blobs import BlobStore
from yearling.store.database.database import Database
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.schema import blob_references

LESSON_SET_BLOB_KIND = "lesson_set"
LESSON_SOURCES_BLOB_KIND = "lesson_sources"
CURRENT_LESSON_SET_BLOB_KIND = "lesson_set_current"
"""The kinds of blob references that keep a set's record and its sources, and that name the current set."""

LessonSourceRecords = list["LessonSource"]
LessonSetRecords = list["LessonSetRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSetRecord:
    """One lesson set. `version` counts the sets of this store from 1."""

    hash: str
    version: int
    created_utc: datetime
    manifest: dict[str, Any]
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSource:
    """A lesson and the ids of its judgements. `part` is `train` or `heldout`."""

    part: str
    kind: str
    key: str
    event_ids: tuple[str, ...]


class LessonSetStore:
    """The lesson sets of one store."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs
        self._audit = AuditLog(database)

    def record(
        self, manifest: Mapping[str, Any], report: Mapping[str, object], sources: Iterable[LessonSource]
    ) -> LessonSetRecord:
        """Record a set and make it the current one. A known set keeps its record. Raises StorageFailed."""
        known = {record.hash: record for record in self.list()}.get(manifest["hash"])
        detail = {"version": manifest["version"], "counts": manifest["counts"], "consensus": manifest.get("consensus")}
        if known is not None:
            self._make_current(self._blob_hash(LESSON_SET_BLOB_KIND, known.hash))
            self._audit.append("yearling", "lessons.build", known.hash, detail)
            return known
        lines = (pack_canonical_json([source.part, source.kind, source.key, *source.event_ids]) for source in sources)
        with self._blobs.pause_collection():
            sources_sha256 = self._blobs.put("".join(f"{line}\n" for line in lines).encode())
            self._blobs.add_reference(sources_sha256, LESSON_SOURCES_BLOB_KIND, manifest["hash"])
            content = pack_canonical_json({"manifest": manifest, "report": report}).encode()
            sha256 = self._blobs.put(content)
            self._blobs.add_reference(sha256, LESSON_SET_BLOB_KIND, manifest["hash"])  # last: it makes the set visible
            self._make_current(sha256)
        self._audit.append("yearling", "lessons.build", manifest["hash"], detail)
        return _record_from_json(content)

    def list(self) -> LessonSetRecords:
        """All sets, oldest first. Raises Untrusted if a record is damaged."""
        query = sa.select(blob_references.c.sha256).where(blob_references.c.kind == LESSON_SET_BLOB_KIND)
        with self._database.read() as connection:
            hashes = connection.scalars(query).all()
        return sorted(
            (_record_from_json(self._blobs.get(sha256)) for sha256 in hashes), key=lambda record: (record.version, record.hash)
        )

    def get(self, name: str) -> LessonSetRecord:
        """A set by its version, or by at least six characters of its hash. Raises NotFound."""
        records = self.list()
        by_version = [record for record in records if str(record.version) == name]
        matches = by_version or [record for record in records if len(name) >= 6 and record.hash.startswith(name)]
        if len(matches) != 1:
            known = ", ".join(str(record.version) for record in records[-20:])
            raise NotFound(
                f"There is no lesson set {name[:100]!r}." if not matches else f"Several lesson sets begin with {name!r}.",
                advice=f"Known versions: {known}." if known else "Build one with `yearling lessons build`.",
                param="name",
            )
        return matches[0]

    def get_current(self) -> LessonSetRecord | None:
        """The set of the last build, or None. Retractions can lead back to a set with a lower version."""
        sha256 = self._blob_hash(CURRENT_LESSON_SET_BLOB_KIND, CURRENT_LESSON_SET_BLOB_KIND)
        if sha256:
            return _record_from_json(self._blobs.get(sha256))
        records = self.list()
        return records[-1] if records else None

    def list_sources(self, set_hash: str) -> LessonSourceRecords:
        """The judgements behind each lesson of a set. Raises NotFound, Untrusted."""
        sha256 = self._blob_hash(LESSON_SOURCES_BLOB_KIND, set_hash)
        if not sha256:
            raise NotFound(f"There is no lesson set {set_hash[:100]!r}.")
        parsed = (json.loads(line) for line in self._blobs.get(sha256).splitlines())
        return [LessonSource(part=part, kind=kind, key=key, event_ids=tuple(ids)) for part, kind, key, *ids in parsed]

    def lessons_from_events(self, event_ids: Collection[str]) -> dict[str, LessonSourceRecords]:
        """The lessons made from any of these judgements, by the hash of their set. Sets without such lessons are omitted."""
        wanted = set(event_ids)
        by_set = {
            record.hash: [source for source in self.list_sources(record.hash) if wanted & set(source.event_ids)]
            for record in self.list()
        }
        return {set_hash: lessons for set_hash, lessons in by_set.items() if lessons}

    def _blob_hash(self, kind: str, record_id: str) -> str:
        """The hash of the blob that a record refers to, or an empty string."""
        own = sa.and_(blob_references.c.kind == kind, blob_references.c.record_id == record_id)
        with self._database.read() as connection:
            return connection.scalar(sa.select(blob_references.c.sha256).where(own)) or ""

    def _make_current(self, sha256: str) -> None:
        if self._blob_hash(CURRENT_LESSON_SET_BLOB_KIND, CURRENT_LESSON_SET_BLOB_KIND) != sha256:
            self._blobs.remove_references(CURRENT_LESSON_SET_BLOB_KIND, CURRENT_LESSON_SET_BLOB_KIND)
            self._blobs.add_reference(sha256, CURRENT_LESSON_SET_BLOB_KIND, CURRENT_LESSON_SET_BLOB_KIND)


def _record_from_json(content: bytes) -> LessonSetRecord:
    fields = json.loads(content)
    manifest = fields["manifest"]
    return LessonSetRecord(
        hash=manifest["hash"],
        version=manifest["version"],
        created_utc=datetime.fromisoformat(manifest["created_utc"]),
        manifest=manifest,
        report=fields["report"],
    )
