"""Share links that ended: the hash of their secret, and whether they were revoked or deleted with their messages."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.store.accounts.tokens import hash_token
from yearling.store.database.schema import TableRow, ended_shares, shares


def end_links_to_messages(connection: Connection, leaf_ids: Sequence[str]) -> None:
    """Record that the links to these messages end, before the transaction deletes the messages."""
    rows = connection.execute(sa.select(shares).where(shares.c.leaf_id.in_(leaf_ids))).all()
    record_ended_links(connection, rows, revoked=False)


def record_ended_links(connection: Connection, rows: Sequence[TableRow], *, revoked: bool) -> None:
    """Record that these links (rows of `shares`) end in this transaction."""
    for row in rows:
        values = {"sha256": hash_token(row.id), "person_id": row.person_id, "leaf_id": row.leaf_id}
        connection.execute(ended_shares.insert().values(**values, created_utc=row.created_utc, revoked=revoked))
