"""Conversations that clients of OpenAI's Conversations API keep: a list of items each, apart from people's chat history.

An item is a JSON object with an `id`. This module knows nothing else of its content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import compact_json
from yearling.store.database.schema import TableRow, api_conversations
from yearling.store.database.schema import api_conversation_items as items

ItemDict = dict[str, Any]

MAX_CONVERSATION_ITEMS: Final = 10_000
"""Items of one conversation, after which nothing can be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConversation:
    """A conversation without its items."""

    id: str
    person_id: str
    created_utc: datetime
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items. `has_more`: whether further items follow."""

    items: tuple[ItemDict, ...]
    has_more: bool


class ApiConversationStore:
    """The conversations of all people. Each is visible to its owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        person_id: str,
        *,
        metadata: Mapping[str, str] | None = None,
        new_items: Sequence[ItemDict] = (),
        conversation_id: str | None = None,
        created_utc: datetime | None = None,
    ) -> ApiConversation:
        """Create a conversation with its first items. Raises Conflict if two of them share an ID."""
        created = ApiConversation(
            id=conversation_id or new_id(),
            person_id=person_id,
            created_utc=created_utc or now_utc(),
            metadata=dict(metadata or {}),
        )
        _require_distinct_ids(new_items)
        with self._database.write() as connection:
            connection.execute(
                api_conversations.insert().values(
                    id=created.id,
                    person_id=person_id,
                    created_utc=created.created_utc,
                    metadata_json=compact_json(created.metadata),
                )
            )
            _insert_items(connection, created.id, new_items, position=0)
        return created

    def get(self, conversation_id: str, *, person_id: str) -> ApiConversation:
        """A person's conversation. Raises NotFound."""
        with self._database.read() as connection:
            return _require_conversation(connection, conversation_id, person_id)

    def list(self, person_id: str) -> Sequence[ApiConversation]:
        """All conversations of a person, oldest first."""
        query = sa.select(api_conversations).where(api_conversations.c.person_id == person_id).order_by(api_conversations.c.id)
        with self._database.read() as connection:
            return [_conversation_from_row(row) for row in connection.execute(query)]

    def update(self, conversation_id: str, *, person_id: str, metadata: Mapping[str, str]) -> ApiConversation:
        """Replace the metadata. Raises NotFound."""
        with self._database.write() as connection:
            _require_conversation(connection, conversation_id, person_id)
            changed = api_conversations.update().where(api_conversations.c.id == conversation_id)
            connection.execute(changed.values(metadata_json=compact_json(dict(metadata))))
            return _require_conversation(connection, conversation_id, person_id)

    def delete(self, conversation_id: str, *, person_id: str) -> None:
        """Delete a conversation with its items. Raises NotFound."""
        with self._database.write() as connection:
            _require_conversation(connection, conversation_id, person_id)
            connection.execute(items.delete().where(items.c.conversation_id == conversation_id))
            connection.execute(api_conversations.delete().where(api_conversations.c.id == conversation_id))
            append_audit_entry(connection, person_id, "api_conversation.delete", conversation_id)
        self._database.scrub("api_conversations", "api_conversation_items")

    def add_items(self, conversation_id: str, new_items: Sequence[ItemDict], *, person_id: str) -> None:
        """Append items. Raises NotFound, Conflict for an id that the conversation has, BadInput if the conversation is full."""
        with self._database.write() as connection:
            _require_conversation(connection, conversation_id, person_id)
            of_conversation = items.c.conversation_id == conversation_id
            count, last = connection.execute(
                sa.select(sa.func.count(), sa.func.max(items.c.position)).where(of_conversation)
            ).one()
            if count >= MAX_CONVERSATION_ITEMS:
                raise full_conversation_error()
            _require_distinct_ids(new_items)
            ids = [item["id"] for item in new_items]
            taken = connection.scalars(sa.select(items.c.id).where(of_conversation, items.c.id.in_(ids))).first()
            if taken is not None:
                raise Conflict(f"The conversation already contains the item {taken!r}.", param="items")
            _insert_items(connection, conversation_id, new_items, position=0 if last is None else last + 1)

    def list_items(
        self,
        conversation_id: str,
        *,
        person_id: str,
        after: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> ItemPage:
        """The items after the item `after`, in order. Raises NotFound for an unknown conversation, BadInput for an unknown
        item."""
        query = sa.select(items.c.item).where(items.c.conversation_id == conversation_id)
        order = items.c.position.desc() if newest_first else items.c.position
        with self._database.read() as connection:
            _require_conversation(connection, conversation_id, person_id)
            if after is not None:
                position = connection.scalar(
                    sa.select(items.c.position).where(items.c.conversation_id == conversation_id, items.c.id == after)
                )
                if position is None:
                    raise BadInput("The conversation has no item with the ID in after.", param="after")
                query = query.where(items.c.position < position if newest_first else items.c.position > position)
            if limit is not None:
                query = query.limit(limit + 1)
            found = [json.loads(item) for item in connection.scalars(query.order_by(order))]
        return ItemPage(tuple(found[:limit]), limit is not None and len(found) > limit)

    def get_item(self, conversation_id: str, item_id: str, *, person_id: str) -> ItemDict:
        """One item. Raises NotFound."""
        with self._database.read() as connection:
            _require_conversation(connection, conversation_id, person_id)
            query = sa.select(items.c.item).where(items.c.conversation_id == conversation_id, items.c.id == item_id)
            item = connection.scalar(query)
        if item is None:
            raise _unknown_item(item_id)
        return dict(json.loads(item))

    def delete_item(self, conversation_id: str, item_id: str, *, person_id: str) -> ApiConversation:
        """Delete one item. Returns its conversation. Raises NotFound."""
        with self._database.write() as connection:
            conversation = _require_conversation(connection, conversation_id, person_id)
            own = sa.and_(items.c.conversation_id == conversation_id, items.c.id == item_id)
            if connection.execute(items.delete().where(own)).rowcount == 0:
                raise _unknown_item(item_id)
            append_audit_entry(connection, person_id, "api_conversation.delete_item", conversation_id)
        self._database.scrub("api_conversation_items")
        return conversation

    def export(self, person_id: str) -> Iterator[dict[str, Any]]:
        """Each conversation of a person with all its items, for the export of their data."""
        for conversation in self.list(person_id):
            page = self.list_items(conversation.id, person_id=person_id)
            fields = {"id": conversation.id, "created_utc": conversation.created_utc, "metadata": conversation.metadata}
            yield {**fields, "items": list(page.items)}


def full_conversation_error() -> BadInput:
    """The error for a conversation to which nothing can be added."""
    return BadInput(
        f"The conversation has {MAX_CONVERSATION_ITEMS} items, the most that one can have.",
        advice="Create another conversation.",
        param="conversation",
    )


def _require_distinct_ids(new_items: Sequence[ItemDict]) -> None:
    if len({item["id"] for item in new_items}) < len(new_items):
        raise Conflict("Two items have the same ID.", param="items")


def _insert_items(connection: Connection, conversation_id: str, new_items: Sequence[ItemDict], *, position: int) -> None:
    rows = [
        {"conversation_id": conversation_id, "position": position + offset, "id": item["id"], "item": compact_json(item)}
        for offset, item in enumerate(new_items)
    ]
    if rows:
        connection.execute(items.insert(), rows)


def _require_conversation(connection: Connection, conversation_id: str, person_id: str) -> ApiConversation:
    own = sa.and_(api_conversations.c.id == conversation_id, api_conversations.c.person_id == person_id)
    row = connection.execute(sa.select(api_conversations).where(own)).first()
    if row is None:
        raise NotFound("There is no conversation with this ID.", param="conversation")
    return _conversation_from_row(row)


def _conversation_from_row(row: TableRow) -> ApiConversation:
    return ApiConversation(
        id=row.id, person_id=row.person_id, created_utc=row.created_utc, metadata=json.loads(row.metadata_json)
    )


def _unknown_item(item_id: str) -> NotFound:
    return NotFound(f"The conversation has no item {item_id[:100]!r}.", param="item_id")
