"""People who use the assistant: who they are, what their role is, whether their account is open."""

from __future__ import annotations

import unicodedata
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import Person, PersonRole
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.schema import api_keys, identities, invitations, passwords, people, sessions

OWNER_NAME = "owner"

_MAX_NAME_CHARS = 64

PersonRecords = list[Person]


class PersonStore:
    """The persons of one installation. `by` is the id of who does something, as the audit log is to name it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self) -> Person:
        """The owner of this installation, created at the first call. Safe when several processes start at once."""
        found = self._find(people.c.name == OWNER_NAME)
        if found:
            return found
        row = {"id": new_id(), "name": OWNER_NAME, "role": "owner", "created_utc": now_utc()}
        with self._database.write() as connection:
            connection.execute(self._database.insert_or_ignore(people).values(row))
        owner = self._find(people.c.name == OWNER_NAME)
        if owner is None:
            raise RuntimeError("the owner is missing right after being created")
        return owner

    def add(self, name: str, role: PersonRole = "member", *, actor: str = "yearling") -> Person:
        """A new person. Raises Conflict when the name, or one that reads the same, is taken; BadInput when it is no name."""
        with self._database.write() as connection:
            return insert_person(connection, name, role, actor=actor)

    def get(self, person_id: str) -> Person:
        """Raises NotFound."""
        found = self._find(people.c.id == person_id)
        if found is None:
            raise NotFound(f"There is no person {person_id!r}.")
        return found

    def get_by_name(self, name: str) -> Person:
        """Raises NotFound."""
        found = self._find(people.c.name == name)
        if found is None:
            raise NotFound(f"There is no person named {name!r}.")
        return found

    def list(self) -> PersonRecords:
        """Everybody, in the order in which they came."""
        with self._database.read() as connection:
            return [person_from_row(row) for row in connection.execute(sa.select(people).order_by(people.c.id))]

    def set_role(self, person_id: str, role: PersonRole, *, actor: str) -> Person:
        """Give a person another role. Raises NotFound, and Conflict for the role of the last owner."""
        with self._database.write() as connection:
            person = _lock_person(connection, self._database, person_id)
            if person.role == role:
                return person
            if role != "owner":
                _require_another_owner(connection, person)
            connection.execute(people.update().where(people.c.id == person_id).values(role=role))
            append_audit_entry(connection, actor, "person.role", person_id, {"from": person.role, "to": role})
        return self.get(person_id)

    def close_account(self, person_id: str, *, actor: str) -> Person:
        """Close an account: nobody gets in by it any more. What the person said and did stays; the name stays taken.

        Raises NotFound, and Conflict for the last owner.
        """
        with self._database.write() as connection:
            person = _lock_person(connection, self._database, person_id)
            _require_another_owner(connection, person)
            ended = _revoke_access(connection, person_id)
            connection.execute(people.update().where(people.c.id == person_id).values(closed_utc=now_utc()))
            append_audit_entry(connection, actor, "person.close", person_id, ended)
        return self.get(person_id)

    def delete(self, person_id: str, *, actor: str) -> None:
        """Delete a person with samples, words and keys. What they judged stays in the log, under a pseudonym.

        `Store.delete_person` deletes conversations as well. Raises NotFound, and Conflict for the last owner and for the person
        who owns this machine's installation.
        """
        with self._database.write() as connection:
            person = _lock_person(connection, self._database, person_id)
            _require_another_owner(connection, person)
            _require_not_first_owner(person)
            _revoke_access(connection, person_id)
            connection.execute(people.delete().where(people.c.id == person_id))
            append_audit_entry(connection, actor, "person.delete", person_id)
        self._database.scrub("people", "conversations", "messages", "samples", "texts")

    def require_deletable(self, person_id: str) -> None:
        """Raises as `delete` does."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(people.c.id == person_id)).first()
            if row is None:
                raise NotFound(f"There is no person {person_id!r}.")
            _require_another_owner(connection, person_from_row(row))
            _require_not_first_owner(person_from_row(row))

    def revoke_access(self, person_id: str, *, actor: str) -> dict[str, int]:
        """End all sessions of a person and revoke all keys; returns how many there were. Raises NotFound."""
        with self._database.write() as connection:
            _lock_person(connection, self._database, person_id)
            ended = _delete_sessions_and_keys(connection, person_id)
            append_audit_entry(connection, actor, "person.end_access", person_id, ended)
        return ended

    def has_accounts(self) -> bool:
        """Whether anybody can sign in. Until then the installation is a single person's."""
        with self._database.read() as connection:
            return any(connection.scalar(sa.select(sa.exists(table.select()))) for table in (passwords, identities))

    def _find(self, condition: sa.ColumnElement[bool]) -> Person | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(condition)).first()
            return person_from_row(row) if row else None


