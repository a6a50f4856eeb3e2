"""Full-text search over what was said, in any script, with the same answers on SQLite and on Postgres.

Words are cut here, not by the database, so that both agree: text is folded (NFKC, no case), runs of letters and digits are words,
and runs of Chinese and Japanese characters, which have no spaces, are indexed as their single characters and their pairs. A query
finds the messages that have all of its words; a word of letters also finds what begins with it. SQLite keeps the words in an FTS5
index, Postgres in a `tsvector` with a GIN index.

Every word is indexed with a key of its person before it, so that a search costs as much as the person has said and not as much as
everybody has. Keys can collide; whose message it is stands in a column, which every query compares.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.store.database.database import Database, in_batches
from yearling.store.database.schema import search_entries

FTS = "message_search"
"""The FTS5 table on SQLite: the index of `search_entries`, whose rows it numbers."""

_MAX_WORDS = 50_000
_MERGE_PAGES = 50
"""How much of the index is merged in one transaction."""
_MAX_TERMS = 16
_MAX_WORD_CHARS = 64
_WORD = re.compile(r"[^\W_]+")
# Scripts that are written without spaces: Han, Hiragana, Katakana.
_UNSPACED = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_SNIPPET_CHARS = 160


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One word of a query; `prefix` when it also finds what begins with it."""

    word: str
    is_prefix: bool


def fold_text(text: str) -> str:
    """Text as it is compared: compatible forms made one, without case."""
    return unicodedata.normalize("NFKC", text).casefold()


def index_words(text: str) -> list[str]:
    """What a text is indexed by, each once, in the order of first appearance."""
    found: dict[str, None] = {}
    for run, unspaced in _split_by_script(fold_text(text)):
        if unspaced:
            found.update(dict.fromkeys(run))
            found.update(dict.fromkeys(_bigrams(run)))
        else:
            found[run[:_MAX_WORD_CHARS]] = None
        if len(found) > _MAX_WORDS:
            break
    return list(found)[:_MAX_WORDS]


def parse_query(query: str) -> list[SearchTerm]:
    """What a text must be indexed by to be found; empty for a query without a word."""
    found: dict[SearchTerm, None] = {}
    for run, unspaced in _split_by_script(fold_text(query)):
        if not unspaced:
            found[SearchTerm(run[:_MAX_WORD_CHARS], len(run) > 1)] = None
        elif len(run) == 1:
            found[SearchTerm(run, False)] = None
        else:
            found.update(dict.fromkeys(SearchTerm(pair, False) for pair in _bigrams(run)))
    return list(found)[:_MAX_TERMS]


def make_snippet(text: str, query: str) -> str:
    """A piece of the text around the first word of the query that is in it; the beginning where the words cannot be placed."""
    folded, at = text.casefold(), -1
    for run, _ in _split_by_script(fold_text(query)):
        at = folded.find(run) if len(folded) == len(text) else -1
        if at >= 0:
            break
    start = max(0, at - _SNIPPET_CHARS // 3)
    piece = " ".join(text[start : start + _SNIPPET_CHARS].split())
    return ("… " if start else "") + piece + (" …" if start + _SNIPPET_CHARS < len(text) else "")


def index_messages(connection: Connection, rows: Sequence[tuple[str, str, str]], person_id: str) -> None:
    """Make messages findable, within the transaction that stores them. Rows are (message id, conversation id, text)."""
    number = _next_number(connection) if rows else 0
    entries = [
        {
            "message_id": message_id,
            "conversation_id": conversation_id,
            "person_id": person_id,
            "number": number + at,
            "words": indexed(person_id, text),
        }
        for at, (message_id, conversation_id, text) in enumerate(rows)
    ]
    for batch in in_batches(entries, 200):
        connection.execute(search_entries.insert(), batch)
    if connection.dialect.name == "sqlite" and entries:
        statement = sa.text(f"INSERT INTO {FTS}(rowid, words) VALUES (:number, :words)")
        connection.execute(statement, [{"number": one["number"], "words": one["words"]} for one in entries])


def unindex_messages(connection: Connection, message_ids: Iterable[str]) -> None:
    """Take messages out of the index, within the transaction that deletes them and before it does. `merge_index` comes after."""
    for batch in in_batches(sorted(message_ids)):
        some = search_entries.c.message_id.in_(batch)
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.select(search_entries.c.number, search_entries.c.words).where(some)).all()
            statement = sa.text(f"INSERT INTO {FTS}({FTS}, rowid, words) VALUES ('delete', :number, :words)")
            if rows:
                connection.execute(statement, [dict(row._mapping) for row in rows])
        connection.execute(search_entries.delete().where(some))


