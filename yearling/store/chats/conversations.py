"""Conversations: trees of messages, each tree owned by one person. Ownership is part of every query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import MODEL_FACT, Conversation, FinishReason, Message, Role
from yearling.store.audit import append_audit_entry
from yearling.store.chats.ended_share_links import end_links_to_messages
from yearling.store.database.database import Database, in_batches
from yearling.store.database.documents_schema import documents
from yearling.store.database.packing import compact_json, record_values
from yearling.store.database.schema import TableRow, blob_references, conversations, folders, memories, messages, people, samples
from yearling.store.database.search import DOCUMENT_FTS, index_messages, merge_index_segments, unindex_messages
from yearling.store.documents.passage_rows import DOCUMENT_TABLES, delete_documents
from yearling.store.learning.offers import withdraw_orphaned_offers

ConversationRecords = list[Conversation]
MessageRecords = list[Message]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The default of fields that an update leaves unchanged."""

_FACTS_BATCH = 100

MESSAGE_BLOB_KIND = "message"
"""The kind of blob references that messages have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedContent:
    """What a deletion removed. `blob_hashes` are the blobs of messages and documents, which other records may still need."""

    message_ids: frozenset[str]
    sample_ids: frozenset[str]
    blob_hashes: frozenset[str]

    @property
    def counts(self) -> dict[str, int]:
        """How many messages and samples were deleted."""
        return {"messages": len(self.message_ids), "samples": len(self.sample_ids)}


class ConversationStore:
    """All conversations. Each is visible to its owner only; to others it is NotFound, like one that does not exist."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, person_id: str, title: str = "", *, folder_id: str | None = None) -> Conversation:
        """Create a conversation. Raises NotFound for an unknown person or a folder that is not theirs."""
        now = now_utc()
        conversation = Conversation(
            id=new_id(), person_id=person_id, title=title, created_utc=now, updated_utc=now, folder_id=folder_id
        )
        with self._database.write() as connection:
            _require_row(connection, sa.select(people.c.id).where(people.c.id == person_id), f"person {person_id!r}")
            _require_folder(connection, folder_id, person_id)
            connection.execute(conversations.insert().values(_conversation_values(conversation)))
        return conversation

    def get(self, conversation_id: str, *, person_id: str) -> Conversation:
        """A conversation of a person. Raises NotFound."""
        with self._database.read() as connection:
            return require_conversation(connection, conversation_id, person_id)

    def list(self, person_id: str, *, limit: int | None = None, before: str | None = None) -> ConversationRecords:
        """A person's conversations, newest first. `before` is the last id of the previous page."""
        query = sa.select(conversations).where(conversations.c.person_id == person_id)
        if before is not None:
            query = query.where(conversations.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(conversations.c.id.desc()).limit(limit))
            return [conversation_from_row(row) for row in rows]

    def update(
        self,
        conversation_id: str,
        *,
        person_id: str,
        title: str | Unchanged = UNCHANGED,
        folder_id: str | Unchanged | None = UNCHANGED,
        leaf_id: str | Unchanged = UNCHANGED,
        model: str | Unchanged | None = UNCHANGED,
    ) -> Conversation:
        """Change the given fields. `model` None stands for the default model.

        Raises NotFound for the conversation, the folder, or a leaf that is not in it.
        """
        fields = {"title": title, "folder_id": folder_id, "leaf_id": leaf_id}
        changes: dict[str, object] = {name: value for name, value in fields.items() if value is not UNCHANGED}
        with self._database.write() as connection:
            stored = require_conversation(connection, conversation_id, person_id)
            if model is not UNCHANGED:
                other_facts = {name: fact for name, fact in stored.facts.items() if name != MODEL_FACT}
                changes["facts"] = compact_json(other_facts | ({} if model is None else {MODEL_FACT: model}))
            if folder_id is not UNCHANGED:
                _require_folder(connection, folder_id, person_id)
            if leaf_id is not UNCHANGED:
                _require_message(connection, conversation_id, leaf_id)
            if changes:
                connection.execute(conversations.update().where(conversations.c.id == conversation_id).values(changes))
            return require_conversation(connection, conversation_id, person_id)

    def delete(self, conversation_id: str, *, person_id: str, scrub: bool = True) -> DeletedContent:
        """Delete a conversation, its messages and documents, and the samples of its answers. Raises NotFound.

        `Store.delete_conversation` deletes its blobs as well. Callers that delete many conversations can scrub once at the end.
        """
        with self._database.write() as connection:
            require_conversation(connection, conversation_id, person_id)
            deleted = _delete_dependents(connection, messages.c.conversation_id == conversation_id, person_id)
            hashes = delete_documents(connection, documents.c.conversation_id == conversation_id)
            deleted = replace(deleted, blob_hashes=deleted.blob_hashes | hashes)
            connection.execute(conversations.delete().where(conversations.c.id == conversation_id))
            append_audit_entry(connection, person_id, "conversation.delete", conversation_id, deleted.counts)
        if scrub:
            self.scrub()
        return deleted

    def delete_message(self, message_id: str, *, conversation_id: str, person_id: str) -> DeletedContent:
        """Delete a message, everything below it, and their samples. Raises NotFound."""
        with self._database.write() as connection:
            conversation = require_conversation(connection, conversation_id, person_id)
            parent_id = _require_message(connection, conversation_id, message_id).parent_id
            subtree = sa.select(_subtree(message_id).c.id)
            deleted = _delete_dependents(connection, messages.c.id.in_(subtree), person_id)
            connection.execute(messages.delete().where(messages.c.id.in_(subtree)))
            if conversation.leaf_id in deleted.message_ids:
                statement = conversations.update().where(conversations.c.id == conversation_id)
                connection.execute(statement.values(leaf_id=parent_id))
            append_audit_entry(connection, person_id, "message.delete", message_id, deleted.counts)
        self.scrub()
        return deleted

    def scrub(self) -> None:
        """Remove copies of deleted rows from the search index and from the database's logs."""
        merge_index_segments(self._database)
        merge_index_segments(self._database, DOCUMENT_FTS)
        self._database.scrub(*DOCUMENT_TABLES, "conversations", "messages", "samples", "search_entries", "memories", "texts")

    def add_message(
        self,
        conversation_id: str,
        *,
        person_id: str,
        role: Role,
        content: str,
        parent_id: str | None = None,
        sample_id: str | None = None,
        message_id: str | None = None,
        model: str = "",
        finish_reason: FinishReason | None = None,
        turn_id: str | None = None,
        facts: dict[str, object] | None = None,
    ) -> Message:
        """Add a message below `parent_id` (None starts a tree) and make its branch the current one; durable on return.

        Raises NotFound if the conversation, the parent or the sample does not exist or belongs to somebody else. A sample that
        the retention setting did not store does not exist.
        """
        message = Message(
            id=message_id or new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_utc=now_utc(),
            sample_id=sample_id,
            model=model,
            finish_reason=finish_reason,
            turn_id=turn_id,
            facts=facts or {},
        )
        with self._database.write() as connection:
            require_conversation(connection, conversation_id, person_id)
            if parent_id is not None:
                _require_message(connection, conversation_id, parent_id)
            if sample_id is not None:
                own = sa.and_(samples.c.id == sample_id, samples.c.person_id == person_id)
                _require_row(connection, sa.select(samples.c.id).where(own), f"sample {sample_id!r}")
            connection.execute(messages.insert().values(_message_values(message)))
            index_messages(connection, [(message.id, conversation_id, content)], person_id)
            connection.execute(
                conversations.update()
                .where(conversations.c.id == conversation_id)
                .values(updated_utc=message.created_utc, leaf_id=message.id)
            )
        return message

    def insert_tree(self, conversation: Conversation, tree: Sequence[Message]) -> None:
        """Store a complete conversation unchanged, messages with parents first, for imports. Durable on return.

        Raises Conflict if an id is in use or a sample is missing, NotFound for the person or the folder.
        """
        with self._database.write() as connection:
            _require_row(connection, sa.select(people.c.id).where(people.c.id == conversation.person_id), "such person")
            _require_folder(connection, conversation.folder_id, conversation.person_id)
            try:
                connection.execute(conversations.insert().values(_conversation_values(conversation)))
                for batch in in_batches(tree):
                    connection.execute(messages.insert(), [_message_values(message) for message in batch])
            except sa.exc.IntegrityError:
                raise Conflict(
                    f"The conversation {conversation.id} cannot be stored: an id is in use, or a sample is missing."
                ) from None
            index_messages(
                connection, [(message.id, conversation.id, message.content) for message in tree], conversation.person_id
            )

    def merge_tree(self, conversation: Conversation, changed: Sequence[Message], added: Sequence[Message]) -> None:
        """Store a newer version of an imported conversation: its fields, messages that changed and messages that are new.

        New messages come with parents first. Durable on return, all or nothing. Raises NotFound for a conversation that this
        person does not have, Conflict if the id of a new message is in use or the parent of a message is not there.
        """
        own = sa.and_(conversations.c.id == conversation.id, conversations.c.person_id == conversation.person_id)
        updated = ("title", "updated_utc", "leaf_id", "facts")
        with self._database.write() as connection:
            require_conversation(connection, conversation.id, conversation.person_id)
            values = _conversation_values(conversation)
            connection.execute(conversations.update().where(own).values({name: values[name] for name in updated}))
            try:
                for batch in in_batches(added):
                    connection.execute(messages.insert(), [_message_values(message) for message in batch])
                for message in changed:
                    fields = {
                        name: value
                        for name, value in _message_values(message).items()
                        if name in ("parent_id", "role", "content", "model", "facts")
                    }
                    is_this_message = sa.and_(messages.c.id == message.id, messages.c.conversation_id == conversation.id)
                    connection.execute(messages.update().where(is_this_message).values(fields))
            except sa.exc.IntegrityError:
                raise Conflict(
                    f"The conversation {conversation.id} cannot be merged: an id is in use, or a parent is missing."
                ) from None
            unindex_messages(connection, {message.id for message in changed})
            rows = [(message.id, conversation.id, message.content) for message in (*changed, *added)]
            index_messages(connection, rows, conversation.person_id)

    def facts_by_conversation(self, person_id: str, origin: str) -> Iterator[tuple[str, dict[str, object]]]:
        """(id, facts) of every conversation that a person imported from a program, oldest first, read in batches."""
        query = sa.select(conversations.c.id, conversations.c.facts).order_by(conversations.c.id).limit(_FACTS_BATCH)
        own = sa.and_(conversations.c.person_id == person_id, conversations.c.origin == origin)
        last = ""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query.where(own, conversations.c.id > last)).all()
            if not rows:
                return
            yield from ((row.id, json.loads(row.facts)) for row in rows)
            last = rows[-1].id

    def list_branch(self, leaf_message_id: str, person_id: str) -> MessageRecords:
        """The messages from the root of the tree to this one. Raises NotFound."""
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
            branch = [message_from_row(row) for row in connection.execute(query)]
        if not branch:
            raise NotFound(f"There is no message {leaf_message_id!r}.")
        return branch

    def conversation_ids_by_sample(self, sample_ids: Sequence[str]) -> dict[str, str]:
        """The conversation in which each of these samples is an answer, of any person. Samples in none are omitted."""
        conversation_ids: dict[str, str] = {}
        with self._database.read() as connection:
            for batch in in_batches(sample_ids):
                query = sa.select(messages.c.sample_id, messages.c.conversation_id).order_by(messages.c.id.desc())
                rows = connection.execute(query.where(messages.c.sample_id.in_(batch)))
                conversation_ids.update((row.sample_id, row.conversation_id) for row in rows)
        return conversation_ids

    def get_message(self, message_id: str, *, conversation_id: str, person_id: str) -> Message:
        """One message of a conversation. Raises NotFound."""
        with self._database.read() as connection:
            require_conversation(connection, conversation_id, person_id)
            return _require_message(connection, conversation_id, message_id)

    def find_message_of_sample(self, sample_id: str, *, person_id: str) -> Message | None:
        """The first message that shows a sample in a person's conversations, None if no message does."""
        own = sa.and_(messages.c.sample_id == sample_id, conversations.c.person_id == person_id)
        query = sa.select(messages).join(conversations, conversations.c.id == messages.c.conversation_id).where(own)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(messages.c.id).limit(1)).first()
        return message_from_row(row) if row else None

    def list_messages(self, conversation_id: str, *, person_id: str) -> MessageRecords:
        """All messages in the tree of a conversation, oldest first. Raises NotFound."""
        query = sa.select(messages).where(messages.c.conversation_id == conversation_id).order_by(messages.c.id)
        with self._database.read() as connection:
            require_conversation(connection, conversation_id, person_id)
            return [message_from_row(row) for row in connection.execute(query)]


