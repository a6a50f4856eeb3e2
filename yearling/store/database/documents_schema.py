"""Tables of documents: versions with their texts, the passages that search looks through, and vectors of these.

The conventions are those of `schema`, which also holds the version of the whole schema. Texts and originals are blobs.
"""

from __future__ import annotations

import sqlalchemy as sa

from yearling.store.database.column_types import ExactText, UtcDateTime
from yearling.store.database.schema import HASH, ID, metadata

# `collection` is what is searched together: the id of a conversation, of a folder or, for a library, of its person; or
# `everybody`. No CASCADE from people: what is for everybody stays when its person leaves, and the rest is deleted before.
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("collection", ID, nullable=False),
    sa.Column("conversation_id", ID, sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True),
    sa.Column("folder_id", ID, sa.ForeignKey("folders.id", ondelete="CASCADE"), index=True),
    sa.Column("name", ExactText, nullable=False),
    # No foreign key: document and version would refer to each other.
    sa.Column("searched_version_id", ID),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("updated_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("collection", "name"),
)

# `text_sha256` is NULL until the text is known. `locations` is compressed JSON; `changes` compares with the version before.
document_versions = sa.Table(
    "document_versions",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("document_id", ID, sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    sa.Column("content_sha256", HASH, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", ExactText, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", ExactText, nullable=False),
    sa.Column("title", ExactText, nullable=False),
    sa.Column("text_sha256", HASH),
    sa.Column("num_chars", sa.BigInteger, nullable=False),
    sa.Column("num_pages", sa.Integer, nullable=False),
    sa.Column("num_passages", sa.Integer, nullable=False),
    sa.Column("num_words", sa.BigInteger, nullable=False),
    sa.Column("locations", sa.LargeBinary, nullable=False),
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Index(None, "document_id", "id"),
    sa.Index(None, "state", "id"),
)

# Only versions that are searched have passages. `words` are what search finds a passage by, each with the key of its collection;
# SQLite indexes them in an FTS5 table, Postgres as a `tsvector`.
document_passages = sa.Table(
    "document_passages",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version_id", ID, sa.ForeignKey("document_versions.id", ondelete="CASCADE"), nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("num_words", sa.Integer, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Index(None, "version_id", "number"),
)

# Vectors of one embedding model. A new model builds a new generation beside the active one.
vector_generations = sa.Table(
    "vector_generations",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", HASH, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("model_hash", "dimensions"),
)

passage_vectors = sa.Table(
    "passage_vectors",
    metadata,
    sa.Column("generation_id", ID, sa.ForeignKey("vector_generations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "number",
        sa.BigInteger,
        sa.ForeignKey("document_passages.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        index=True,
    ),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

# How many passages of a version have a vector, so that nothing counts them at every search.
vector_counts = sa.Table(
    "vector_counts",
    metadata,
    sa.Column("generation_id", ID, sa.ForeignKey("vector_generations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version_id", ID, sa.ForeignKey("document_versions.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("num_vectors", sa.Integer, nullable=False),
    # New whenever the passages of a version are: what is in memory then belongs to others.
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# A citation of a document that was removed says so. No words: only who could read it, and when it went.
removed_documents = sa.Table(
    "removed_documents",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), index=True),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("removed_utc", UtcDateTime, nullable=False),
)

# Named collections of documents of a person's library, which OpenAI's API calls vector stores.
file_collections = sa.Table(
    "file_collections",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", ExactText, nullable=False),
    sa.Column("description", ExactText, nullable=False),
    sa.Column("metadata_json", sa.Text, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("updated_utc", UtcDateTime, nullable=False),
)

collected_files = sa.Table(
    "collected_files",
    metadata,
    sa.Column("collection_id", ID, sa.ForeignKey("file_collections.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("document_id", ID, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("attributes_json", sa.Text, nullable=False),
    sa.Column("added_utc", UtcDateTime, nullable=False),
)

# What was added to a collection in one request, so that its progress can be asked for.
file_batches = sa.Table(
    "file_batches",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("collection_id", ID, sa.ForeignKey("file_collections.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("document_ids_json", sa.Text, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
)
