"""The list of a person's conversations: by page, by folder and by search. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import BadInput
from yearling.records import Conversation
from yearling.store.chats.conversations import conversation_from_row, require_conversation
from yearling.store.database.column_types import format_time, parse_time
from yearling.store.database.database import Database
from yearling.store.database.schema import TableRow, conversations, messages, shares
from yearling.store.database.search import SearchTerm, fold_for_search, make_snippet, parse_query, select_matching_messages

_MAX_TITLE_MATCHES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A conversation in the list; for a search, with the newest matching message and an excerpt of it."""

    conversation: Conversation
    num_messages: int
    is_shared: bool
    message_id: str | None = None
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of the list. `next_cursor` is where the next page begins, None after the last."""

    entries: tuple[HistoryEntry, ...]
    next_cursor: str | None


class ConversationHistory:
    """The histories of all people. Each is visible to its owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_page(
        self, person_id: str, *, query: str = "", folder_id: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> HistoryPage:
        """A person's conversations, latest activity first, optionally in a folder or with all words of `query`.

        The words must occur together in one message or in the title. Raises BadInput for an invalid cursor.
        """
        with self._database.read() as connection:
            terms = parse_query(query)
            if query.strip() and not terms:
                return HistoryPage((), None)
            if terms:
                return self._search(connection, person_id, query, terms, folder_id, cursor, limit)
            return self._list_recent(connection, person_id, folder_id, cursor, limit)

    def get_entry(self, conversation_id: str, *, person_id: str) -> HistoryEntry:
        """One conversation as a list entry. Raises NotFound."""
        with self._database.read() as connection:
            require_conversation(connection, conversation_id, person_id)
            row = connection.execute(_select_entries().where(conversations.c.id == conversation_id)).one()
            return _entry_from_row(row)

    def _list_recent(
        self, connection: Connection, person_id: str, folder_id: str | None, cursor: str | None, limit: int
    ) -> HistoryPage:
        columns = conversations.c
        query = _select_entries().where(columns.person_id == person_id)
        if folder_id is not None:
            query = query.where(columns.folder_id == folder_id)
        if cursor is not None:
            updated, last_id = _parse_cursor(cursor)
            query = query.where(
                sa.or_(columns.updated_utc < updated, sa.and_(columns.updated_utc == updated, columns.id < last_id))
            )
        rows = connection.execute(query.order_by(columns.updated_utc.desc(), columns.id.desc()).limit(limit + 1)).all()
        entries = tuple(_entry_from_row(row) for row in rows[:limit])
        last = entries[-1].conversation if len(rows) > limit else None
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
            conversations.c.id.in_(_with_matching_title(connection, person_id, terms))
        )
        both = sa.union_all(in_messages, in_titles).subquery("both")
        place = sa.func.max(both.c.place)
        matches = sa.select(
            both.c.conversation_id, sa.func.max(both.c.message_id).label("message_id"), place.label("place")
        ).group_by(both.c.conversation_id)
        if folder_id is not None:
            inside = sa.and_(conversations.c.id == both.c.conversation_id, conversations.c.folder_id == folder_id)
            matches = matches.join(conversations, inside)
        if cursor is not None:
            matches = matches.having(place < cursor)
        rows = connection.execute(matches.order_by(place.desc()).limit(limit + 1)).all()
        shown = rows[:limit]
        shown_entries = _select_entries().where(conversations.c.id.in_([row.conversation_id for row in shown]))
        by_id = {row.id: row for row in connection.execute(shown_entries)}
        contents = sa.select(messages.c.id, messages.c.content).where(messages.c.id.in_([row.message_id for row in shown]))
        content_by_id = {row.id: row.content for row in connection.execute(contents)}
        entries = tuple(
            _entry_from_row(by_id[row.conversation_id], row.message_id, content_by_id.get(row.message_id), query) for row in shown
        )
        return HistoryPage(entries, shown[-1].place if len(rows) > limit else None)


def _select_entries() -> sa.Select[*tuple[object, ...]]:
    count = (
        sa.select(sa.func.count())
        .where(messages.c.conversation_id == conversations.c.id)
        .correlate(conversations)
        .scalar_subquery()
    )
    shared = sa.exists().where(shares.c.conversation_id == conversations.c.id)
    return sa.select(conversations, count.label("num_messages"), shared.label("is_shared"))


def _entry_from_row(row: TableRow, message_id: str | None = None, text: str | None = None, query: str = "") -> HistoryEntry:
    return HistoryEntry(
        conversation=conversation_from_row(row),
        num_messages=row.num_messages,
        is_shared=bool(row.is_shared),
        message_id=message_id,
        snippet=None if text is None else make_snippet(text, query),
    )


def _with_matching_title(connection: Connection, person_id: str, terms: list[SearchTerm]) -> list[str]:
    """The newest conversations whose title contains all the terms. Databases cannot fold titles as the index folds words."""
    query = sa.select(conversations.c.id, conversations.c.title).where(conversations.c.person_id == person_id)
    rows = connection.execute(query.order_by(conversations.c.id.desc()))
    titles = ((row.id, fold_for_search(row.title)) for row in rows)
    matching = (conversation_id for conversation_id, title in titles if all(term.word in title for term in terms))
    return list(islice(matching, _MAX_TITLE_MATCHES))


def _parse_cursor(cursor: str) -> tuple[datetime, str]:
    updated, _, last_id = cursor.partition("~")
    try:
        return parse_time(updated), last_id
    except ValueError:
        raise BadInput("The cursor is invalid.", advice="Use `next` of the previous page.", param="after") from None
