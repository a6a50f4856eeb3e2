"""Full-text search over messages, in any script, with the same results on SQLite and on Postgres.

This module splits text into words, not the database, so that both agree. Text is normalised (NFKC, case-folded, accents removed
from Latin and Greek letters). Runs of letters
and digits are words. Runs of Chinese and Japanese characters, which have no spaces, are indexed as single characters and pairs. A
query matches the messages that contain all of its words; a word of letters also matches as a prefix. SQLite stores the words in
an FTS5 index, Postgres in a `tsvector` with a GIN index.

Every indexed word begins with a key of its owner, so that the cost of a search depends on the owner's messages only. Keys can
collide, so every query compares the owner's id as well.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.store.database.database import Database, in_batches
from yearling.store.database.schema import search_entries

FTS = "message_search"
"""The FTS5 table on SQLite: the index of `search_entries`, whose rows it numbers."""

DOCUMENT_FTS = "document_search"
"""The FTS5 table of documents: the index of `document_passages`."""

POST_FTS = "post_search"
"""The FTS5 table of live posts: the index of `posts`."""

_MAX_WORDS = 50_000
_MERGE_PAGES = 50
"""How many pages of the index one transaction merges."""
_MAX_TERMS = 16
_MAX_WORD_CHARS = 64
_WORD = re.compile(r"[^\W_]+")
# Scripts that are written without spaces: Han, Hiragana, Katakana.
_UNSPACED = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_SNIPPET_CHARS = 160
_ACCENTS = re.compile("([a-z\u0370-\u03ff])[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One word of a query. A prefix also matches longer words."""

    word: str
    is_prefix: bool


