"""Answers that their owners let others read and judge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "offers",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("sample_id", sa.String(36)),
        sa.Column("conversation_id", sa.String(36)),
        sa.Column("message_id", sa.String(36)),
        sa.Column("edited", sa.Boolean, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("withdrawn_utc", time),
        sa.PrimaryKeyConstraint("id", name="pk_offers"),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=f"fk_offers_{column}", ondelete="SET NULL")
            for column, table in (
                ("person_id", "people"),
                ("sample_id", "samples"),
                ("conversation_id", "conversations"),
                ("message_id", "messages"),
            )
        ),
    )
    op.create_index("ix_offers_person_id_id", "offers", ["person_id", "id"])
    op.create_index("ix_offers_conversation_id", "offers", ["conversation_id"])
    op.create_index("ix_offers_message_id", "offers", ["message_id"])
    op.create_index("ix_offers_sample_id", "offers", ["sample_id"])
    live = sa.text("withdrawn_utc IS NULL")
    op.create_index("uq_offers_live", "offers", ["sample_id"], unique=True, sqlite_where=live, postgresql_where=live)
