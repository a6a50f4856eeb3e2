"""Documents: versions with their texts, passages with their words and vectors, and what is left of a removed document."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from yearling.store.database.search import DOCUMENT_FTS

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# As for the search of messages, `ascii` cuts at spaces, which is all that is left to do.
SQLITE = f"""CREATE VIRTUAL TABLE {DOCUMENT_FTS} USING fts5(
    words, content='document_passages', content_rowid='number', tokenize='ascii', detail='none', columnsize=0)"""

POSTGRES = (
    "CREATE INDEX ix_document_passages_words ON document_passages USING gin (array_to_tsvector(string_to_array(words, ' ')))"
)


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    _documents(time)
    _versions(time)
    _passages()
    _vectors(time)
    op.create_table(
        "removed_documents",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("removed_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removed_documents"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_removed_documents_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_removed_documents_person_id", "removed_documents", ["person_id"])


def _documents(time: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("collection", sa.String(36), nullable=False),
        sa.Column("conversation_id", sa.String(36)),
        sa.Column("folder_id", sa.String(36)),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("searched_version_id", sa.String(36)),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("updated_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_documents_person_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_documents_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name="fk_documents_folder_id", ondelete="CASCADE"),
        sa.UniqueConstraint("collection", "name", name="uq_documents_collection_name"),
    )
    for column in ("person_id", "conversation_id", "folder_id"):
        op.create_index(f"ix_documents_{column}", "documents", [column])


def _versions(time: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "document_versions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("document_id", sa.String(36), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text_sha256", sa.String(64)),
        sa.Column("num_chars", sa.BigInteger, nullable=False),
        sa.Column("num_pages", sa.Integer, nullable=False),
        sa.Column("num_passages", sa.Integer, nullable=False),
        sa.Column("num_words", sa.BigInteger, nullable=False),
        sa.Column("locations", sa.LargeBinary, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_document_versions"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_document_versions_document_id", ondelete="CASCADE"),
    )
    op.create_index("ix_document_versions_content_sha256", "document_versions", ["content_sha256"])
    op.create_index("ix_document_versions_document_id_id", "document_versions", ["document_id", "id"])
    op.create_index("ix_document_versions_state_id", "document_versions", ["state", "id"])


def _passages() -> None:
    op.create_table(
        "document_passages",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.String(36), nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("num_words", sa.Integer, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_document_passages"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["document_versions.id"], name="fk_document_passages_version_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_document_passages_version_id_number", "document_passages", ["version_id", "number"])
    op.execute(SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES)


def _vectors(time: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "vector_generations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_generations"),
        sa.UniqueConstraint("model_hash", "dimensions", name="uq_vector_generations_model_hash_dimensions"),
    )
    op.create_table(
        "passage_vectors",
        sa.Column("generation_id", sa.String(36), nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("generation_id", "number", name="pk_passage_vectors"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["vector_generations.id"], name="fk_passage_vectors_generation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["number"], ["document_passages.number"], name="fk_passage_vectors_number", ondelete="CASCADE"),
    )
    op.create_index("ix_passage_vectors_number", "passage_vectors", ["number"])
    op.create_table(
        "vector_counts",
        sa.Column("generation_id", sa.String(36), nullable=False),
        sa.Column("version_id", sa.String(36), nullable=False),
        sa.Column("num_vectors", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("generation_id", "version_id", name="pk_vector_counts"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["vector_generations.id"], name="fk_vector_counts_generation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["version_id"], ["document_versions.id"], name="fk_vector_counts_version_id", ondelete="CASCADE"),
    )
    op.create_index("ix_vector_counts_version_id", "vector_counts", ["version_id"])
