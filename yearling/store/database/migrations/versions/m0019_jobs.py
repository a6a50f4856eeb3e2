"""Jobs: everything that takes long, from its request to its result."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("machine", sa.String(36), nullable=False),
        sa.Column("fraction", sa.Double, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("remaining_s", sa.Double),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("cpu_s", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("not_before_utc", time),
        sa.Column("started_utc", time),
        sa.Column("updated_utc", time),
        sa.Column("ended_utc", time),
        sa.Column("cancel_utc", time),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_jobs_person_id", ondelete="SET NULL"),
    )
    op.create_index("ix_jobs_person_id", "jobs", ["person_id"])
    op.create_index("ix_jobs_state_id", "jobs", ["state", "id"])