def merge_index_segments(database: Database) -> None:
    """Leave no word of what was deleted in the index: SQLite keeps them until it merges the segments they are in.

    In steps, each a short transaction, so that others write in between; what they write is in segments of its own. A negative
    number of pages begins to merge everything that is there, positive ones go on until nothing is left to do.
    """
    if not database.is_sqlite:
        return
    pages = -_MERGE_PAGES
    while True:
        with database.write() as connection:
            before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
            connection.exec_driver_sql(f"INSERT INTO {FTS}({FTS}, rank) VALUES('merge', {pages})")
            # The command itself is one change (https://sqlite.org/fts5.html#the_merge_command).
            if connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before < 2:
                return
        pages = _MERGE_PAGES


def rebuild_index(connection: Connection) -> None:
    """Make the index anew from `search_entries`: after rows came or went in another way (a copy, a person deleted)."""
    if connection.dialect.name == "sqlite" and sa.inspect(connection).has_table(FTS):
        connection.exec_driver_sql(f"INSERT INTO {FTS}({FTS}) VALUES('rebuild')")


def select_matching_messages(connection: Connection, person_id: str, terms: Sequence[SearchTerm]) -> sa.Select[Any]:
    """A query of (conversation_id, message_id) for this person's messages that have all the terms."""
    entries = search_entries.c
    chosen = sa.select(entries.conversation_id, entries.message_id).where(entries.person_id == person_id)
    key = _key(person_id)
    if connection.dialect.name == "sqlite":
        wanted = " AND ".join(f'"{key}{term.word}"' + ("*" if term.is_prefix else "") for term in terms)
        hits = sa.text(f"SELECT rowid FROM {FTS} WHERE {FTS} MATCH :wanted").bindparams(wanted=wanted)
        return chosen.where(entries.number.in_(hits.columns(sa.column("rowid", sa.BigInteger))))
    wanted = " & ".join(f"'{key}{term.word}'" + (":*" if term.is_prefix else "") for term in terms)
    return chosen.where(entries.words.op("@@")(sa.text("CAST(:wanted AS tsquery)").bindparams(wanted=wanted)))


def indexed(person_id: str, text: str) -> str:
    """The words of a person's text as the index holds them."""
    key = _key(person_id)
    return " ".join(f"{key}{word}" for word in index_words(text))


def _key(person_id: str) -> str:
    """Eight characters of an id that are random."""
    return person_id.replace("-", "")[-8:].lower()


def _next_number(connection: Connection) -> int:
    """A number for the next message, higher than all before it: FTS5 wants to be filled in order."""
    newest = connection.execute(sa.select(search_entries.c.number).order_by(search_entries.c.number.desc()).limit(1)).scalar()
    return (newest or 0) + 1


def _split_by_script(folded: str) -> Iterator[tuple[str, bool]]:
    """(run, whether it is of a script without spaces), in order."""
    for match in _WORD.finditer(folded):
        word, at = match[0], 0
        for unspaced in _UNSPACED.finditer(word):
            if unspaced.start() > at:
                yield word[at : unspaced.start()], False
            yield unspaced[0], True
            at = unspaced.end()
        if at < len(word):
            yield word[at:], False


def _bigrams(run: str) -> Iterable[str]:
    return (run[at : at + 2] for at in range(len(run) - 1))
