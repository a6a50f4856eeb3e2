"""Conversations: trees of messages, each tree owned by one person. Ownership is part of every query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from yearling.clock import new_id, now_utc
from yearling.errors import NotFound
from yearling.records import Conversation, Message, Role
from yearling.store.audit import append_entry
from yearling.store.database import Database
from yearling.store.schema import conversations, messages, people, samples

ConversationList = list[Conversation]
MessageList = list[Message]


class Conversations:
    """Everybody's conversations, each visible to its owner only: another's is NotFound, exactly like one that never was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, person_id: str, title: str = "") -> Conversation:
        """Raises NotFound for an unknown person."""
        conversation = Conversation(id=new_id(), person_id=person_id, title=title, created_utc=now_utc())
        with self._database.write() as connection:
            if connection.execute(sa.select(people.c.id).where(people.c.id == person_id)).first() is None:
                raise NotFound(f"There is no person {person_id!r}.")
            connection.execute(
                conversations.insert().values(
                    id=conversation.id, person_id=person_id, title=title, created_utc=conversation.created_utc
                )
            )
        return conversation

    def get(self, conversation_id: str, *, person_id: str) -> Conversation:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _owned(connection, conversation_id, person_id)

    def list(self, person_id: str, *, limit: int | None = None, before: str | None = None) -> ConversationList:
        """A person's conversations, newest first; `before` is the id where the last page ended."""
        query = sa.select(conversations).where(conversations.c.person_id == person_id)
        if before is not None:
            query = query.where(conversations.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(conversations.c.id.desc()).limit(limit))
            return [_conversation(row) for row in rows]

    def delete(self, conversation_id: str, *, person_id: str) -> None:
        """Delete a conversation, its messages, and the samples of its answers, which hold the same words. Raises NotFound."""
        with self._database.write() as connection:
            _owned(connection, conversation_id, person_id)
            answered = sa.select(messages.c.sample_id).where(
                messages.c.conversation_id == conversation_id, messages.c.sample_id.is_not(None)
            )
            sample_ids = connection.scalars(answered).all()
            for start in range(0, len(sample_ids), 500):
                connection.execute(samples.delete().where(samples.c.id.in_(sample_ids[start : start + 500])))
            connection.execute(conversations.delete().where(conversations.c.id == conversation_id))
            append_entry(connection, person_id, "conversation.delete", conversation_id, {"samples": len(sample_ids)})
        self._database.scrub("conversations", "messages", "samples")

    def add_message(
        self,
        conversation_id: str,
        *,
        person_id: str,
        role: Role,
        content: str,
        parent_id: str | None = None,
        sample_id: str | None = None,
    ) -> Message:
        """Add a message under `parent_id` (None starts a tree); durable on return.

        Raises NotFound when the conversation, the parent in it, or the sample does not exist or is another person's. A sample
        that the retention setting kept from being stored does not exist.
        """
        message = Message(
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_utc=now_utc(),
            sample_id=sample_id,
        )
        with self._database.write() as connection:
            _owned(connection, conversation_id, person_id)
            if parent_id is not None:
                in_conversation = sa.and_(messages.c.id == parent_id, messages.c.conversation_id == conversation_id)
                _require(connection, sa.select(messages.c.id).where(in_conversation), f"message {parent_id!r}")
            if sample_id is not None:
                own = sa.and_(samples.c.id == sample_id, samples.c.person_id == person_id)
                _require(connection, sa.select(samples.c.id).where(own), f"sample {sample_id!r}")
            connection.execute(messages.insert().values({name: getattr(message, name) for name in message.__slots__}))
        return message

    def thread(self, leaf_message_id: str, person_id: str) -> MessageList:
        """The messages from the root of the tree down to this one. Raises NotFound."""
        ancestors = (
            sa.select(messages.c.id, messages.c.parent_id, sa.literal(0).label("depth"))
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .where(messages.c.id == leaf_message_id, conversations.c.person_id == person_id)
            .cte("ancestors", recursive=True)
        )
        ancestors = ancestors.union_all(
            sa.select(messages.c.id, messages.c.parent_id, ancestors.c.depth + 1).join(
                ancestors, messages.c.id == ancestors.c.parent_id
            )
        )
        query = sa.select(messages).join(ancestors, ancestors.c.id == messages.c.id).order_by(ancestors.c.depth.desc())
        with self._database.read() as connection:
            found = [_message(row) for row in connection.execute(query)]
        if not found:
            raise NotFound(f"There is no message {leaf_message_id!r}.")
        return found

    def of_samples(self, sample_ids: Sequence[str]) -> dict[str, str]:
        """In which conversation each of these samples is an answer, whoever it belongs to; those in none are left out."""
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for start in range(0, len(sample_ids), 500):
                query = sa.select(messages.c.sample_id, messages.c.conversation_id).order_by(messages.c.id.desc())
                rows = connection.execute(query.where(messages.c.sample_id.in_(sample_ids[start : start + 500])))
                found.update((row.sample_id, row.conversation_id) for row in rows)
        return found

    def messages(self, conversation_id: str, *, person_id: str) -> MessageList:
        """All messages of a conversation's tree, oldest first. Raises NotFound."""
        query = sa.select(messages).where(messages.c.conversation_id == conversation_id).order_by(messages.c.id)
        with self._database.read() as connection:
            _owned(connection, conversation_id, person_id)
            return [_message(row) for row in connection.execute(query)]


def _owned(connection: Connection, conversation_id: str, person_id: str) -> Conversation:
    row = connection.execute(
        sa.select(conversations).where(conversations.c.id == conversation_id, conversations.c.person_id == person_id)
    ).first()
    if row is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return _conversation(row)


def _require(connection: Connection, query: sa.Select[Any], what: str) -> None:
    if connection.execute(query).first() is None:
        raise NotFound(f"There is no {what} here.")


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(**row._mapping)


def _message(row: Row[Any]) -> Message:
    return Message(**row._mapping)
