"""Question rounds: questions that the assistant answers twice, for people to say which answer is better."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "rounds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("people_per_pair", sa.Integer, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("closed_utc", time),
        sa.PrimaryKeyConstraint("id", name="pk_rounds"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_rounds_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_rounds_person_id", "rounds", ["person_id"])
    op.create_index("ix_rounds_state", "rounds", ["state"])
    op.create_table(
        "round_pairs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("round_id", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("left_item", sa.String(36)),
        sa.Column("right_item", sa.String(36)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_round_pairs"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_round_pairs_round_id", ondelete="CASCADE"),
        sa.UniqueConstraint("round_id", "position", name="uq_round_pairs_round_id_position"),
    )
    for name in ("left_item", "right_item"):
        op.create_index(f"ix_round_pairs_{name}", "round_pairs", [name])
