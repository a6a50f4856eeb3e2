"""Tables of live posts: where they come from, the posts with their words, and the names of those that are gone.

The conventions are those of `schema`, which also holds the version of the whole schema.
"""

from __future__ import annotations

import sqlalchemy as sa

from yearling.store.database.column_types import ExactText, UtcDateTime
from yearling.store.database.schema import ID, metadata

# `options` is JSON. The cursor is written in the transaction that stores the posts before it.
post_sources = sa.Table(
    "post_sources",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("address", ExactText, nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("cursor", ExactText, nullable=False),
    sa.Column("num_events", sa.BigInteger, nullable=False),
    sa.Column("last_error", ExactText, nullable=False),
    sa.Column("last_event_utc", UtcDateTime),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("kind", "address"),
)

# Numbers grow with the time of arrival. SQLite indexes `words` in an FTS5 table, Postgres as a `tsvector`.
posts = sa.Table(
    "posts",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("uri", ExactText, nullable=False, unique=True),
    sa.Column("source_id", ID, sa.ForeignKey("post_sources.id", ondelete="CASCADE"), nullable=False),
    sa.Column("author", ExactText, nullable=False, index=True),
    sa.Column("author_name", ExactText, nullable=False),
    sa.Column("text", ExactText, nullable=False),
    sa.Column("url", ExactText, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False, index=True),
    sa.Column("received_utc", UtcDateTime, nullable=False, index=True),
    sa.Column("words", sa.Text, nullable=False),
    sa.Index(None, "source_id", "number"),
)

# A deleted post that is replayed stays deleted.
deleted_posts = sa.Table(
    "deleted_posts",
    metadata,
    sa.Column("uri", ExactText, primary_key=True),
    sa.Column("deleted_utc", UtcDateTime, nullable=False, index=True),
)