def require_conversation(connection: Connection, conversation_id: str, person_id: str) -> Conversation:
    """A person's conversation, read within a transaction. Raises NotFound."""
    row = connection.execute(
        sa.select(conversations).where(conversations.c.id == conversation_id, conversations.c.person_id == person_id)
    ).first()
    if row is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return conversation_from_row(row)


def conversation_from_row(row: TableRow) -> Conversation:
    """The conversation in a row, which may have further columns."""
    values = {name: row._mapping[name] for name in Conversation.__slots__}
    return Conversation(**{**values, "facts": json.loads(row.facts)})


def message_from_row(row: TableRow) -> Message:
    """The message in a row of `messages`."""
    return Message(**{**row._mapping, "facts": json.loads(row.facts)})


def _subtree(message_id: str) -> sa.CTE:
    """The ids of a message and of everything below it."""
    branch = sa.select(messages.c.id).where(messages.c.id == message_id).cte("branch", recursive=True)
    return branch.union_all(sa.select(messages.c.id).join(branch, messages.c.parent_id == branch.c.id))


def _delete_dependents(connection: Connection, condition: sa.ColumnElement[bool], person_id: str) -> DeletedContent:
    """Delete what depends on these messages: their samples with the words of their offers, the other samples of their turns that
    no message shows (the model's working), their entries in the search index, memories taken from them, and their references to
    blobs."""
    rows = connection.execute(sa.select(messages.c.id, messages.c.sample_id, messages.c.turn_id).where(condition)).all()
    sample_ids = {row.sample_id for row in rows if row.sample_id}
    for batch in in_batches(sorted({row.turn_id for row in rows if row.turn_id})):
        shown = sa.exists().where(messages.c.sample_id == samples.c.id)
        hidden = sa.and_(samples.c.request_id.in_(batch), samples.c.person_id == person_id, ~shown)
        sample_ids.update(connection.scalars(sa.select(samples.c.id).where(hidden)))
    for batch in in_batches(sorted(sample_ids)):
        connection.execute(samples.delete().where(samples.c.id.in_(batch)))
    withdraw_orphaned_offers(connection, actor=person_id)
    message_ids = {row.id for row in rows}
    unindex_messages(connection, message_ids)
    blob_hashes: set[str] = set()
    for batch in in_batches(sorted(message_ids)):
        end_links_to_messages(connection, batch)
        references = sa.and_(blob_references.c.kind == MESSAGE_BLOB_KIND, blob_references.c.record_id.in_(batch))
        connection.execute(
            memories.delete().where(memories.c.message_id.in_(batch), memories.c.origin == "said", ~memories.c.edited)
        )
        blob_hashes.update(connection.scalars(sa.select(blob_references.c.sha256).where(references)))
        connection.execute(blob_references.delete().where(references))
    return DeletedContent(
        message_ids=frozenset(message_ids), sample_ids=frozenset(sample_ids), blob_hashes=frozenset(blob_hashes)
    )


def _require_folder(connection: Connection, folder_id: str | None, person_id: str) -> None:
    if folder_id is not None:
        own = sa.and_(folders.c.id == folder_id, folders.c.person_id == person_id)
        _require_row(connection, sa.select(folders.c.id).where(own), f"folder {folder_id!r}")


def _require_message(connection: Connection, conversation_id: str, message_id: str) -> Message:
    own = sa.and_(messages.c.id == message_id, messages.c.conversation_id == conversation_id)
    row = connection.execute(sa.select(messages).where(own)).first()
    if row is None:
        raise NotFound(f"There is no message {message_id!r} here.")
    return message_from_row(row)


def _require_row(connection: Connection, query: sa.Select[str], label: str) -> None:
    if connection.execute(query).first() is None:
        raise NotFound(f"There is no {label} here.")


def _conversation_values(conversation: Conversation) -> dict[str, object]:
    return record_values(conversation) | {"facts": compact_json(conversation.facts)}


def _message_values(message: Message) -> dict[str, object]:
    return record_values(message) | {"facts": compact_json(message.facts)}
