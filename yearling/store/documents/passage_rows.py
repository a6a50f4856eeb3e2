"""Passages in the index of words, within a transaction of somebody else: added, and removed before anything they belong to is.

Every word of a passage begins with the key of its collection, so that the cost of a search depends on the documents that it may
find. Keys can collide, so every query compares the version as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.store.database.database import in_batches
from yearling.store.database.documents_schema import (
    document_passages,
    document_versions,
    documents,
    passage_vectors,
    removed_documents,
    vector_counts,
    vector_generations,
)
from yearling.store.database.schema import blob_references
from yearling.store.database.search import DOCUMENT_FTS, key_of
from yearling.store.documents.records import EVERYBODY, PassageWords

DOCUMENT_BLOB_KIND = "document"
"""The kind of `blob_references` whose records are versions of documents."""

DOCUMENT_TABLES = ("documents", "document_versions", "document_passages", "passage_vectors")

_NUMBERING_LOCK_KEY = 0x5965_6172_0003


def word_key(collection: str) -> str:
    """What the words of a collection begin with in the index."""
    return EVERYBODY[:8] if collection == EVERYBODY else key_of(collection)


def insert_passages(connection: Connection, version_id: str, collection: str, passages: Sequence[PassageWords]) -> None:
    """Add the passages of a version to the index."""
    if not passages:
        return
    if connection.dialect.name == "postgresql":  # two writers must not give the same numbers
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_NUMBERING_LOCK_KEY)))
    first = (connection.scalar(sa.select(sa.func.max(document_passages.c.number))) or 0) + 1
    key = word_key(collection)
    rows = [
        {
            "number": first + offset,
            "version_id": version_id,
            "start": passage.span.start,
            "end": passage.span.end,
            "num_words": len(passage.words),
            "words": " ".join(f"{key}{word}" for word in passage.words),
        }
        for offset, passage in enumerate(passages)
    ]
    for batch in in_batches(rows, 200):
        connection.execute(document_passages.insert(), batch)
    if connection.dialect.name == "sqlite":
        statement = sa.text(f"INSERT INTO {DOCUMENT_FTS}(rowid, words) VALUES (:number, :words)")
        connection.execute(statement, [{"number": row["number"], "words": row["words"]} for row in rows])


def delete_passages(connection: Connection, version_ids: Sequence[str]) -> None:
    """Remove the passages of versions from the index, with their vectors."""
    for batch in in_batches(version_ids):
        in_batch = document_passages.c.version_id.in_(batch)
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.select(document_passages.c.number, document_passages.c.words).where(in_batch)).all()
            statement = sa.text(f"INSERT INTO {DOCUMENT_FTS}({DOCUMENT_FTS}, rowid, words) VALUES ('delete', :number, :words)")
            if rows:
                connection.execute(statement, [dict(row._mapping) for row in rows])
        connection.execute(vector_counts.delete().where(vector_counts.c.version_id.in_(batch)))
        connection.execute(document_passages.delete().where(in_batch))


def delete_documents(connection: Connection, condition: sa.ColumnElement[bool]) -> set[str]:
    """Delete documents with everything that belongs to them, and note that they were removed.

    Returns the hashes of their blobs, which nothing may need any more: `BlobStore.delete_unreferenced` deletes them.
    """
    rows = connection.execute(sa.select(documents.c.id, documents.c.person_id, documents.c.scope).where(condition)).all()
    removed, hashes = now_utc(), set[str]()
    for batch in in_batches(rows):
        ids = [row.id for row in batch]
        of_batch = sa.select(document_versions.c.id).where(document_versions.c.document_id.in_(ids))
        version_ids = list(connection.scalars(of_batch))
        delete_passages(connection, version_ids)
        for some in in_batches(version_ids):
            references = sa.and_(blob_references.c.kind == DOCUMENT_BLOB_KIND, blob_references.c.record_id.in_(some))
            hashes.update(connection.scalars(sa.select(blob_references.c.sha256).where(references)))
            connection.execute(blob_references.delete().where(references))
        connection.execute(documents.delete().where(documents.c.id.in_(ids)))
        tombstones = [{**row._mapping, "removed_utc": removed} for row in batch]
        connection.execute(removed_documents.insert(), tombstones)
    return hashes


def find_index_faults(connection: Connection) -> list[str]:
    """What is wrong with the index: passages or vectors that are miscounted, misplaced or of a wrong length."""
    passages, versions, counts = document_passages.c, document_versions.c, vector_counts.c
    per_version = sa.select(passages.version_id, sa.func.count().label("num")).group_by(passages.version_id).subquery()
    miscounted = (
        sa.select(versions.id)
        .outerjoin(per_version, per_version.c.version_id == versions.id)
        .where(versions.num_passages != sa.func.coalesce(per_version.c.num, 0))
        # What is not searched any more has no passages.
        .where(versions.id.in_(sa.select(documents.c.searched_version_id)))
    )
    stale = sa.select(per_version.c.version_id).where(per_version.c.version_id.not_in(_searched_versions()))
    per_generation = (
        sa.select(passage_vectors.c.generation_id, passages.version_id, sa.func.count().label("num"))
        .join(document_passages, passages.number == passage_vectors.c.number)
        .group_by(passage_vectors.c.generation_id, passages.version_id)
        .subquery()
    )
    same = sa.and_(per_generation.c.generation_id == counts.generation_id, per_generation.c.version_id == counts.version_id)
    uncounted = (
        sa.select(counts.version_id)
        .outerjoin(per_generation, same)
        .where(counts.num_vectors != sa.func.coalesce(per_generation.c.num, 0))
    )
    cut = (
        sa.select(passages.version_id)
        .join(passage_vectors, passage_vectors.c.number == passages.number)
        .join(vector_generations, vector_generations.c.id == passage_vectors.c.generation_id)
        .where(sa.func.length(passage_vectors.c.vector) != 4 * vector_generations.c.dimensions)
    )
    checks = {
        "another number of passages than it should have": miscounted,
        "passages although it is not searched": stale,
        "another number of vectors than it should have": uncounted,
        "a vector of a wrong length": cut,
    }
    return [
        f"version {version_id} of a document has {fault}"
        for fault, query in checks.items()
        for version_id in connection.scalars(query.distinct().limit(10))
    ]


def _searched_versions() -> sa.Select[tuple[str]]:
    return sa.select(documents.c.searched_version_id).where(documents.c.searched_version_id.is_not(None))
