"""Posts of live sources: added in batches with the cursor after them, replaced, deleted, found by words, and pruned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database, in_batches
from yearling.store.database.posts_schema import deleted_posts, post_sources, posts
from yearling.store.database.search import POST_FTS

_NUMBERING_LOCK_KEY = 0x5965_6172_0004
_PRUNED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPost:
    """A post with the words that search finds it by. It replaces the one with the same URI."""

    uri: str
    author: str
    author_name: str
    text: str
    url: str
    created_utc: datetime
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPost:
    """A post as search returns it."""

    number: int
    uri: str
    source_id: str
    author: str
    author_name: str
    text: str
    url: str
    created_utc: datetime
    received_utc: datetime
    words: str


class PostStore:
    """The posts of all sources. Every method blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_source(self, person_id: str, kind: str, address: str) -> str:
        """Add a source that is followed from now on. Returns its id. Raises Conflict if it is there already."""
        source_id = new_id()
        values = {"id": source_id, "kind": kind, "address": address, "options": "{}", "state": "active", "cursor": ""}
        more = {"num_events": 0, "last_error": "", "last_event_utc": None, "created_utc": now_utc()}
        with self._database.write() as connection:
            insert = self._database.insert_or_ignore(post_sources).values({**values, **more})
            if connection.execute(insert.returning(post_sources.c.id)).first() is None:
                raise Conflict(f"The source {address[:200]!r} is there already.", param="address")
            append_audit_entry(connection, person_id, "source.add", source_id, {"kind": kind, "address": address})
        return source_id

    def read_cursor(self, source_id: str) -> str:
        """Where to go on with a source; empty at first. Raises NotFound."""
        with self._database.read() as connection:
            cursor: str | None = connection.scalar(sa.select(post_sources.c.cursor).where(post_sources.c.id == source_id))
        if cursor is None:
            raise NotFound(f"There is no source {source_id[:100]!r}.")
        return cursor

    def apply(
        self,
        source_id: str,
        new: Sequence[NewPost],
        *,
        deleted: Iterable[str] = (),
        deleted_authors: Iterable[str] = (),
        cursor: str = "",
    ) -> None:
        """Store posts, deletions and the cursor after them in one transaction; an empty cursor leaves the stored one.

        Authors are deleted first, so `new` holds only posts after that. A URI in `deleted` is refused from then on.
        Raises NotFound for a source that was removed.
        """
        latest, gone = {post.uri: post for post in new}, set(deleted)
        with self._database.write() as connection:
            self._lock(connection, source_id)
            for batch in in_batches(sorted(set(deleted_authors))):
                gone.update(connection.scalars(sa.select(posts.c.uri).where(posts.c.author.in_(batch))))
            self._delete(connection, sorted(gone))
            self._save(connection, source_id, [post for uri, post in latest.items() if uri not in gone])
            changes: dict[str, object] = {"num_events": post_sources.c.num_events + len(new), "last_event_utc": now_utc()}
            changes |= {"cursor": cursor} if cursor else {}
            connection.execute(post_sources.update().where(post_sources.c.id == source_id).values(changes))

    def find_with_any(self, words: Sequence[str], *, since_utc: datetime | None = None, limit: int) -> list[StoredPost]:
        """The posts that arrived last, at most `limit`, that contain any of the words, newest first."""
        if not words:
            return []
        query = sa.select(posts).order_by(posts.c.number.desc()).limit(limit)
        if self._database.is_sqlite:
            matches = sa.text(f"SELECT rowid FROM {POST_FTS} WHERE {POST_FTS} MATCH :expression").bindparams(
                expression=" OR ".join(f'"{word}"' for word in words)
            )
            query = query.where(posts.c.number.in_(matches.columns(sa.column("rowid", sa.BigInteger))))
        else:
            matches = sa.text("array_to_tsvector(string_to_array(words, ' ')) @@ CAST(:expression AS tsquery)")
            query = query.where(matches.bindparams(expression=" | ".join(f"'{word}'" for word in words)))
        if since_utc is not None:
            query = query.where(posts.c.created_utc >= since_utc)
        with self._database.read() as connection:
            return [StoredPost(**row._mapping) for row in connection.execute(query)]

    def prune(self, *, before_utc: datetime, max_posts: int) -> int:
        """Remove posts that arrived before a time and those beyond a number, oldest first. Returns how many.

        Names of posts that were deleted before that time are forgotten too. Each transaction is short.
        """
        with self._database.write() as connection:
            connection.execute(deleted_posts.delete().where(deleted_posts.c.deleted_utc < before_utc))
        num_pruned = 0
        while True:
            with self._database.write() as connection:
                surplus = (connection.scalar(sa.select(sa.func.count()).select_from(posts)) or 0) - max_posts
                oldest = sa.select(posts.c.number).order_by(posts.c.number)
                numbers = set(connection.scalars(oldest.where(posts.c.received_utc < before_utc).limit(_PRUNED_AT_ONCE)))
                if surplus > 0:
                    numbers.update(connection.scalars(oldest.limit(min(surplus, _PRUNED_AT_ONCE))))
                for batch in in_batches(sorted(numbers)):
                    _remove(connection, posts.c.number.in_(batch))
            if not numbers:
                return num_pruned
            num_pruned += len(numbers)

    def _lock(self, connection: Connection, source_id: str) -> None:
        if not self._database.is_sqlite:  # two writers must not give the same numbers
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_NUMBERING_LOCK_KEY)))
        if connection.execute(sa.select(post_sources.c.id).where(post_sources.c.id == source_id)).first() is None:
            raise NotFound(f"There is no source {source_id[:100]!r}.")

    def _delete(self, connection: Connection, uris: Sequence[str]) -> None:
        for batch in in_batches(uris):
            _remove(connection, posts.c.uri.in_(batch))
            rows = [{"uri": uri, "deleted_utc": now_utc()} for uri in batch]
            connection.execute(self._database.insert_or_ignore(deleted_posts), rows)

    def _save(self, connection: Connection, source_id: str, new: Sequence[NewPost]) -> None:
        """Insert posts that are unknown or changed. A changed one gets a new number, and keeps the time at which it arrived."""
        now = now_utc()
        number = (connection.scalar(sa.select(sa.func.max(posts.c.number))) or 0) + 1
        for batch in in_batches(new):
            uris = [post.uri for post in batch]
            refused = set(connection.scalars(sa.select(deleted_posts.c.uri).where(deleted_posts.c.uri.in_(uris))))
            known = {row.uri: row for row in connection.execute(sa.select(posts).where(posts.c.uri.in_(uris)))}
            rows = [
                {
                    "number": number + offset,
                    "uri": post.uri,
                    "source_id": source_id,
                    "author": post.author,
                    "author_name": post.author_name,
                    "text": post.text,
                    "url": post.url,
                    "created_utc": post.created_utc,
                    "received_utc": known[post.uri].received_utc if post.uri in known else now,
                    "words": " ".join(post.words),
                }
                for offset, post in enumerate(batch)
                if post.uri not in refused and (post.uri not in known or known[post.uri].text != post.text)
            ]
            number += len(batch)
            if not rows:
                continue
            _remove(connection, posts.c.uri.in_([row["uri"] for row in rows]))
            connection.execute(posts.insert(), rows)
            if self._database.is_sqlite:
                statement = sa.text(f"INSERT INTO {POST_FTS}(rowid, words) VALUES (:number, :words)")
                connection.execute(statement, [{"number": row["number"], "words": row["words"]} for row in rows])


def _remove(connection: Connection, condition: sa.ColumnElement[bool]) -> None:
    """Remove posts from the index of words and from the table."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(sa.select(posts.c.number, posts.c.words).where(condition)).all()
        statement = sa.text(f"INSERT INTO {POST_FTS}({POST_FTS}, rowid, words) VALUES ('delete', :number, :words)")
        if rows:
            connection.execute(statement, [dict(row._mapping) for row in rows])
    connection.execute(posts.delete().where(condition))
