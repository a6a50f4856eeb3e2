"""Guesses of what most others prefer, and an index that finds the public texts of a kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "guesses",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("left_item", sa.String(200), nullable=False),
        sa.Column("right_item", sa.String(200), nullable=False),
        sa.Column("guess", sa.String(16), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_guesses"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_guesses_person_id", ondelete="CASCADE"),
        sa.UniqueConstraint("person_id", "left_item", "right_item", name="uq_guesses_person_id_left_item_right_item"),
    )
    op.create_index("ix_texts_kind_id", "texts", ["kind", "id"])
