"""Conversations of OpenAI's Conversations API, which clients keep apart from people's chat history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "api_conversations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("metadata_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_conversations"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_api_conversations_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_api_conversations_person_id_id", "api_conversations", ["person_id", "id"])
    op.create_table(
        "api_conversation_items",
        sa.Column("conversation_id", sa.String(36), nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "position", name="pk_api_conversation_items"),
        sa.UniqueConstraint("conversation_id", "id", name="uq_api_conversation_items_conversation_id_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["api_conversations.id"],
            name="fk_api_conversation_items_conversation_id",
            ondelete="CASCADE",
        ),
    )
