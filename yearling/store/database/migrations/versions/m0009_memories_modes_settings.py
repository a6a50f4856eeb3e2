"""What is remembered of people, the modes that maintainers define, and each person's own settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "memories",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("topic", sa.String(16), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("edited", sa.Boolean, nullable=False),
        sa.Column("message_id", sa.String(36)),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("updated_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_memories"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_memories_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_memories_message_id", ondelete="SET NULL"),
    )
    op.create_index("ix_memories_person_id_id", "memories", ["person_id", "id"])
    op.create_index("ix_memories_message_id", "memories", ["message_id"])
    op.create_table(
        "modes",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("retired", sa.Boolean, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_modes"),
    )
    op.create_table(
        "personal_settings",
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_personal_settings"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_personal_settings_person_id", ondelete="CASCADE"),
    )
