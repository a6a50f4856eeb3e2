"""What messages keep of the corrections that bore on them: a list in their facts, with the question as it stood then.

The words of an entry go with it, also from the messages of others who were answered with one of the team's.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.store.database.packing import compact_json
from yearling.store.database.schema import correction_wordings, corrections, messages

CORRECTIONS_FACT = "corrections"
"""The key of `Message.facts` that lists the entries that bore on the question, each with its `id`."""


def forget_used_corrections(connection: Connection, condition: sa.ColumnElement[bool]) -> None:
    """Take the entries that meet a condition out of the facts of all messages. Call it before they are deleted.

    An entry is also meant by the id of an earlier one that it replaced. Reads the facts of all messages once.
    """
    replaced = sa.select(correction_wordings.c.id).join(corrections, corrections.c.id == correction_wordings.c.correction_id)
    ids = set(connection.scalars(sa.select(corrections.c.id).where(condition)))
    ids.update(connection.scalars(replaced.where(condition)))
    if not ids:
        return
    used = messages.c.facts.contains(f'"{CORRECTIONS_FACT}":', autoescape=True)
    for row in connection.execute(sa.select(messages.c.id, messages.c.facts).where(used)).all():
        facts: dict[str, Any] = json.loads(row.facts)
        entries = facts.get(CORRECTIONS_FACT)
        if not isinstance(entries, list):  # imported from a file that somebody wrote
            continue
        kept = [entry for entry in entries if not (isinstance(entry, dict) and str(entry.get("id")) in ids)]
        if len(kept) < len(entries):
            changed = compact_json({**facts, CORRECTIONS_FACT: kept})
            connection.execute(messages.update().where(messages.c.id == row.id).values(facts=changed))
