"""Named collections of the files in a person's library, with attributes of each file, and the batches they were added in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "file_collections",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("metadata_json", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("updated_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_file_collections"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_file_collections_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_file_collections_person_id", "file_collections", ["person_id"])
    op.create_table(
        "collected_files",
        sa.Column("collection_id", sa.String(36), nullable=False),
        sa.Column("document_id", sa.String(36), nullable=False),
        sa.Column("attributes_json", sa.Text, nullable=False),
        sa.Column("added_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "document_id", name="pk_collected_files"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["file_collections.id"], name="fk_collected_files_collection_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_collected_files_document_id", ondelete="CASCADE"),
    )
    op.create_index("ix_collected_files_document_id", "collected_files", ["document_id"])
    op.create_table(
        "file_batches",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("collection_id", sa.String(36), nullable=False),
        sa.Column("document_ids_json", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_file_batches"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["file_collections.id"], name="fk_file_batches_collection_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_file_batches_collection_id", "file_batches", ["collection_id"])
