from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import Store


def test_there_is_one_owner_from_the_first_start(store: Store) -> None:
    owner = store.people.owner()
    assert (owner.name, owner.role) == ("owner", "owner")
    assert store.people.list() == [owner]


def test_concurrent_first_calls_agree_on_the_owner(store: Store) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM people")
    with ThreadPoolExecutor(8) as pool:
        owners = set(pool.map(lambda _: store.people.owner(), range(16)))
    assert len(owners) == 1


def test_people_are_added_and_found(store: Store) -> None:
    ada = store.people.add("Ada", role="reader")
    assert store.people.get(ada.id) == ada == store.people.get_by_name("Ada")
    assert store.people.list()[-1] == ada
    assert store.audit.entries()[-1].subject == ada.id


def test_a_taken_or_empty_name_is_refused_and_leaves_no_trace(store: Store) -> None:
    store.people.add("Ada")
    before = (store.people.list(), store.audit.entries())
    with pytest.raises(Conflict, match="Ada"):
        store.people.add("Ada")
    with pytest.raises(BadInput):
        store.people.add("  ")
    assert (store.people.list(), store.audit.entries()) == before


def test_unknown_people_are_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.people.get("nobody")
    with pytest.raises(NotFound):
        store.people.get_by_name("nobody")
