"""People who use the assistant."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import Person, PersonRole
from yearling.store.audit import append_entry
from yearling.store.database import Database
from yearling.store.schema import people

OWNER = "owner"

Persons = list[Person]


class People:
    """The persons of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self) -> Person:
        """The owner of this installation, created at the first call. Safe when several processes start at once."""
        found = self._find(people.c.name == OWNER)
        if found:
            return found
        row = {"id": new_id(), "name": OWNER, "role": "owner", "created_utc": now_utc()}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(people).values(row))
        owner = self._find(people.c.name == OWNER)
        if owner is None:
            raise RuntimeError("the owner is missing right after being created")
        return owner

    def add(self, name: str, role: PersonRole = "member") -> Person:
        """A new person. Raises Conflict when the name is taken, BadInput when it is empty."""
        if not name.strip():
            raise BadInput("A person needs a name.", param="name")
        person = Person(id=new_id(), name=name, role=role, created_utc=now_utc())
        try:
            with self._database.write() as connection:
                connection.execute(people.insert().values(id=person.id, name=name, role=role, created_utc=person.created_utc))
                append_entry(connection, "yearling", "person.add", person.id, {"role": role})
        except sa.exc.IntegrityError:
            raise Conflict(f"There is a person named {name!r} already.", advice="Choose another name.", param="name") from None
        return person

    def get(self, person_id: str) -> Person:
        """Raises NotFound."""
        found = self._find(people.c.id == person_id)
        if found is None:
            raise NotFound(f"There is no person {person_id!r}.")
        return found

    def named(self, name: str) -> Person:
        """Raises NotFound."""
        found = self._find(people.c.name == name)
        if found is None:
            raise NotFound(f"There is no person named {name!r}.")
        return found

    def list(self) -> Persons:
        """Everybody, in the order in which they came."""
        with self._database.read() as connection:
            return [_person(row) for row in connection.execute(sa.select(people).order_by(people.c.id))]

    def _find(self, condition: sa.ColumnElement[bool]) -> Person | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(condition)).first()
            return _person(row) if row else None


def _person(row: Row[Any]) -> Person:
    return Person(**row._mapping)
