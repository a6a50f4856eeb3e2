"""Full-text search, on both databases, in scripts with and without spaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import Connection

from yearling.records import Person
from yearling.store import Store
from yearling.store.database import search
from yearling.store.database.database import Database
from yearling.store.database.search import FTS, index_words, make_snippet, parse_query


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


@pytest.fixture
def bob(store: Store) -> Person:
    return store.people.add("Bob")


def told(store: Store, person: Person, *texts: str, title: str = "") -> str:
    """A conversation with these messages; its id."""
    conversation = store.conversations.create(person.id, title)
    parent = None
    for text in texts:
        parent = store.conversations.add_message(
            conversation.id, person_id=person.id, role="user", content=text, parent_id=parent
        ).id
    return conversation.id


def found(store: Store, person: Person, query: str) -> list[str]:
    return [entry.conversation.id for entry in store.history.list_page(person.id, query=query).entries]


FOUND = (
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
NOT_FOUND = ("garden piano", "arden", "明天", "天京", "東京", "'\"* OR NOT (", "!?")


def test_words_are_found_in_any_script(store: Store, ada: Person) -> None:
    told(store, ada, "nothing of interest")
    wanted = told(store, ada, "The garden has tools (2026) in the Straße", "今天北京的天气很好。")
    assert {query for query in FOUND if found(store, ada, query) != [wanted]} == set()
    assert {query for query in NOT_FOUND if found(store, ada, query)} == set()


def test_all_words_must_be_in_one_message(store: Store, ada: Person) -> None:
    told(store, ada, "apples", "pears")
    both = told(store, ada, "apples and pears")
    assert found(store, ada, "apples pears") == [both]


def test_titles_are_searched_too(store: Store, ada: Person) -> None:
    by_title = told(store, ada, "nothing", title="Plans for 北京 Trip")
    empty = told(store, ada, title="Empty trip")
    assert found(store, ada, "trip") in ([empty, by_title], [by_title, empty])
    assert found(store, ada, "北京") == [by_title]


def test_nobody_finds_what_others_said(store: Store, ada: Person, bob: Person) -> None:
    told(store, ada, "the secret", title="secret")
    mine = told(store, bob, "my secret")
    assert found(store, bob, "secret") == [mine]
    key = ada.id[-8:]
    assert found(store, bob, f"{key}secret") == [], "who knows how words are indexed gets nothing by it"


def test_people_whose_keys_collide_see_their_own_only(store: Store, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_key", lambda _: "samekey0")
    bob = store.people.add("Bob")
    told(store, ada, "the secret")
    mine = told(store, bob, "my secret")
    assert found(store, bob, "secret") == [mine]


def test_pages_are_whole_and_in_order(store: Store, ada: Person) -> None:
    made = [told(store, ada, f"garden {number}") for number in range(7)]
    for query in ("", "garden"):
        pages, after = [], None
        while True:
            page = store.history.list_page(ada.id, query=query, limit=3, cursor=after)
            pages.append([entry.conversation.id for entry in page.entries])
            if (after := page.next_cursor) is None:
                break
        assert [len(page) for page in pages] == [3, 3, 1]
        assert [one for page in pages for one in page] == made[::-1]


def test_a_search_can_be_kept_to_a_folder(store: Store, ada: Person) -> None:
    folder = store.folders.create(ada.id, "Green")
    inside, _ = told(store, ada, "garden"), told(store, ada, "garden")
    store.conversations.update(inside, person_id=ada.id, folder_id=folder.id)
    for query in ("", "garden"):
        page = store.history.list_page(ada.id, query=query, folder_id=folder.id)
        assert [entry.conversation.id for entry in page.entries] == [inside]


def test_the_message_that_was_found_is_shown(store: Store, ada: Person) -> None:
    told(store, ada, "before", "a long way to the garden of roses " + "x " * 200, "after")
    entry = store.history.list_page(ada.id, query="roses").entries[0]
    assert entry.message_id is not None
    assert "garden of roses" in (entry.snippet or "")
    assert len(entry.snippet or "") < 200


def test_what_was_deleted_is_in_no_index(store: Store, ada: Person) -> None:
    gone = told(store, ada, "unforgettable zebra", "more zebra")
    stays = told(store, ada, "another zebra")
    store.conversations.delete(gone, person_id=ada.id)
    assert found(store, ada, "zebra") == [stays]
    assert found(store, ada, "unforgettable") == []
    if store.database.path:
        held = b"".join(path.read_bytes() for path in store.database.path.parent.glob("*.db*"))
        assert b"unforgettable" not in held
        with store.database.write() as connection:
            connection.exec_driver_sql(f"INSERT INTO {FTS}({FTS}) VALUES('integrity-check')")


def test_deleting_goes_in_steps_between_which_others_write(store: Store, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the steps and whatever comes in between, nothing is left of what was deleted, and all else is found."""
    gone = told(store, ada, *[f"hidden{at:02} " + " ".join(f"w{at * number}" for number in range(200)) for at in range(20)])
    kept = told(store, ada, "garden")
    monkeypatch.setattr(search, "_MERGE_PAGES", 1)
    write, steps = Database.write, 0

    @contextmanager
    def interrupted(database: Database) -> Iterator[Connection]:
        nonlocal steps
        with write(database) as connection:
            yield connection
        steps += 1
        if steps < 10:
            monkeypatch.setattr(Database, "write", write)
            store.conversations.add_message(kept, person_id=ada.id, role="user", content=f"between{steps:02}")
            monkeypatch.setattr(Database, "write", interrupted)

    monkeypatch.setattr(Database, "write", interrupted)
    store.delete_conversation(gone, person_id=ada.id)
    monkeypatch.setattr(Database, "write", write)
    assert found(store, ada, "between01") == found(store, ada, "garden") == [kept]
    assert found(store, ada, "hidden01") == []
    if store.database.path:
        assert steps > 2
        held = b"".join(path.read_bytes() for path in store.database.path.parent.glob("*.db*"))
        assert b"hidden01" not in held


def test_a_message_deleted_from_a_branch_is_found_no_more(store: Store, ada: Person) -> None:
    conversation = told(store, ada, "keep the walrus", "drop the walrus", "and what follows")
    second = store.conversations.list_messages(conversation, person_id=ada.id)[1]
    removed = store.conversations.delete_message(second.id, conversation_id=conversation, person_id=ada.id)
    assert len(removed.message_ids) == 2
    assert [entry.message_id for entry in store.history.list_page(ada.id, query="walrus").entries] == [
        store.conversations.list_messages(conversation, person_id=ada.id)[0].id
    ]


def test_words_and_terms_fit_each_other() -> None:
    for text in ("Ein Müller", "你好世界", "a1b2", "naïve CAFÉ", "ひらがなカタカナ漢字", "한국어 문장", "x" * 100):
        words = index_words(text)
        assert all(any(word.startswith(term.word) for word in words) for term in parse_query(text))
        assert all(word.isalnum() for word in words)
    assert parse_query("__ ?!") == []


def test_a_snippet_of_a_text_without_the_word() -> None:
    assert make_snippet("short", "other") == "short"
