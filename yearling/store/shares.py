"""Shares: links to one branch of a conversation, as it was when it was shared. Revoking deletes the link.

The id of a share is its secret: 256 random bits. It shows the messages from the root down to its leaf and nothing else of the
conversation; a message never changes, so what was shared does not change either, except that deleted messages are gone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Conversation, Message
from yearling.store.audit import append_entry
from yearling.store.conversations import Conversations, owned
from yearling.store.database import Database
from yearling.store.schema import conversations, messages, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    id: str
    person_id: str
    conversation_id: str
    leaf_id: str
    created_utc: datetime
    title: str
    """Of the conversation, as it is now."""


ShareList = list[Share]
MessageList = list[Message]


class Shares:
    """Everybody's shares. Who has the id may read; only the owner may list and revoke."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = Conversations(database)

    def create(self, conversation_id: str, *, person_id: str, leaf_id: str | None = None) -> Share:
        """Share a branch; without `leaf_id` the one in use. Raises NotFound, Conflict for a conversation without messages."""
        share_id = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            conversation = owned(connection, conversation_id, person_id)
            leaf = leaf_id or conversation.leaf_id
            if leaf is None:
                raise Conflict("There is nothing in this conversation yet.", advice="Share it when something was said.")
            inside = sa.select(messages.c.id).where(messages.c.id == leaf, messages.c.conversation_id == conversation_id)
            if connection.execute(inside).first() is None:
                raise NotFound(f"There is no message {leaf!r} here.")
            share = Share(
                id=share_id,
                person_id=person_id,
                conversation_id=conversation_id,
                leaf_id=leaf,
                created_utc=now_utc(),
                title=conversation.title,
            )
            connection.execute(
                shares.insert().values({name: getattr(share, name) for column in shares.c if (name := column.name)})
            )
            append_entry(connection, person_id, "conversation.share", conversation_id)
        return share

    def list(self, person_id: str) -> ShareList:
        """A person's shares, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(_query().where(shares.c.person_id == person_id).order_by(shares.c.created_utc.desc()))
            return [_share(row) for row in rows]

    def revoke(self, share_id: str, *, person_id: str) -> None:
        """From now on the link shows nothing. Raises NotFound."""
        with self._database.write() as connection:
            own = sa.and_(shares.c.id == share_id, shares.c.person_id == person_id)
            row = connection.execute(sa.select(shares.c.conversation_id).where(own)).first()
            if row is None:
                raise NotFound("There is no such share.")
            connection.execute(shares.delete().where(own))
            append_entry(connection, person_id, "conversation.unshare", row.conversation_id)

    def open(self, share_id: str) -> tuple[Share, Conversation, MessageList]:
        """What a link shows, to whoever has it. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(_query().where(shares.c.id == share_id)).first()
        if row is None:
            raise NotFound("This link shows nothing.", advice="It may have been revoked by who shared it.")
        share = _share(row)
        conversation = self._conversations.get(share.conversation_id, person_id=share.person_id)
        return share, conversation, self._conversations.thread(share.leaf_id, share.person_id)


def _query() -> sa.Select[Any]:
    return sa.select(shares, conversations.c.title).join(conversations, conversations.c.id == shares.c.conversation_id)


def _share(row: Row[Any]) -> Share:
    return Share(**row._mapping)
