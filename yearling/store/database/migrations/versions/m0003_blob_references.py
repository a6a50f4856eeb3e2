"""Which record needs which blob, so that unneeded blobs can be collected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blob_references",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("record_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "kind", "record_id", name="pk_blob_references"),
    )
    op.create_index("ix_blob_references_kind_record_id", "blob_references", ["kind", "record_id"])
