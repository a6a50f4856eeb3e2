"""People with API keys, as request headers."""

from __future__ import annotations

from collections.abc import Iterable

from yearling.records import KEY_SCOPES, KeyScope, Person, PersonRole
from yearling.store import Store


def key_headers(store: Store, person: Person, scopes: Iterable[KeyScope] = KEY_SCOPES) -> dict[str, str]:
    """The header with a new API key of a person."""
    return {"x-api-key": store.api_keys.create(person.id, "test", scopes)[0]}


def add_person(store: Store, name: str, role: PersonRole = "member") -> tuple[Person, dict[str, str]]:
    """A new person, and the header with their API key."""
    person = store.people.add(name, role)
    return person, key_headers(store, person)
