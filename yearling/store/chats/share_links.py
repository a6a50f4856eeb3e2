"""Share links: public links to one branch of a conversation. Revoking a link is permanent.

The id of a link is its secret: 256 random bits. The link shows the messages from the root to its leaf and nothing else of the
conversation. Messages never change, so neither does what the link shows, unless messages are deleted.

For a link that ended, the store keeps the hash of its secret and whether it was revoked or deleted with its messages. Importing a
person's export therefore restores a deleted link under its old address, but never a revoked one. The store does not trust the
address of a link in a file unless it knows its hash: an unknown link gets a new secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Conversation, Message
from yearling.store.accounts.tokens import hash_token, new_token
from yearling.store.audit import append_audit_entry
from yearling.store.chats.comparisons import ComparisonRecord, ComparisonStore
from yearling.store.chats.conversations import ConversationStore, MessageRecords, require_conversation
from yearling.store.chats.ended_share_links import record_ended_links
from yearling.store.database.database import Database
from yearling.store.database.schema import TableRow, conversations, ended_shares, messages, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLink:
    """A share link. `title` is the current title of the conversation."""

    id: str
    person_id: str
    conversation_id: str
    leaf_id: str
    created_utc: datetime
    title: str


ShareLinkRecords = list[ShareLink]


class ShareLinkStore:
    """All share links. Anybody with the id can read; only the owner can list and revoke."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = ConversationStore(database)
        self._comparisons = ComparisonStore(database)

    def create(self, conversation_id: str, *, person_id: str, leaf_id: str | None = None) -> ShareLink:
        """Share a branch, by default the current one. Raises NotFound, Conflict if the conversation has no messages."""
        share_id = new_token()
        with self._database.write() as connection:
            conversation = require_conversation(connection, conversation_id, person_id)
            leaf = leaf_id or conversation.leaf_id
            if leaf is None:
                raise Conflict("This conversation has no messages.", advice="Share it once it has some.")
            return _insert_link(connection, share_id, conversation, leaf, now_utc())

    def restore(
        self, share_id: str, *, person_id: str, conversation_id: str, leaf_id: str, created_utc: datetime
    ) -> Literal["back", "new", "known", "revoked"]:
        """Restore a link from a person's export: `back` at its old address, or at a `new` one if this store never had it.

        `known` links exist already, and `revoked` ones are not restored. Raises NotFound if the conversation is not the person's
        or the message is not in it.
        """
        same = sa.and_(shares.c.leaf_id == leaf_id, shares.c.created_utc == created_utc)
        known = sa.select(shares.c.id).where(shares.c.person_id == person_id, sa.or_(shares.c.id == share_id, same))
        digest = hash_token(share_id)
        same_ended = sa.and_(ended_shares.c.leaf_id == leaf_id, ended_shares.c.created_utc == created_utc)
        ended = sa.select(ended_shares).where(
            ended_shares.c.person_id == person_id, sa.or_(ended_shares.c.sha256 == digest, same_ended)
        )
        with self._database.write() as connection:
            conversation = require_conversation(connection, conversation_id, person_id)
            if connection.execute(known).first() is not None:
                return "known"
            rows = connection.execute(ended).all()
            if any(row.revoked for row in rows):
                return "revoked"
            is_ours = any((row.sha256, row.leaf_id) == (digest, leaf_id) for row in rows)
            _insert_link(connection, share_id if is_ours else new_token(), conversation, leaf_id, created_utc)
            if is_ours:
                connection.execute(ended_shares.delete().where(ended_shares.c.sha256 == digest))
            return "back" if is_ours else "new"

    def list(self, person_id: str) -> ShareLinkRecords:
        """A person's share links, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                _select_links().where(shares.c.person_id == person_id).order_by(shares.c.created_utc.desc())
            )
            return [_link_from_row(row) for row in rows]

    def revoke(self, share_id: str, *, person_id: str) -> None:
        """End a link permanently. Raises NotFound."""
        with self._database.write() as connection:
            own = sa.and_(shares.c.id == share_id, shares.c.person_id == person_id)
            row = connection.execute(sa.select(shares).where(own)).first()
            if row is None:
                raise NotFound("There is no such share link.")
            record_ended_links(connection, [row], revoked=True)
            connection.execute(shares.delete().where(own))
            append_audit_entry(connection, person_id, "conversation.unshare", row.conversation_id)

    def resolve(self, share_id: str) -> tuple[ShareLink, Conversation, MessageRecords]:
        """The link with this id, its conversation and the messages that it shows. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(_select_links().where(shares.c.id == share_id)).first()
        if row is None:
            raise NotFound("This link does not work any more.", advice="Its owner may have revoked it.")
        share = _link_from_row(row)
        conversation = self._conversations.get(share.conversation_id, person_id=share.person_id)
        return share, conversation, self._conversations.list_branch(share.leaf_id, share.person_id)

    def find_rateable_samples(self, share_id: str) -> set[str]:
        """The ids of the samples that whoever has the link may rate. None for a link that does not work."""
        try:
            share, conversation, branch = self.resolve(share_id)
        except NotFound:
            return set()
        return rateable_samples(branch, self._comparisons.list_for_conversation(conversation.id, person_id=share.person_id))


def rateable_samples(branch: Iterable[Message], comparisons: Iterable[ComparisonRecord]) -> set[str]:
    """The ids of the samples of the answers that a branch shows, without those of comparisons that wait for a choice."""
    resolved = {comparison.id for comparison in comparisons if comparison.state in ("decided", "skipped")}
    return {
        message.sample_id
        for message in branch
        if message.sample_id and is_shown(message) and str(message.facts.get("comparison") or "") in {"", *resolved}
    }


def is_shown(message: Message) -> bool:
    """Whether a share link shows a message of its branch."""
    return message.role in ("user", "assistant") and not message.facts.get("hidden")


def _insert_link(
    connection: Connection, share_id: str, conversation: Conversation, leaf_id: str, created_utc: datetime
) -> ShareLink:
    """Raises NotFound if the leaf is not a message of the conversation."""
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


def _select_links() -> sa.Select[*tuple[object, ...]]:
    return sa.select(shares, conversations.c.title).join(conversations, conversations.c.id == shares.c.conversation_id)


def _link_from_row(row: TableRow) -> ShareLink:
    return ShareLink(**row._mapping)
