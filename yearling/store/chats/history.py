"""What the history page shows: a person's conversations page by page, in folders, found by words. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import BadInput
from yearling.records import Conversation
from yearling.store.chats.conversations import conversation_from_row, require_conversation
from yearling.store.database.database import Database
from yearling.store.database.schema import conversations, format_time, messages, parse_time, shares
from yearling.store.database.search import SearchTerm, make_snippet, parse_query, select_matching_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A conversation as a list shows it; with a search, the newest message that was found in it and a piece of that."""

    conversation: Conversation
    num_messages: int
    is_shared: bool
    message_id: str | None = None
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of the list; `next` is where the following page begins, None after the last."""

    entries: tuple[HistoryEntry, ...]
    next_cursor: str | None


class ConversationHistory:
    """Everybody's history, each visible to its owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_page(
        self, person_id: str, *, query: str = "", folder_id: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> HistoryPage:
        """Conversations of a person, newest activity first; those in a folder, and those where all words of `query` occur.

        A word is looked for in every message and in the titles. Raises BadInput for a cursor that is none of ours.
        """
        with self._database.read() as connection:
            terms = parse_query(query)
            if query.strip() and not terms:
                return HistoryPage((), None)
            if terms:
                return self._search(connection, person_id, query, terms, folder_id, cursor, limit)
            return self._list_recent(connection, person_id, folder_id, cursor, limit)

    def get_entry(self, conversation_id: str, *, person_id: str) -> HistoryEntry:
        """One conversation as the list shows it. Raises NotFound."""
        with self._database.read() as connection:
            require_conversation(connection, conversation_id, person_id)
            row = connection.execute(_select_entries().where(conversations.c.id == conversation_id)).one()
            return _entry_from_row(row)

    def _list_recent(
        self, connection: Connection, person_id: str, folder_id: str | None, cursor: str | None, limit: int
    ) -> HistoryPage:
        chosen = conversations.c
        query = _select_entries().where(chosen.person_id == person_id)
        if folder_id is not None:
            query = query.where(chosen.folder_id == folder_id)
        if cursor is not None:
            when, last_id = _parse_cursor(cursor)
            query = query.where(sa.or_(chosen.updated_utc < when, sa.and_(chosen.updated_utc == when, chosen.id < last_id)))
        rows = connection.execute(query.order_by(chosen.updated_utc.desc(), chosen.id.desc()).limit(limit + 1)).all()
        entries = tuple(_entry_from_row(row) for row in rows[:limit])
        more = len(rows) > limit
        last = entries[-1].conversation if more else None
        return HistoryPage(entries, f"{format_time(last.updated_utc or last.created_utc)}~{last.id}" if last else None)

    def _search(
        self,
        connection: Connection,
        person_id: str,
        query: str,
        terms: list[SearchTerm],
        folder_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> HistoryPage:
        hits = select_matching_messages(connection, person_id, terms).subquery("hits")
        in_messages = sa.select(hits.c.conversation_id, hits.c.message_id, hits.c.message_id.label("place"))
        in_titles = sa.select(conversations.c.id, sa.null(), sa.func.coalesce(conversations.c.leaf_id, conversations.c.id)).where(
            conversations.c.person_id == person_id, *(_title_contains(term) for term in terms)
        )
        both = sa.union_all(in_messages, in_titles).subquery("both")
        place = sa.func.max(both.c.place)
        found = sa.select(
            both.c.conversation_id, sa.func.max(both.c.message_id).label("message_id"), place.label("place")
        ).group_by(both.c.conversation_id)
        if folder_id is not None:
            inside = sa.and_(conversations.c.id == both.c.conversation_id, conversations.c.folder_id == folder_id)
            found = found.join(conversations, inside)
        if cursor is not None:
            found = found.having(place < cursor)
        ordered = connection.execute(found.order_by(place.desc()).limit(limit + 1)).all()
        shown = ordered[:limit]
        whole = _select_entries().where(conversations.c.id.in_([row.conversation_id for row in shown]))
        by_id = {row.id: row for row in connection.execute(whole)}
        wanted = sa.select(messages.c.id, messages.c.content).where(messages.c.id.in_([row.message_id for row in shown]))
        said = {row.id: row.content for row in connection.execute(wanted)}
        entries = tuple(
            _entry_from_row(by_id[row.conversation_id], row.message_id, said.get(row.message_id), query) for row in shown
        )
        return HistoryPage(entries, shown[-1].place if len(ordered) > limit else None)


def _select_entries() -> sa.Select[Any]:
    count = (
        sa.select(sa.func.count())
        .where(messages.c.conversation_id == conversations.c.id)
        .correlate(conversations)
        .scalar_subquery()
    )
    shared = sa.exists().where(shares.c.conversation_id == conversations.c.id)
    return sa.select(conversations, count.label("num_messages"), shared.label("is_shared"))


def _entry_from_row(row: Any, message_id: str | None = None, text: str | None = None, query: str = "") -> HistoryEntry:
    return HistoryEntry(
        conversation=conversation_from_row(row),
        num_messages=row.num_messages,
        is_shared=bool(row.is_shared),
        message_id=message_id,
        snippet=None if text is None else make_snippet(text, query),
    )


def _title_contains(term: SearchTerm) -> sa.ColumnElement[bool]:
    return sa.func.lower(conversations.c.title).contains(term.word, autoescape=True)


def _parse_cursor(cursor: str) -> tuple[datetime, str]:
    when, _, last_id = cursor.partition("~")
    try:
        return parse_time(when), last_id
    except ValueError:
        raise BadInput("The cursor is none of this list.", advice="Take `next` of the page before.", param="after") from None