def insert_person(connection: Connection, name: str, role: PersonRole, *, actor: str) -> Person:
    """Within a transaction. Raises as `People.add`."""
    name = _validated_name(name)
    if connection.dialect.name == "postgresql":  # two people may not come by look-alike names at once
        connection.exec_driver_sql("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE")
    if _name_key(name) in {_name_key(taken) for taken in connection.scalars(sa.select(people.c.name))}:
        raise Conflict(f"There is a person named {name!r} already.", advice="Choose another name.", param="name")
    person = Person(id=new_id(), name=name, role=role, created_utc=now_utc())
    connection.execute(people.insert().values(id=person.id, name=name, role=role, created_utc=person.created_utc))
    append_audit_entry(connection, actor, "person.add", person.id, {"role": role})
    return person


def person_from_row(row: Row[Any], *, prefix: str = "") -> Person:
    """The person whose columns a row holds, under their names behind `prefix`."""
    return Person(**{column.name: getattr(row, prefix + column.name) for column in people.c})


def normalise_name(name: str) -> str:
    """A name as it is stored, however it was typed."""
    return unicodedata.normalize("NFC", name).strip()


def _validated_name(name: str) -> str:
    name = normalise_name(name)
    if not name or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise BadInput(f"A person needs a name of 1 to {_MAX_NAME_CHARS} printable characters.", param="name")
    return name


def _name_key(name: str) -> str:
    """What names have in common that a reader could take for one another."""
    return unicodedata.normalize("NFKC", name).casefold()


def _lock_person(connection: Connection, database: Database, person_id: str) -> Person:
    """The person, whom nobody else changes until the transaction ends. All owners with them, so that one always stays."""
    query = sa.select(people).where((people.c.id == person_id) | (people.c.role == "owner")).order_by(people.c.id)
    rows = connection.execute(query if database.is_sqlite else query.with_for_update()).all()
    found = next((row for row in rows if row.id == person_id), None)
    if found is None:
        raise NotFound(f"There is no person {person_id!r}.")
    return person_from_row(found)


def _require_another_owner(connection: Connection, person: Person) -> None:
    if person.role != "owner":
        return
    others = sa.select(people.c.id).where(people.c.role == "owner", people.c.closed_utc.is_(None), people.c.id != person.id)
    if connection.execute(others.limit(1)).first() is None:
        raise Conflict("This is the last owner.", advice="Make somebody else an owner first.")


def _require_not_first_owner(person: Person) -> None:
    if person.name == OWNER_NAME:
        raise Conflict("The person named owner stays as long as the installation does.", advice="Close the account instead.")


def _revoke_access(connection: Connection, person_id: str) -> dict[str, int]:
    """Everything by which a person gets in, invitations that they gave included."""
    for table in (passwords, identities):
        connection.execute(table.delete().where(table.c.person_id == person_id))
    unused = sa.and_(invitations.c.created_by == person_id, invitations.c.used_utc.is_(None))
    withdrawn = connection.execute(invitations.delete().where(unused)).rowcount
    return {**_delete_sessions_and_keys(connection, person_id), "invitations": withdrawn}


def _delete_sessions_and_keys(connection: Connection, person_id: str) -> dict[str, int]:
    return {
        name: connection.execute(table.delete().where(table.c.person_id == person_id)).rowcount
        for name, table in (("sessions", sessions), ("keys", api_keys))
    }
