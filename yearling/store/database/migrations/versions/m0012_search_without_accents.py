"""Words are indexed without accents, so that `cafe` finds `café`. Only messages beyond ASCII change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from yearling.store.database.packing import unescape_text
from yearling.store.database.search import FTS, indexed

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_PAGE = 500


def upgrade() -> None:
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    page = sa.text(
        "SELECT m.id, c.person_id, m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id"
        f" WHERE m.id > :after ORDER BY m.id LIMIT {_PAGE}"
    )
    words = ":words" if is_sqlite else "CAST(:words AS tsvector)"
    change = sa.text(f"UPDATE search_entries SET words = {words} WHERE message_id = :message_id")
    after, num_changed = "", 0
    while rows := connection.execute(page, {"after": after}).fetchall():
        after = rows[-1].id
        changes = [
            {"message_id": row.id, "words": indexed(row.person_id, unescape_text(row.content))}
            for row in rows
            if not row.content.isascii()
        ]
        if changes:
            connection.execute(change, changes)
            num_changed += len(changes)
    if is_sqlite and num_changed:
        op.execute(f"INSERT INTO {FTS}({FTS}) VALUES ('rebuild')")
