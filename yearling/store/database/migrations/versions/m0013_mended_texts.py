"""Texts without halves of surrogate pairs, which earlier versions took in: every listing that held one failed.

Only what people see and can change is mended. Samples, exams, and the two logs stay as they were recorded: hashes and token ids
refer to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from yearling.store.database.packing import compact_json, escape_text, unescape_text
from yearling.unicode_repair import mend_surrogates, mend_surrogates_in_json

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TEXTS: dict[str, tuple[str, ...]] = {
    "folders": ("name",),
    "conversations": ("title",),
    "messages": ("content",),
    "memories": ("text",),
    "modes": ("title", "text"),
    "sessions": ("agent",),
    "api_keys": ("name",),
    "invitations": ("note",),
    "spec_disputes": ("reason",),
}
"""Columns of text, whose halves are escaped as `packing.escape_text` says."""
_JSON: dict[str, tuple[str, ...]] = {"messages": ("facts",), "personal_settings": ("body",)}
"""Columns of JSON in ASCII."""

_KEYS: dict[str, tuple[str, ...]] = {"modes": ("name", "version"), "personal_settings": ("person_id",)}
_BATCH_ROWS = 500


def upgrade() -> None:
    for table, columns in _TEXTS.items():
        for column in columns:
            _rewrite(table, column, "\U0010fffdd", lambda text: escape_text(mend_surrogates(unescape_text(text))))
    for table, columns in _JSON.items():
        for column in columns:
            _rewrite(table, column, "\\ud", lambda text: compact_json(mend_surrogates_in_json(json.loads(text))))


def _rewrite(table: str, column: str, marker: str, mend: Callable[[str], str]) -> None:
    """Mend the values of a column that contain the marker, in batches by key."""
    connection = op.get_bind()
    keys = _KEYS.get(table, ("id",))
    rows = sa.table(table, *(sa.column(name) for name in (*keys, column)))
    value = rows.c[column]
    # Unlike LIKE, these take a backslash for a backslash.
    find = sa.func.strpos if connection.dialect.name == "postgresql" else sa.func.instr
    position = find(value, marker)
    last: tuple[object, ...] = ()
    while True:
        query = sa.select(rows).where(position > 0).order_by(*(rows.c[key] for key in keys)).limit(_BATCH_ROWS)
        if last:
            query = query.where(sa.tuple_(*(rows.c[key] for key in keys)) > sa.tuple_(*last))
        found = connection.execute(query).all()
        if not found:
            return
        for row in found:
            mended = mend(getattr(row, column))
            if mended != getattr(row, column):
                own = sa.and_(*(rows.c[key] == getattr(row, key) for key in keys))
                if table == "folders":  # names of a person's folders are unique
                    mended = f"{mended} {row.id[-6:]}"
                connection.execute(rows.update().where(own).values({column: mended}))
        last = tuple(getattr(found[-1], key) for key in keys)
