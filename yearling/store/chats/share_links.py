"""Shares: links to one branch of a conversation, as it was when it was shared. Revoking deletes the link, for good.

The id of a share is its secret: 256 random bits. It shows the messages from the root down to its leaf and nothing else of the
conversation; a message never changes, so what was shared does not change either, except that deleted messages are gone.

Of a link that ended stays the hash of its secret, and whether it was revoked or went with its messages. So a person's export
brings back a link that was deleted here together with its conversation, under the address that it had, and never one that was
revoked. What address a link has is never taken from a file that this store cannot check: an unknown link gets a new secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Conversation
from yearling.store.accounts.tokens import hash_token, new_token
from yearling.store.audit import append_audit_entry
from yearling.store.chats.conversations import ConversationStore, MessageRecords, require_conversation
from yearling.store.chats.ended_share_links import record_ended_links
from yearling.store.database.database import Database
from yearling.store.database.schema import conversations, ended_shares, messages, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLink:
    id: str
    person_id: str
    conversation_id: str
    leaf_id: str
    created_utc: datetime
    title: str
    """Of the conversation, as it is now."""


ShareLinkRecords = list[ShareLink]


class ShareLinkStore:
    """Everybody's shares. Who has the id may read; only the owner may list and revoke."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = ConversationStore(database)

    def create(self, conversation_id: str, *, person_id: str, leaf_id: str | None = None) -> ShareLink:
        """Share a branch; without `leaf_id` the one in use. Raises NotFound, Conflict for a conversation without messages."""
        share_id = new_token()
        with self._database.write() as connection:
            conversation = require_conversation(connection, conversation_id, person_id)
            leaf = leaf_id or conversation.leaf_id
            if leaf is None:
                raise Conflict("There is nothing in this conversation yet.", advice="Share it when something was said.")
            return _insert_link(connection, share_id, conversation, leaf, now_utc())

    def restore(
        self, share_id: str, *, person_id: str, conversation_id: str, leaf_id: str, created_utc: datetime
    ) -> Literal["back", "new", "known", "revoked"]:
        """A link out of a person's export: `back` under its address, or under a `new` one where this store never had it.

        Raises NotFound for a conversation that is not theirs or a message that is not in it.
        """
        same = sa.and_(shares.c.leaf_id == leaf_id, shares.c.created_utc == created_utc)
        known = sa.select(shares.c.id).where(shares.c.person_id == person_id, sa.or_(shares.c.id == share_id, same))
        digest = hash_token(share_id)
        alike = sa.and_(ended_shares.c.leaf_id == leaf_id, ended_shares.c.created_utc == created_utc)
        ended = sa.select(ended_shares).where(
            ended_shares.c.person_id == person_id, sa.or_(ended_shares.c.sha256 == digest, alike)
        )
        with self._database.write() as connection:
            conversation = require_conversation(connection, conversation_id, person_id)
            if connection.execute(known).first() is not None:
                return "known"
            found = connection.execute(ended).all()
            if any(row.revoked for row in found):
                return "revoked"
            proven = any((row.sha256, row.leaf_id) == (digest, leaf_id) for row in found)
            _insert_link(connection, share_id if proven else new_token(), conversation, leaf_id, created_utc)
            if proven:
                connection.execute(ended_shares.delete().where(ended_shares.c.sha256 == digest))
            return "back" if proven else "new"

    def list(self, person_id: str) -> ShareLinkRecords:
        """A person's shares, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                _select_links().where(shares.c.person_id == person_id).order_by(shares.c.created_utc.desc())
            )
            return [_link_from_row(row) for row in rows]

    def revoke(self, share_id: str, *, person_id: str) -> None:
        """From now on the link shows nothing. Raises NotFound."""
        with self._database.write() as connection:
            own = sa.and_(shares.c.id == share_id, shares.c.person_id == person_id)
            row = connection.execute(sa.select(shares).where(own)).first()
            if row is None:
                raise NotFound("There is no such share.")
            record_ended_links(connection, [row], revoked=True)
            connection.execute(shares.delete().where(own))
            append_audit_entry(connection, person_id, "conversation.unshare", row.conversation_id)

    def resolve(self, share_id: str) -> tuple[ShareLink, Conversation, MessageRecords]:
        """What a link shows, to whoever has it. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(_select_links().where(shares.c.id == share_id)).first()
        if row is None:
            raise NotFound("This link shows nothing.", advice="It may have been revoked by who shared it.")
        share = _link_from_row(row)
        conversation = self._conversations.get(share.conversation_id, person_id=share.person_id)
        return share, conversation, self._conversations.list_branch(share.leaf_id, share.person_id)


def _insert_link(
    connection: Connection, share_id: str, conversation: Conversation, leaf_id: str, created_utc: datetime
) -> ShareLink:
    """Raises NotFound when the leaf is no message of the conversation."""
    inside = sa.select(messages.c.id).where(messages.c.id == leaf_id, messages.c.conversation_id == conversation.id)
    if connection.execute(inside).first() is None:
        raise NotFound(f"There is no message {leaf_id!r} here.")
    share = ShareLink(
        id=share_id,
        person_id=conversation.person_id,
        conversation_id=conversation.id,
        leaf_id=leaf_id,
        created_utc=created_utc,
        title=conversation.title,
    )
    connection.execute(shares.insert().values({column.name: getattr(share, column.name) for column in shares.c}))
    append_audit_entry(connection, conversation.person_id, "conversation.share", conversation.id)
    return share


def _select_links() -> sa.Select[Any]:
    return sa.select(shares, conversations.c.title).join(conversations, conversations.c.id == shares.c.conversation_id)


def _link_from_row(row: Row[Any]) -> ShareLink:
    return ShareLink(**row._mapping)
