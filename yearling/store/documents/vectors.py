"""Vectors of passages. All vectors of one embedding model are a generation; search uses one generation, the active one.

The first generation is active from the beginning, and a passage without a vector yet is found by its words. Another embedding
model builds a new generation beside the active one, and `activate` swaps them once the new one is complete.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.store.database.database import Database, in_batches
from yearling.store.database.documents_schema import (
    document_passages,
    document_versions,
    documents,
    passage_vectors,
    vector_counts,
    vector_generations,
)
from yearling.store.database.packing import record_from
from yearling.store.documents.canonical import Span

GenerationState = Literal["building", "active"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorGeneration:
    """The vectors of one model: its name, the hash of its weights, and the length of a vector."""

    id: str
    model: str
    model_hash: str
    dimensions: int
    state: GenerationState


@dataclass(frozen=True, slots=True)
class MissingVector:
    """A passage that has no vector yet."""

    number: int
    version_id: str
    text_sha256: str
    span: Span


class VectorCount(NamedTuple):
    """How many vectors a version has. The revision is another one after its passages were cut anew."""

    num_vectors: int
    revision: int


class VectorStore:
    """All generations. A vector is its float32 values, little-endian."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_generation(self, model: str, model_hash: str, dimensions: int) -> VectorGeneration:
        """The generation of a model, which is created if there is none."""
        own = sa.and_(vector_generations.c.model_hash == model_hash, vector_generations.c.dimensions == dimensions)
        query = sa.select(vector_generations).where(own)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            with self._database.write() as connection:
                if connection.dialect.name == "postgresql":  # only one generation may be active
                    connection.exec_driver_sql("LOCK TABLE vector_generations IN SHARE ROW EXCLUSIVE MODE")
                active = sa.select(vector_generations.c.id).where(vector_generations.c.state == "active")
                values = {
                    "id": new_id(),
                    "model": model,
                    "model_hash": model_hash,
                    "dimensions": dimensions,
                    "state": "building" if connection.execute(active).first() else "active",
                    "created_utc": now_utc(),
                }
                connection.execute(self._database.insert_or_ignore(vector_generations).values(values))
                row = connection.execute(query).one()
        return record_from(VectorGeneration, row)

    def list_generations(self) -> list[VectorGeneration]:
        """All generations, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(vector_generations).order_by(vector_generations.c.id))
            return [record_from(VectorGeneration, row) for row in rows]

    def count_missing(self, generation_id: str) -> int:
        """How many passages have no vector in a generation."""
        with self._database.read() as connection:
            return _count_missing(connection, generation_id)

    def list_missing(self, generation_id: str, *, limit: int) -> list[MissingVector]:
        """Passages without a vector in a generation, those of the newest versions first."""
        behind = (
            sa.select(document_versions.c.id, document_versions.c.text_sha256)
            .join(documents, documents.c.searched_version_id == document_versions.c.id)
            .outerjoin(vector_counts, _counts_of(generation_id))
            .where(document_versions.c.num_passages > sa.func.coalesce(vector_counts.c.num_vectors, 0))
            .order_by(document_versions.c.id.desc())
            .limit(limit)
        )
        missing: list[MissingVector] = []
        with self._database.read() as connection:
            for version in connection.execute(behind).all():
                own = sa.and_(
                    passage_vectors.c.number == document_passages.c.number, passage_vectors.c.generation_id == generation_id
                )
                query = (
                    sa.select(document_passages.c.number, document_passages.c.start, document_passages.c.end)
                    .outerjoin(passage_vectors, own)
                    .where(document_passages.c.version_id == version.id, passage_vectors.c.number.is_(None))
                    .order_by(document_passages.c.number)
                    .limit(limit - len(missing))
                )
                missing += [
                    MissingVector(row.number, version.id, version.text_sha256, Span(row.start, row.end))
                    for row in connection.execute(query)
                ]
                if len(missing) >= limit:
                    break
        return missing

    def add(self, generation_id: str, version_id: str, vectors: Mapping[int, bytes]) -> int:
        """Store the vectors of passages of one version, by number. Returns how many were new.

        Passages that were removed meanwhile, and passages that have a vector already, are left out.
        """
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    sa.select(document_versions.c.id).where(document_versions.c.id == version_id).with_for_update()
                )
            if (
                connection.execute(sa.select(vector_generations.c.id).where(vector_generations.c.id == generation_id)).first()
                is None
            ):
                return 0
            own = sa.and_(
                passage_vectors.c.number == document_passages.c.number, passage_vectors.c.generation_id == generation_id
            )
            wanted: set[int] = set()
            for batch in in_batches(sorted(vectors)):
                query = (
                    sa.select(document_passages.c.number)
                    .outerjoin(passage_vectors, own)
                    .where(document_passages.c.version_id == version_id, document_passages.c.number.in_(batch))
                    .where(passage_vectors.c.number.is_(None))
                )
                wanted.update(connection.scalars(query))
            rows = [{"generation_id": generation_id, "number": number, "vector": vectors[number]} for number in sorted(wanted)]
            if not rows:
                return 0
            for some in in_batches(rows):
                connection.execute(passage_vectors.insert(), some)
            counted = sa.and_(vector_counts.c.generation_id == generation_id, vector_counts.c.version_id == version_id)
            added = vector_counts.update().where(counted).values(num_vectors=vector_counts.c.num_vectors + len(rows))
            if connection.execute(added).rowcount == 0:
                first = {"generation_id": generation_id, "version_id": version_id, "num_vectors": len(rows)}
                connection.execute(vector_counts.insert().values(**first, revision=secrets.randbits(62)))
            return len(rows)

    def activate(self, generation_id: str) -> bool:
        """Let search use a generation, and delete the others, if every passage has a vector in it. Returns whether it did."""
        with self._database.write() as connection:
            if _count_missing(connection, generation_id):
                return False
            others = vector_generations.c.id != generation_id
            connection.execute(vector_generations.delete().where(others))
            this = vector_generations.c.id == generation_id
            return connection.execute(vector_generations.update().where(this).values(state="active")).rowcount == 1

    def counts(self, generation_id: str) -> dict[str, VectorCount]:
        """How many vectors each version has in a generation, by its id."""
        query = sa.select(vector_counts).where(vector_counts.c.generation_id == generation_id)
        with self._database.read() as connection:
            return {row.version_id: VectorCount(row.num_vectors, row.revision) for row in connection.execute(query)}

    def get(self, generation_id: str, numbers: Sequence[int]) -> dict[int, bytes]:
        """The vectors of passages, by number; passages without one are left out."""
        found: dict[int, bytes] = {}
        with self._database.read() as connection:
            for batch in in_batches(numbers):
                own = sa.and_(passage_vectors.c.generation_id == generation_id, passage_vectors.c.number.in_(batch))
                query = sa.select(passage_vectors.c.number, passage_vectors.c.vector).where(own)
                found |= {row.number: row.vector for row in connection.execute(query)}
        return found

    def load(self, generation_id: str, version_ids: Sequence[str]) -> dict[str, list[tuple[int, bytes]]]:
        """The vectors of versions: for each, (passage number, vector) by number."""
        found: dict[str, list[tuple[int, bytes]]] = {version_id: [] for version_id in version_ids}
        with self._database.read() as connection:
            for batch in in_batches(version_ids):
                query = (
                    sa.select(document_passages.c.version_id, passage_vectors.c.number, passage_vectors.c.vector)
                    .join(document_passages, document_passages.c.number == passage_vectors.c.number)
                    .where(passage_vectors.c.generation_id == generation_id, document_passages.c.version_id.in_(batch))
                    .order_by(passage_vectors.c.number)
                )
                for row in connection.execution_options(yield_per=1000).execute(query):
                    found[row.version_id].append((row.number, row.vector))
        return found


def _count_missing(connection: Connection, generation_id: str) -> int:
    query = (
        sa.select(sa.func.sum(document_versions.c.num_passages - sa.func.coalesce(vector_counts.c.num_vectors, 0)))
        .select_from(document_versions)
        .join(documents, documents.c.searched_version_id == document_versions.c.id)
        .outerjoin(vector_counts, _counts_of(generation_id))
    )
    return int(connection.execute(query).scalar() or 0)


def _counts_of(generation_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(vector_counts.c.version_id == document_versions.c.id, vector_counts.c.generation_id == generation_id)
