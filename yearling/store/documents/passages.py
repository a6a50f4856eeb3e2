"""What search reads of documents: which versions a person may find, how common a word is in them, and passages by their words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import NotFound
from yearling.store.database.database import Database, in_batches
from yearling.store.database.documents_schema import (
    collected_files,
    document_passages,
    document_versions,
    documents,
    file_collections,
)
from yearling.store.database.schema import conversations, folders
from yearling.store.database.search import DOCUMENT_FTS
from yearling.store.documents.canonical import Span
from yearling.store.documents.passage_rows import word_key
from yearling.store.documents.records import EVERYBODY, SearchedVersion, SearchScope

_WORDS_COLUMN = "array_to_tsvector(string_to_array(words, ' '))"
"""The expression that Postgres's index is over."""


_SELECT_SEARCHED = (
    sa.select(
        document_versions.c.id,
        document_versions.c.document_id,
        documents.c.collection,
        documents.c.name,
        document_versions.c.title,
        document_versions.c.text_sha256,
        document_versions.c.num_passages,
        document_versions.c.num_words,
    )
    .join(documents, documents.c.searched_version_id == document_versions.c.id)
    .order_by(document_versions.c.id)
)


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage with its words, each with the key of its collection."""

    number: int
    version_id: str
    span: Span
    num_words: int
    words: str


class PassageStore:
    """The passages of all versions that search finds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def searched_versions(self, scope: SearchScope) -> list[SearchedVersion]:
        """The versions in the places that a search of this scope looks through; of a library, all.

        Raises NotFound for a conversation or folder that is not the person's.
        """
        with self._database.read() as connection:
            collections = _collections(connection, scope)
            rows = connection.execute(_SELECT_SEARCHED.where(documents.c.collection.in_(collections))).all()
        return [SearchedVersion(**row._mapping) for row in rows]

    def collected_documents(self, scope: SearchScope) -> frozenset[str]:
        """The documents of the collections of files that a scope names. Raises NotFound for one that is not the person's."""
        with self._database.read() as connection:
            own = sa.and_(file_collections.c.id.in_(scope.file_collection_ids), file_collections.c.person_id == scope.person_id)
            found = set(connection.scalars(sa.select(file_collections.c.id).where(own)))
            if scope.file_collection_ids - found:
                raise NotFound("There is no such collection of files.", param="vector_store_ids")
            query = sa.select(collected_files.c.document_id).where(collected_files.c.collection_id.in_(found))
            return frozenset(connection.scalars(query))

    def exist(self) -> bool:
        """Whether any document can be searched."""
        with self._database.read() as connection:
            return connection.execute(sa.select(document_passages.c.number).limit(1)).first() is not None

    def existing_documents(self, document_ids: Iterable[str]) -> set[str]:
        """Those of the documents that nobody has removed."""
        found: set[str] = set()
        with self._database.read() as connection:
            for batch in in_batches(list(document_ids)):
                found.update(connection.execute(sa.select(documents.c.id).where(documents.c.id.in_(batch))).scalars())
        return found

    def count_passages_with(self, words: Iterable[str], collections: Sequence[str]) -> dict[str, int]:
        """In how many passages of the collections each word stands."""
        keys = [word_key(collection) for collection in collections]
        with self._database.read() as connection:
            return {word: sum(_count_one(connection, f"{key}{word}") for key in keys) for word in dict.fromkeys(words)}

    def find_with_any(self, words: Sequence[str], collections: Sequence[str], *, limit: int) -> list[FoundPassage]:
        """The newest `limit` passages of the collections that contain any of the words."""
        keyed = [f"{word_key(collection)}{word}" for collection in collections for word in words]
        if not keyed:
            return []
        columns = 'p.number, p.version_id, p.start, p."end" AS stop, p.num_words, p.words'
        with self._database.read() as connection:
            if connection.dialect.name == "sqlite":
                matches = (
                    f"SELECT rowid FROM {DOCUMENT_FTS} WHERE {DOCUMENT_FTS} MATCH :expression ORDER BY rowid DESC LIMIT :limit"
                )
                query = f"SELECT {columns} FROM document_passages p WHERE p.number IN ({matches}) ORDER BY p.number"
                expression = " OR ".join(f'"{word}"' for word in keyed)
            else:
                query = (
                    f"SELECT {columns} FROM document_passages p WHERE {_WORDS_COLUMN} @@ CAST(:expression AS tsquery)"
                    " ORDER BY p.number DESC LIMIT :limit"
                )
                expression = " | ".join(f"'{word}'" for word in keyed)
            rows = connection.execute(sa.text(query), {"expression": expression, "limit": limit}).all()
        found = [FoundPassage(row.number, row.version_id, Span(row.start, row.stop), row.num_words, row.words) for row in rows]
        return sorted(found, key=lambda passage: passage.number)

    def word_key(self, collection: str) -> str:
        """What the words of a collection begin with in `FoundPassage.words`."""
        return word_key(collection)

    def of_versions(self, version_ids: Sequence[str]) -> list[FoundPassage]:
        """All passages of these versions, by number."""
        return self._select(document_passages.c.version_id, version_ids)

    def get(self, numbers: Sequence[int]) -> list[FoundPassage]:
        """The passages with these numbers that are still there, by number."""
        return self._select(document_passages.c.number, numbers)

    def all_searched_versions(self) -> list[SearchedVersion]:
        """The versions of all people that search finds, oldest first: for an indexer."""
        with self._database.read() as connection:
            return [SearchedVersion(**row._mapping) for row in connection.execute(_SELECT_SEARCHED)]

    def _select(self, column: sa.Column[Any], values: Sequence[object]) -> list[FoundPassage]:
        found: list[FoundPassage] = []
        with self._database.read() as connection:
            for batch in in_batches(values):
                found += [
                    FoundPassage(row.number, row.version_id, Span(row.start, row.end), row.num_words, row.words)
                    for row in connection.execute(sa.select(document_passages).where(column.in_(batch)))
                ]
        return sorted(found, key=lambda passage: passage.number)


def _count_one(connection: Connection, keyed_word: str) -> int:
    if connection.dialect.name == "sqlite":
        query = f"SELECT count(*) FROM {DOCUMENT_FTS} WHERE {DOCUMENT_FTS} MATCH :expression"
        expression = f'"{keyed_word}"'
    else:
        query = f"SELECT count(*) FROM document_passages WHERE {_WORDS_COLUMN} @@ CAST(:expression AS tsquery)"
        expression = f"'{keyed_word}'"
    return int(connection.execute(sa.text(query), {"expression": expression}).scalar_one())


def _collections(connection: Connection, scope: SearchScope) -> set[str]:
    collections = {EVERYBODY} if scope.with_everybody else set()
    if scope.conversation_id is not None:
        own = sa.and_(conversations.c.id == scope.conversation_id, conversations.c.person_id == scope.person_id)
        row = connection.execute(sa.select(conversations.c.folder_id).where(own)).first()
        if row is None:
            raise NotFound(f"There is no conversation {scope.conversation_id[:100]!r}.", param="conversation_id")
        collections |= {scope.conversation_id, *([row.folder_id] if row.folder_id else [])}
    if scope.folder_id is not None:
        own = sa.and_(folders.c.id == scope.folder_id, folders.c.person_id == scope.person_id)
        if connection.execute(sa.select(folders.c.id).where(own)).first() is None:
            raise NotFound(f"There is no folder {scope.folder_id[:100]!r}.", param="folder_id")
        collections.add(scope.folder_id)
    if scope.file_collection_ids:
        collections.add(scope.person_id)  # the library, which `collected_documents` narrows down
    return collections
