"""Collections of files: named sets of documents of a person's library, which OpenAI's API calls vector stores.

A document can be in several collections, with attributes of its own in each. Collections are visible to their person only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.database.database import Database, in_batches
from yearling.store.database.documents_schema import (
    collected_files,
    document_versions,
    documents,
    file_batches,
    file_collections,
)
from yearling.store.database.packing import compact_json
from yearling.store.database.schema import TableRow
from yearling.store.documents.document_rows import document_from_row, select_documents
from yearling.store.documents.passage_rows import delete_documents
from yearling.store.documents.records import Document, DocumentState

Attributes: TypeAlias = Mapping[str, str | float | bool]

MAX_ATTRIBUTES = 16
"""Attributes of a file, and entries of the metadata of a collection."""
MAX_FILES_AT_ONCE = 500
"""Files of one batch."""
MAX_FILES = 10_000
"""Files of one collection."""
MAX_COLLECTIONS = 1_000
"""Collections of one person."""
_MAX_BATCHES = 100
"""Batches of one collection that are remembered."""

CollectionRecords = list["FileCollection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """How many files are in each state, and how large all are."""

    waiting: int = 0
    indexed: int = 0
    failed: int = 0
    size_bytes: int = 0

    @property
    def total(self) -> int:
        """The number of files."""
        return self.waiting + self.indexed + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCollection:
    """A collection of files."""

    id: str
    name: str
    description: str
    metadata: Mapping[str, str]
    created_utc: datetime
    updated_utc: datetime
    counts: FileCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedFile:
    """A document in a collection."""

    collection_id: str
    document: Document
    attributes: Attributes
    added_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBatch:
    """Files that were added to a collection in one request. `counts` leaves out those that are not in it any more."""

    id: str
    collection_id: str
    created_utc: datetime
    counts: FileCounts


class FileCollectionStore:
    """The collections of all people. Every method raises NotFound for one that is not the person's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        person_id: str,
        *,
        name: str = "",
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        files: Mapping[str, Attributes] | None = None,
    ) -> FileCollection:
        """Create a collection with some files. Raises Conflict if the person has `MAX_COLLECTIONS`, and as `add_files`."""
        collection_id, now = new_id(), now_utc()
        values = {"name": name, "description": description, "metadata_json": compact_json(dict(metadata or {}))}
        times = {"created_utc": now, "updated_utc": now}
        own = file_collections.c.person_id == person_id
        with self._database.write() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(file_collections).where(own)) or 0
            if count >= MAX_COLLECTIONS:
                raise Conflict(f"There are {MAX_COLLECTIONS:,} collections of files already.", advice="Delete one first.")
            connection.execute(file_collections.insert().values(id=collection_id, person_id=person_id, **values, **times))
            _insert_files(connection, collection_id, files or {}, person_id)
            return _require_collection(connection, collection_id, person_id)

    def list(
        self, person_id: str, *, limit: int | None = None, after: str | None = None, newest_first: bool = True
    ) -> CollectionRecords:
        """A person's collections in the order of their creation, those behind `after`."""
        ids = file_collections.c.id
        query = sa.select(file_collections).where(file_collections.c.person_id == person_id)
        query = query.order_by(ids.desc() if newest_first else ids).limit(limit)
        if after is not None:
            query = query.where(ids < after if newest_first else ids > after)
        with self._database.read() as connection:
            return [_collection_from_row(connection, row) for row in connection.execute(query).all()]

    def get(self, collection_id: str, *, person_id: str) -> FileCollection:
        """A collection."""
        with self._database.read() as connection:
            return _require_collection(connection, collection_id, person_id)

    def update(
        self, collection_id: str, *, person_id: str, name: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> FileCollection:
        """Change the name or the metadata; None leaves them as they are."""
        values: dict[str, object] = {"updated_utc": now_utc()}
        values |= {} if name is None else {"name": name}
        values |= {} if metadata is None else {"metadata_json": compact_json(dict(metadata))}
        with self._database.write() as connection:
            _require_collection(connection, collection_id, person_id)
            connection.execute(file_collections.update().where(file_collections.c.id == collection_id).values(values))
            return _require_collection(connection, collection_id, person_id)

    def delete(self, collection_id: str, *, person_id: str) -> None:
        """Delete a collection. Its files stay in the library."""
        with self._database.write() as connection:
            _require_collection(connection, collection_id, person_id)
            connection.execute(file_collections.delete().where(file_collections.c.id == collection_id))
        self._database.scrub("file_collections", "collected_files")

    def delete_library(self, person_id: str) -> set[str]:
        """Delete all collections and all documents of a library. Returns the hashes of blobs that nothing may need any more."""
        with self._database.write() as connection:
            connection.execute(file_collections.delete().where(file_collections.c.person_id == person_id))
            return delete_documents(connection, documents.c.collection == person_id)

    def add_files(self, collection_id: str, files: Mapping[str, Attributes], *, person_id: str) -> FileBatch:
        """Add documents of the person's library, by ID, in one transaction; one that is there gets the new attributes.

        Raises NotFound for a document that is not in the library, BadInput for more than `MAX_FILES_AT_ONCE`, and Conflict if the
        collection would have more than `MAX_FILES`.
        """
        batch_id, now = new_id(), now_utc()
        this = file_collections.c.id == collection_id
        with self._database.write() as connection:
            _lock_collection(connection, collection_id)
            _require_collection(connection, collection_id, person_id)
            _insert_files(connection, collection_id, files, person_id)
            connection.execute(file_collections.update().where(this).values(updated_utc=now))
            ids_json = compact_json(sorted(files))
            batch = {"id": batch_id, "collection_id": collection_id, "document_ids_json": ids_json, "created_utc": now}
            connection.execute(file_batches.insert().values(batch))
            _forget_old_batches(connection, collection_id)
            return _require_batch(connection, collection_id, batch_id)

    def list_files(
        self,
        collection_id: str,
        *,
        person_id: str,
        state: DocumentState | None = None,
        limit: int | None = None,
        after: str | None = None,
        newest_first: bool = True,
    ) -> Sequence[CollectedFile]:
        """The files of a collection in the order of their upload, those behind `after`."""
        query = _select_files(collection_id)
        query = query.order_by(documents.c.id.desc() if newest_first else documents.c.id).limit(limit)
        if after is not None:
            query = query.where(documents.c.id < after if newest_first else documents.c.id > after)
        if state is not None:
            query = query.where(document_versions.c.state == state)
        with self._database.read() as connection:
            _require_collection(connection, collection_id, person_id)
            return [_file_from_row(row) for row in connection.execute(query)]

    def get_file(self, collection_id: str, document_id: str, *, person_id: str) -> CollectedFile:
        """A file of a collection. Raises NotFound if it is not in it."""
        with self._database.read() as connection:
            _require_collection(connection, collection_id, person_id)
            return _require_file(connection, collection_id, document_id)

    def remove_file(self, collection_id: str, document_id: str, *, person_id: str) -> None:
        """Take a file out of a collection. It stays in the library. Raises NotFound if it is not in it."""
        this = sa.and_(collected_files.c.collection_id == collection_id, collected_files.c.document_id == document_id)
        with self._database.write() as connection:
            _require_collection(connection, collection_id, person_id)
            _require_file(connection, collection_id, document_id)
            connection.execute(collected_files.delete().where(this))

    def get_batch(self, collection_id: str, batch_id: str, *, person_id: str) -> FileBatch:
        """A batch. Raises NotFound."""
        with self._database.read() as connection:
            _require_collection(connection, collection_id, person_id)
            return _require_batch(connection, collection_id, batch_id)

    def attributes_of(self, collection_id: str, *, person_id: str) -> dict[str, Attributes]:
        """The attributes of all files of a collection, by the document's ID."""
        query = sa.select(collected_files.c.document_id, collected_files.c.attributes_json)
        with self._database.read() as connection:
            _require_collection(connection, collection_id, person_id)
            rows = connection.execute(query.where(collected_files.c.collection_id == collection_id))
            return {row.document_id: json.loads(row.attributes_json) for row in rows}


def _insert_files(connection: Connection, collection_id: str, files: Mapping[str, Attributes], person_id: str) -> None:
    if len(files) > MAX_FILES_AT_ONCE:
        raise BadInput(f"A batch has at most {MAX_FILES_AT_ONCE} files.", advice="Add them in several batches.")
    ids, now = sorted(files), now_utc()
    of_collection = collected_files.c.collection_id == collection_id
    _require_in_library(connection, ids, person_id)
    for some in in_batches(ids):
        connection.execute(collected_files.delete().where(of_collection, collected_files.c.document_id.in_(some)))
        rows = [
            {
                "collection_id": collection_id,
                "document_id": document_id,
                "attributes_json": compact_json(dict(files[document_id])),
                "added_utc": now,
            }
            for document_id in some
        ]
        connection.execute(collected_files.insert(), rows)
    count = connection.scalar(sa.select(sa.func.count()).select_from(collected_files).where(of_collection)) or 0
    if count > MAX_FILES:
        raise Conflict(f"A collection has at most {MAX_FILES:,} files.", advice="Use another one.")


def _select_files(collection_id: str) -> sa.Select[tuple[object, ...]]:
    return (
        select_documents()
        .add_columns(collected_files.c.collection_id.label("file_collection_id"))
        .add_columns(collected_files.c.attributes_json, collected_files.c.added_utc)
        .join(collected_files, collected_files.c.document_id == documents.c.id)
        .where(collected_files.c.collection_id == collection_id)
    )


def _count_files(connection: Connection, collection_id: str, document_ids: Sequence[str] | None = None) -> FileCounts:
    files = _select_files(collection_id)
    if document_ids is not None:
        files = files.where(documents.c.id.in_(document_ids))
    states = files.with_only_columns(
        document_versions.c.state, sa.func.count(), sa.func.sum(document_versions.c.size_bytes), maintain_column_froms=True
    ).group_by(document_versions.c.state)
    counts = {"size_bytes": 0}
    for state, count, size_bytes in connection.execute(states):
        counts[state] = int(count)
        counts["size_bytes"] += int(size_bytes)
    return FileCounts(**counts)


def _lock_collection(connection: Connection, collection_id: str) -> None:
    """On Postgres, let one writer at a time add files to a collection. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(file_collections.c.id).where(file_collections.c.id == collection_id).with_for_update())


def _require_collection(connection: Connection, collection_id: str, person_id: str) -> FileCollection:
    own = sa.and_(file_collections.c.id == collection_id, file_collections.c.person_id == person_id)
    row = connection.execute(sa.select(file_collections).where(own)).first()
    if row is None:
        raise NotFound("There is no such collection of files.", param="vector_store_id")
    return _collection_from_row(connection, row)


def _require_in_library(connection: Connection, document_ids: Sequence[str], person_id: str) -> None:
    found = set[str]()
    for some in in_batches(document_ids):
        in_library = sa.and_(documents.c.id.in_(some), documents.c.collection == person_id)
        found.update(connection.scalars(sa.select(documents.c.id).where(in_library)))
    if set(document_ids) - found:
        raise NotFound("There is no such file.", advice="Upload it to /v1/files first.", param="file_id")


def _require_file(connection: Connection, collection_id: str, document_id: str) -> CollectedFile:
    row = connection.execute(_select_files(collection_id).where(documents.c.id == document_id)).first()
    if row is None:
        raise NotFound("There is no such file in this collection.", param="file_id")
    return _file_from_row(row)


def _require_batch(connection: Connection, collection_id: str, batch_id: str) -> FileBatch:
    this = sa.and_(file_batches.c.id == batch_id, file_batches.c.collection_id == collection_id)
    row = connection.execute(sa.select(file_batches).where(this)).first()
    if row is None:
        raise NotFound("There is no such batch of files.", param="batch_id")
    counts = _count_files(connection, collection_id, json.loads(row.document_ids_json))
    return FileBatch(id=row.id, collection_id=collection_id, created_utc=row.created_utc, counts=counts)


def _forget_old_batches(connection: Connection, collection_id: str) -> None:
    of_collection = file_batches.c.collection_id == collection_id
    newest = sa.select(file_batches.c.id).where(of_collection).order_by(file_batches.c.id.desc()).offset(_MAX_BATCHES).limit(1)
    oldest = connection.scalar(newest)
    if oldest is not None:
        connection.execute(file_batches.delete().where(of_collection, file_batches.c.id <= oldest))


def _collection_from_row(connection: Connection, row: TableRow) -> FileCollection:
    return FileCollection(
        id=row.id,
        name=row.name,
        description=row.description,
        metadata=json.loads(row.metadata_json),
        created_utc=row.created_utc,
        updated_utc=row.updated_utc,
        counts=_count_files(connection, row.id),
    )


def _file_from_row(row: TableRow) -> CollectedFile:
    return CollectedFile(
        collection_id=row.file_collection_id,
        document=document_from_row(row),
        attributes=json.loads(row.attributes_json),
        added_utc=row.added_utc,
    )
