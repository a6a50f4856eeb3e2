"""Acting as somebody: a person with a key, as headers."""

from __future__ import annotations

from collections.abc import Iterable

from yearling.records import KEY_SCOPES, KeyScope, Person, PersonRole
from yearling.store import Store


def key_of(store: Store, person: Person, scopes: Iterable[KeyScope] = KEY_SCOPES) -> dict[str, str]:
    """The header of a new key of a person."""
    return {"x-api-key": store.api_keys.create(person.id, "test", scopes)[0]}


def newcomer(store: Store, name: str, role: PersonRole = "member") -> tuple[Person, dict[str, str]]:
    """A new person and the header of a key of theirs."""
    person = store.people.add(name, role)
    return person, key_of(store, person)
