"""People: the owner, names and look-ups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import Store


def test_owner_exists_from_the_first_start(store: Store) -> None:
    owner = store.people.owner()
    assert (owner.name, owner.role) == ("owner", "owner")
    assert store.people.list() == [owner]


def test_concurrent_first_calls_create_one_owner(store: Store) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM people")
    with ThreadPoolExecutor(8) as pool:
        owners = set(pool.map(lambda _: store.people.owner(), range(16)))
    assert len(owners) == 1


def test_added_person_is_found_by_id_and_name(store: Store) -> None:
    ada = store.people.add("Ada", role="reader")
    assert store.people.get(ada.id) == ada == store.people.get_by_name("Ada")
    assert store.people.list()[-1] == ada
    assert store.audit.entries()[-1].subject == ada.id


def test_taken_or_empty_name_is_refused_without_side_effects(store: Store) -> None:
    store.people.add("Ada")
    before = (store.people.list(), store.audit.entries())
    with pytest.raises(Conflict, match="Ada"):
        store.people.add("Ada")
    with pytest.raises(BadInput):
        store.people.add("  ")
    assert (store.people.list(), store.audit.entries()) == before


def test_unknown_person_raises_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.people.get("nobody")
    with pytest.raises(NotFound):
        store.people.get_by_name("nobody")


@pytest.mark.parametrize(
    ("name", "lookalike"),
    [
        ("Ada", "\u0410d\u0430"),  # Cyrillic
        ("owner", "\u03bfwner"),  # Greek
        ("owner", "OWNER"),
        ("owner", "0wner"),
        ("Iris", "lris"),
        ("modern", "rnodern"),
        ("Ada L", "Ada  L"),
        ("Ada", "\uff21\uff44\uff41"),
        ("Zo\u00eb", "Zoe\u0308"),
    ],
)
def test_lookalike_of_a_name_is_refused(store: Store, name: str, lookalike: str) -> None:
    if name != "owner":
        store.people.add(name)
    with pytest.raises(Conflict, match="taken"):
        store.people.add(lookalike)


@pytest.mark.parametrize("name", ["Ad\u200ba", "Ada\u3164", "\u2800", "Ada\ufe0f", "A\u034fda", "Ada\u202e", "A\nda", "x" * 65])
def test_name_with_invisible_characters_is_refused(store: Store, name: str) -> None:
    with pytest.raises(BadInput):
        store.people.add(name)


def test_similar_names_that_a_reader_tells_apart_are_allowed(store: Store) -> None:
    for name in (
        "Ada",
        "Adam",
        "Zoe",
        "Zo\u00eb",
        "\u5f20\u4f1f",
        "\u5f20\u73ae",
        "Lea",
        "Lee",
        "\u0410\u043d\u043d\u0430",
        "Anna",
    ):
        store.people.add(name)