def fold_text(text: str) -> str:
    """Normalise text for comparison: compatibility forms unified, case folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def fold_for_search(text: str) -> str:
    """Fold text so that accents of Latin and Greek letters make no difference: `café` and `cafe` are the same word."""
    folded = fold_text(text)
    if folded.isascii():
        return folded
    return unicodedata.normalize("NFKC", _ACCENTS.sub(r"\1", unicodedata.normalize("NFKD", folded)))


@functools.lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """The folded character, or the character itself if it folds to more or fewer than one."""
    folded = fold_for_search(character)
    return folded if len(folded) == 1 else character


def index_words(text: str) -> list[str]:
    """The words that a text is indexed by, without duplicates, in order of appearance."""
    words: dict[str, None] = {}
    for run, unspaced in split_by_script(fold_for_search(text)):
        if unspaced:
            words.update(dict.fromkeys(run))
            words.update(dict.fromkeys(bigrams(run)))
        else:
            words[run[:_MAX_WORD_CHARS]] = None
        if len(words) > _MAX_WORDS:
            break
    return list(words)[:_MAX_WORDS]


def parse_query(query: str) -> list[SearchTerm]:
    """The terms that a matching text must contain; empty for a query without words."""
    terms: dict[SearchTerm, None] = {}
    for run, unspaced in split_by_script(fold_for_search(query)):
        if not unspaced:
            terms[SearchTerm(run[:_MAX_WORD_CHARS], len(run) > 1)] = None
        elif len(run) == 1:
            terms[SearchTerm(run, False)] = None
        else:
            terms.update(dict.fromkeys(SearchTerm(pair, False) for pair in bigrams(run)))
    return list(terms)[:_MAX_TERMS]


def make_snippet(text: str, query: str) -> str:
    """An excerpt of the text around the first word of the query that occurs in it, or else its beginning."""
    text = unicodedata.normalize("NFC", text)
    folded, position = "".join(map(_fold_character, text)), -1
    for run, _ in split_by_script(fold_for_search(query)):
        position = folded.find(run)
        if position >= 0:
            break
    start = max(0, position - _SNIPPET_CHARS // 3)
    excerpt = " ".join(text[start : start + _SNIPPET_CHARS].split())
    return ("… " if start else "") + excerpt + (" …" if start + _SNIPPET_CHARS < len(text) else "")


def index_messages(connection: Connection, rows: Sequence[tuple[str, str, str]], person_id: str) -> None:
    """Index messages within the transaction that stores them. Rows are (message id, conversation id, text)."""
    first_number = _next_number(connection) if rows else 0
    entries = [
        {
            "message_id": message_id,
            "conversation_id": conversation_id,
            "person_id": person_id,
            "number": first_number + offset,
            "words": indexed(person_id, text),
        }
        for offset, (message_id, conversation_id, text) in enumerate(rows)
    ]
    for batch in in_batches(entries, 200):
        connection.execute(search_entries.insert(), batch)
    if connection.dialect.name == "sqlite" and entries:
        statement = sa.text(f"INSERT INTO {FTS}(rowid, words) VALUES (:number, :words)")
        connection.execute(statement, [{"number": entry["number"], "words": entry["words"]} for entry in entries])


def unindex_messages(connection: Connection, message_ids: Iterable[str]) -> None:
    """Remove messages from the index, before the transaction deletes them. Call `merge_index_segments` after it."""
    for batch in in_batches(sorted(message_ids)):
        in_batch = search_entries.c.message_id.in_(batch)
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.select(search_entries.c.number, search_entries.c.words).where(in_batch)).all()
            statement = sa.text(f"INSERT INTO {FTS}({FTS}, rowid, words) VALUES ('delete', :number, :words)")
            if rows:
                connection.execute(statement, [dict(row._mapping) for row in rows])
        connection.execute(search_entries.delete().where(in_batch))


def merge_index_segments(database: Database, table: str = FTS) -> None:
    """Remove deleted words from an FTS5 table: SQLite keeps them until it merges their segments.

    Merges in short transactions so that others can write in between, into new segments. A negative number of pages
    starts a merge of all segments; positive numbers continue it until nothing is left to do.
    """
    if not database.is_sqlite:
        return
    pages = -_MERGE_PAGES
    while True:
        with database.write() as connection:
            before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
            connection.exec_driver_sql(f"INSERT INTO {table}({table}, rank) VALUES('merge', {pages})")
            # The command itself is one change (https://sqlite.org/fts5.html#the_merge_command).
            if connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before < 2:
                return
        pages = _MERGE_PAGES


def rebuild_index(connection: Connection) -> None:
    """Rebuild the FTS5 tables from their rows, after these changed in another way, such as by a copy of the tables."""
    if connection.dialect.name == "sqlite":
        for table in (FTS, DOCUMENT_FTS, POST_FTS):
            if sa.inspect(connection).has_table(table):
                connection.exec_driver_sql(f"INSERT INTO {table}({table}) VALUES('rebuild')")


def select_matching_messages(connection: Connection, person_id: str, terms: Sequence[SearchTerm]) -> sa.Select[str, str]:
    """A query of (conversation_id, message_id) for the messages of a person that contain all the terms."""
    entries = search_entries.c
    matches = sa.select(entries.conversation_id, entries.message_id).where(entries.person_id == person_id)
    key = key_of(person_id)
    if connection.dialect.name == "sqlite":
        expression = " AND ".join(f'"{key}{term.word}"' + ("*" if term.is_prefix else "") for term in terms)
        hits = sa.text(f"SELECT rowid FROM {FTS} WHERE {FTS} MATCH :expression").bindparams(expression=expression)
        return matches.where(entries.number.in_(hits.columns(sa.column("rowid", sa.BigInteger))))
    expression = " & ".join(f"'{key}{term.word}'" + (":*" if term.is_prefix else "") for term in terms)
    return matches.where(entries.words.op("@@")(sa.text("CAST(:expression AS tsquery)").bindparams(expression=expression)))


def indexed(person_id: str, text: str) -> str:
    """The words of a person's text, each with the person's key before it."""
    key = key_of(person_id)
    return " ".join(f"{key}{word}" for word in index_words(text))


def key_of(id_: str) -> str:
    """The last eight characters of an id, which are random."""
    return id_.replace("-", "")[-8:].lower()


def _next_number(connection: Connection) -> int:
    """The number of the next message. FTS5 needs increasing numbers."""
    newest = connection.execute(sa.select(search_entries.c.number).order_by(search_entries.c.number.desc()).limit(1)).scalar()
    return (newest or 0) + 1


def split_by_script(folded: str) -> Iterator[tuple[str, bool]]:
    """Yield (run of letters and digits, whether its script has no spaces) in order, for a folded text."""
    for match in _WORD.finditer(folded):
        word, end = match[0], 0
        for unspaced in _UNSPACED.finditer(word):
            if unspaced.start() > end:
                yield word[end : unspaced.start()], False
            yield unspaced[0], True
            end = unspaced.end()
        if end < len(word):
            yield word[end:], False


def bigrams(run: str) -> Iterable[str]:
    """The pairs of neighbouring characters of a run, in order."""
    return (run[start : start + 2] for start in range(len(run) - 1))
