"""Live posts: sources, posts with their words, and the names of deleted posts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from yearling.store.database.search import POST_FTS

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SQLITE = f"""CREATE VIRTUAL TABLE {POST_FTS} USING fts5(
    words, content='posts', content_rowid='number', tokenize='ascii', detail='none', columnsize=0)"""
POSTGRES = "CREATE INDEX ix_posts_words ON posts USING gin (array_to_tsvector(string_to_array(words, ' ')))"


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "post_sources",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("num_events", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("last_event_utc", time),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_post_sources"),
        sa.UniqueConstraint("kind", "address", name="uq_post_sources_kind_address"),
    )
    op.create_table(
        "posts",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("source_id", sa.String(36), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("received_utc", time, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_posts"),
        sa.UniqueConstraint("uri", name="uq_posts_uri"),
        sa.ForeignKeyConstraint(["source_id"], ["post_sources.id"], name="fk_posts_source_id", ondelete="CASCADE"),
    )
    for column in ("author", "created_utc", "received_utc"):
        op.create_index(f"ix_posts_{column}", "posts", [column])
    op.create_index("ix_posts_source_id_number", "posts", ["source_id", "number"])
    op.execute(SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES)
    op.create_table(
        "deleted_posts",
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("deleted_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("uri", name="pk_deleted_posts"),
    )
    op.create_index("ix_deleted_posts_deleted_utc", "deleted_posts", ["deleted_utc"])
