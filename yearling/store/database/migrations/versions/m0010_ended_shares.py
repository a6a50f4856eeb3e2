"""Links that ended: so that an old export cannot bring a revoked one back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "ended_shares",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("leaf_id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_ended_shares"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_ended_shares_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_ended_shares_person_id_leaf_id", "ended_shares", ["person_id", "leaf_id"])
