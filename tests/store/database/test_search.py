"""Full-text search, on both databases, in scripts with and without spaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection

from yearling.records import Person
from yearling.store import Store
from yearling.store.database import search
from yearling.store.database.database import Database
from yearling.store.database.migrate import migration_transaction
from yearling.store.database.search import FTS, index_words, make_snippet, parse_query


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def add_conversation(store: Store, person: Person, *texts: str, title: str = "") -> str:
    """Create a conversation with these messages. Returns its id."""
    conversation = store.conversations.create(person.id, title)
    parent = None
    for text in texts:
        parent = store.conversations.add_message(
            conversation.id, person_id=person.id, role="user", content=text, parent_id=parent
        ).id
    return conversation.id


def search_ids(store: Store, person: Person, query: str) -> list[str]:
    return [entry.conversation.id for entry in store.history.list_page(person.id, query=query).entries]


MATCHING_QUERIES = (
    "garden",
    "GARDEN",
    "gard",
    "garden tools",
    "tools garden",
    "Straße",
    "STRASSE",
    "天气",
    "今天",
    "气",
    "ｇａｒｄｅｎ",
    "2026",
    "gar*",
    "天 北京",
)
OTHER_QUERIES = ("garden piano", "arden", "明天", "天京", "東京", "'\"* OR NOT (", "!?")


def test_search_finds_words_in_any_script(store: Store, ada: Person) -> None:
    add_conversation(store, ada, "nothing of interest")
    expected = add_conversation(store, ada, "The garden has tools (2026) in the Straße", "今天北京的天气很好。")
    assert {query for query in MATCHING_QUERIES if search_ids(store, ada, query) != [expected]} == set()
    assert {query for query in OTHER_QUERIES if search_ids(store, ada, query)} == set()


@pytest.mark.parametrize("written", ["Café Ångström", "CAFE\u0301 A\u030angstro\u0308m", "cafe angstrom"])
@pytest.mark.parametrize("query", ["cafe", "café", "CAFÉ ang", "cafe\u0301", "ångström"])
def test_accents_make_no_difference(store: Store, ada: Person, written: str, query: str) -> None:
    said = add_conversation(store, ada, f"We met at the {written}.")
    titled = add_conversation(store, ada, title=written)
    assert sorted(search_ids(store, ada, query)) == sorted([said, titled])
    assert "We met at" in make_snippet(f"We met at the {written}.", query)
    assert make_snippet(f"{'x ' * 300}{written}", query).startswith("…"), "the excerpt shows the word"


def test_marks_that_make_another_letter_make_a_difference(store: Store, ada: Person) -> None:
    add_conversation(store, ada, "がく", "й")
    assert search_ids(store, ada, "かく") == search_ids(store, ada, "и") == []
    assert len(search_ids(store, ada, "が")) == len(search_ids(store, ada, "й")) == 1


def test_older_messages_are_indexed_again(store: Store, ada: Person) -> None:
    if not store.database.is_sqlite:
        pytest.skip("the index of the older version is written in SQLite's form")
    said = add_conversation(store, ada, "Der Café", "plain")
    with store.database.write() as connection:
        key = search.key_of(ada.id)
        connection.exec_driver_sql(f"UPDATE search_entries SET words = replace(words, '{key}cafe', '{key}café')")
        search.rebuild_index(connection)
    assert search_ids(store, ada, "cafe") == []
    migration = import_module("yearling.store.database.migrations.versions.m0012_search_without_accents")
    with migration_transaction(store.database) as connection, Operations.context(MigrationContext.configure(connection)):
        migration.upgrade()
    assert search_ids(store, ada, "cafe") == [said]


def test_all_words_must_occur_in_one_message(store: Store, ada: Person) -> None:
    add_conversation(store, ada, "apples", "pears")
    both = add_conversation(store, ada, "apples and pears")
    assert search_ids(store, ada, "apples pears") == [both]


def test_search_includes_titles(store: Store, ada: Person) -> None:
    by_title = add_conversation(store, ada, "nothing", title="Plans for 北京 Trip")
    empty = add_conversation(store, ada, title="Empty trip")
    assert search_ids(store, ada, "trip") in ([empty, by_title], [by_title, empty])
    assert search_ids(store, ada, "北京") == [by_title]


def test_search_finds_own_messages_only(store: Store, ada: Person, bob: Person) -> None:
    add_conversation(store, ada, "the secret", title="secret")
    mine = add_conversation(store, bob, "my secret")
    assert search_ids(store, bob, "secret") == [mine]
    key = ada.id[-8:]
    assert search_ids(store, bob, f"{key}secret") == [], "knowing the key of a person does not help"


def test_people_with_colliding_keys_find_own_messages_only(store: Store, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_key", lambda _: "samekey0")
    bob = store.people.add("Bob")
    add_conversation(store, ada, "the secret")
    mine = add_conversation(store, bob, "my secret")
    assert search_ids(store, bob, "secret") == [mine]


def test_pages_are_complete_and_in_order(store: Store, ada: Person) -> None:
    conversation_ids = [add_conversation(store, ada, f"garden {number}") for number in range(7)]
    for query in ("", "garden"):
        pages, cursor = [], None
        while True:
            page = store.history.list_page(ada.id, query=query, limit=3, cursor=cursor)
            pages.append([entry.conversation.id for entry in page.entries])
            if (cursor := page.next_cursor) is None:
                break
        assert [len(page) for page in pages] == [3, 3, 1]
        assert [conversation_id for page in pages for conversation_id in page] == conversation_ids[::-1]


def test_search_is_limited_to_a_folder(store: Store, ada: Person) -> None:
    folder = store.folders.create(ada.id, "Green")
    inside, _ = add_conversation(store, ada, "garden"), add_conversation(store, ada, "garden")
    store.conversations.update(inside, person_id=ada.id, folder_id=folder.id)
    for query in ("", "garden"):
        page = store.history.list_page(ada.id, query=query, folder_id=folder.id)
        assert [entry.conversation.id for entry in page.entries] == [inside]


def test_search_returns_the_matching_message_with_a_snippet(store: Store, ada: Person) -> None:
    add_conversation(store, ada, "before", "a long way to the garden of roses " + "x " * 200, "after")
    entry = store.history.list_page(ada.id, query="roses").entries[0]
    assert entry.message_id is not None
    assert "garden of roses" in (entry.snippet or "")
    assert len(entry.snippet or "") < 200


def test_deleted_words_are_not_in_the_index(store: Store, ada: Person) -> None:
    deleted = add_conversation(store, ada, "unforgettable zebra", "more zebra")
    kept = add_conversation(store, ada, "another zebra")
    store.conversations.delete(deleted, person_id=ada.id)
    assert search_ids(store, ada, "zebra") == [kept]
    assert search_ids(store, ada, "unforgettable") == []
    if store.database.path:
        content = b"".join(path.read_bytes() for path in store.database.path.parent.glob("*.db*"))
        assert b"unforgettable" not in content
        with store.database.write() as connection:
            connection.exec_driver_sql(f"INSERT INTO {FTS}({FTS}) VALUES('integrity-check')")


def test_others_can_write_while_the_index_is_merged(store: Store, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the steps and whatever is written between them, deleted words are gone and all others are found."""
    deleted = add_conversation(
        store, ada, *[f"hidden{index:02} " + " ".join(f"w{index * number}" for number in range(200)) for index in range(20)]
    )
    kept = add_conversation(store, ada, "garden")
    monkeypatch.setattr(search, "_MERGE_PAGES", 1)
    write, steps = Database.write, 0

    @contextmanager
    def write_and_interrupt(database: Database) -> Iterator[Connection]:
        nonlocal steps
        with write(database) as connection:
            yield connection
        steps += 1
        if steps < 10:
            monkeypatch.setattr(Database, "write", write)
            store.conversations.add_message(kept, person_id=ada.id, role="user", content=f"between{steps:02}")
            monkeypatch.setattr(Database, "write", write_and_interrupt)

    monkeypatch.setattr(Database, "write", write_and_interrupt)
    store.delete_conversation(deleted, person_id=ada.id)
    monkeypatch.setattr(Database, "write", write)
    assert search_ids(store, ada, "between01") == search_ids(store, ada, "garden") == [kept]
    assert search_ids(store, ada, "hidden01") == []
    if store.database.path:
        assert steps > 2
        content = b"".join(path.read_bytes() for path in store.database.path.parent.glob("*.db*"))
        assert b"hidden01" not in content


def test_search_does_not_find_deleted_messages(store: Store, ada: Person) -> None:
    conversation = add_conversation(store, ada, "keep the walrus", "drop the walrus", "and what follows")
    second = store.conversations.list_messages(conversation, person_id=ada.id)[1]
    removed = store.conversations.delete_message(second.id, conversation_id=conversation, person_id=ada.id)
    assert len(removed.message_ids) == 2
    assert [entry.message_id for entry in store.history.list_page(ada.id, query="walrus").entries] == [
        store.conversations.list_messages(conversation, person_id=ada.id)[0].id
    ]


def test_query_terms_match_indexed_words() -> None:
    for text in ("Ein Müller", "你好世界", "a1b2", "naïve CAFÉ", "ひらがなカタカナ漢字", "한국어 문장", "x" * 100):
        words = index_words(text)
        assert all(any(word.startswith(term.word) for word in words) for term in parse_query(text))
        assert all(word.isalnum() for word in words)
    assert parse_query("__ ?!") == []


def test_snippet_of_text_without_the_word_is_its_beginning() -> None:
    assert make_snippet("short", "other") == "short"
