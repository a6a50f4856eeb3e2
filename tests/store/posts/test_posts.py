"""Live posts at rest, on both databases: repeats, edits, deletions, replays, cursors and pruning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.store import Store
from yearling.store.posts.posts import NewPost

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def make_post(number: int, text: str = "", *, author: str = "ada") -> NewPost:
    text = text or f"word{number} 中文"
    return NewPost(
        uri=f"at://{number}",
        author=author,
        author_name="Ada",
        text=text,
        url="",
        created_utc=CREATED + timedelta(minutes=number),
        words=tuple(text.split()),
    )


def find(store: Store, *words: str, since_utc: datetime | None = None) -> list[str]:
    return [post.uri for post in store.posts.find_with_any(words, since_utc=since_utc, limit=100)]


@pytest.fixture
def source_id(store: Store) -> str:
    return store.posts.add_source(store.people.owner().id, "jetstream", "wss://example.org")


def test_posts_are_found_once_and_edits_replace_them(store: Store, source_id: str) -> None:
    store.posts.apply(source_id, [make_post(1), make_post(2), make_post(1)], cursor="7")
    store.posts.apply(source_id, [make_post(1), make_post(2, "changed")])
    assert store.posts.read_cursor(source_id) == "7"
    assert find(store, "word1") == ["at://1"]
    assert find(store, "中文") == ["at://1"]
    assert find(store, "word2") == []
    assert find(store, "changed", "word1") == ["at://2", "at://1"]
    assert find(store, "changed", "word1", since_utc=CREATED + timedelta(minutes=2)) == ["at://2"]
    assert find(store) == []


def test_deleted_posts_stay_deleted_when_they_are_replayed(store: Store, source_id: str) -> None:
    store.posts.apply(source_id, [make_post(1), make_post(2, author="ben"), make_post(3)])
    store.posts.apply(source_id, [make_post(4)], deleted=["at://1", "at://4", "at://5"], deleted_authors=["ben"])
    store.posts.apply(source_id, [make_post(number) for number in (1, 2, 4, 5)])
    assert find(store, "中文") == ["at://3"]


def test_old_and_surplus_posts_are_pruned(store: Store, source_id: str) -> None:
    store.posts.apply(source_id, [make_post(number) for number in range(1, 11)], deleted=["at://99"])
    early = now_utc() - timedelta(days=1)
    assert store.posts.prune(before_utc=early, max_posts=4) == 6
    assert find(store, "中文") == [f"at://{number}" for number in (10, 9, 8, 7)]
    assert store.posts.prune(before_utc=now_utc() + timedelta(seconds=1), max_posts=4) == 4
    assert find(store, "中文") == []
    store.posts.apply(source_id, [make_post(99)])  # its deletion is forgotten with the posts of its time
    assert find(store, "word99") == ["at://99"]


def test_a_source_is_added_once_and_must_exist(store: Store, source_id: str) -> None:
    with pytest.raises(Conflict):
        store.posts.add_source(store.people.owner().id, "jetstream", "wss://example.org")
    with pytest.raises(NotFound):
        store.posts.apply("none", [make_post(1)], cursor="1")
    with pytest.raises(NotFound):
        store.posts.read_cursor("none")
    assert find(store, "word1") == []
