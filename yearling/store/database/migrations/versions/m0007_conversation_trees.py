"""Conversations in folders and in use by branch, messages with how they came about, full-text search, shares, comparisons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from yearling.store.database.packing import unescape_text
from yearling.store.database.search import FTS, indexed

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The words lie in search_entries; this table holds the index only. `ascii` cuts at spaces, which is all that is left to do. No
# triggers fill it: with an untrusted schema, which is how databases are opened here, they may not touch virtual tables.
SQLITE = f"""CREATE VIRTUAL TABLE {FTS} USING fts5(
    words, content='search_entries', content_rowid='number', tokenize='ascii', detail='none', columnsize=0)"""


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    _folders(time)
    _columns(time)
    _search()
    _shares_and_comparisons(time)
    _fill()


def _folders(time: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_folders"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_folders_person_id", ondelete="CASCADE"),
        sa.UniqueConstraint("person_id", "name", name="uq_folders_person_id_name"),
    )


def _columns(time: sa.types.TypeEngine[str]) -> None:
    with op.batch_alter_table("conversations") as table:  # SQLite takes a new foreign key only with a new table
        table.add_column(sa.Column("updated_utc", time))
        table.add_column(sa.Column("folder_id", sa.String(36)))
        table.add_column(sa.Column("leaf_id", sa.String(36)))
        table.add_column(sa.Column("origin", sa.String(16), nullable=False, server_default=sa.text("''")))
        table.add_column(sa.Column("facts", sa.Text, nullable=False, server_default="{}"))
        table.create_foreign_key("fk_conversations_folder_id", "folders", ["folder_id"], ["id"], ondelete="SET NULL")
    op.create_index("ix_conversations_folder_id", "conversations", ["folder_id"])
    op.create_index("ix_conversations_person_id_updated_utc_id", "conversations", ["person_id", "updated_utc", "id"])
    op.add_column("messages", sa.Column("model", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("messages", sa.Column("finish_reason", sa.String(16)))
    op.add_column("messages", sa.Column("turn_id", sa.String(36)))
    op.add_column("messages", sa.Column("facts", sa.Text, nullable=False, server_default="{}"))


def _search() -> None:
    op.create_table(
        "search_entries",
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("conversation_id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR, "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_search_entries"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_search_entries_message_id", ondelete="CASCADE"),
    )
    op.create_index("ix_search_entries_person_id", "search_entries", ["person_id"])
    op.create_index("ix_search_entries_number", "search_entries", ["number"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SQLITE)
    else:
        op.execute("CREATE INDEX ix_search_entries_words ON search_entries USING gin (words)")


def _shares_and_comparisons(time: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.String(43), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("conversation_id", sa.String(36), nullable=False),
        sa.Column("leaf_id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shares"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_shares_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_shares_conversation_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["leaf_id"], ["messages.id"], name="fk_shares_leaf_id", ondelete="CASCADE"),
    )
    for name in ("person_id", "conversation_id", "leaf_id"):
        op.create_index(f"ix_shares_{name}", "shares", [name])
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("conversation_id", sa.String(36), nullable=False),
        sa.Column("question_id", sa.String(36), nullable=False),
        sa.Column("left_id", sa.String(36), nullable=False),
        sa.Column("right_id", sa.String(36), nullable=False),
        sa.Column("offered", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("event_id", sa.String(64)),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comparisons"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_comparisons_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_comparisons_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["question_id"], ["messages.id"], name="fk_comparisons_question_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["left_id"], ["messages.id"], name="fk_comparisons_left_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["right_id"], ["messages.id"], name="fk_comparisons_right_id", ondelete="CASCADE"),
    )
    for name in ("conversation_id", "question_id", "left_id", "right_id"):
        op.create_index(f"ix_comparisons_{name}", "comparisons", [name])
    op.create_index("ix_comparisons_person_id_id", "comparisons", ["person_id", "id"])


def _fill() -> None:
    """When older conversations were last used, and the words of their messages."""
    connection = op.get_bind()
    for column, source in (("updated_utc", "created_utc"), ("leaf_id", "id")):
        op.execute(
            f"UPDATE conversations SET {column} ="
            f" (SELECT MAX({source}) FROM messages WHERE messages.conversation_id = conversations.id)"
        )
    rows = connection.execute(
        sa.text(
            "SELECT m.id AS message_id, m.conversation_id, c.person_id, m.content FROM messages m"
            " JOIN conversations c ON c.id = m.conversation_id ORDER BY m.id"
        )
    ).fetchall()
    words = ":words" if connection.dialect.name == "sqlite" else "CAST(:words AS tsvector)"
    for number, row in enumerate(rows, start=1):
        connection.execute(
            sa.text(
                "INSERT INTO search_entries (message_id, conversation_id, person_id, number, words)"
                f" VALUES (:message_id, :conversation_id, :person_id, :number, {words})"
            ),
            {
                "message_id": row.message_id,
                "conversation_id": row.conversation_id,
                "person_id": row.person_id,
                "number": number,
                "words": indexed(row.person_id, unescape_text(row.content)),
            },
        )
    if connection.dialect.name == "sqlite":
        op.execute(f"INSERT INTO {FTS}({FTS}) VALUES ('rebuild')")
