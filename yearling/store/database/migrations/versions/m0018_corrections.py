"""Corrections of people: questions with their right answers, earlier wordings, and the vectors by which they are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("message_id", sa.String(36)),
        sa.Column("event_id", sa.String(64)),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("item", sa.String(200)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("question_key", sa.String(64), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("updated_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_corrections_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_corrections_message_id", ondelete="SET NULL"),
    )
    op.create_index("ix_corrections_message_id", "corrections", ["message_id"])
    op.create_index("ix_corrections_item", "corrections", ["item"])
    op.create_index("ix_corrections_person_id_id", "corrections", ["person_id", "id"])
    op.create_index("ix_corrections_person_id_question_key", "corrections", ["person_id", "question_key"])
    op.create_index("ix_corrections_scope_state_id", "corrections", ["scope", "state", "id"])
    op.create_table(
        "correction_wordings",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("correction_id", sa.String(36), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("replaced_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_correction_wordings"),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["corrections.id"], name="fk_correction_wordings_correction_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_correction_wordings_correction_id_replaced_utc", "correction_wordings", ["correction_id", "replaced_utc"])
    op.create_table(
        "correction_vectors",
        sa.Column("correction_id", sa.String(36), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("correction_id", "model_hash", name="pk_correction_vectors"),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["corrections.id"], name="fk_correction_vectors_correction_id", ondelete="CASCADE"
        ),
    )
