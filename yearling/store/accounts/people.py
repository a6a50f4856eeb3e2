"""People who use the assistant: their names, their roles, and whether their accounts are open."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotFound
from yearling.records import Person, PersonRole
from yearling.store.accounts.names import name_keys, validate_name
from yearling.store.audit import append_audit_entry
from yearling.store.chats.correction_rows import CORRECTION_TABLES
from yearling.store.chats.used_corrections import forget_used_corrections
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import offers
from yearling.store.database.schema import TableRow, api_keys, corrections, identities, invitations, passwords, people, sessions
from yearling.store.learning.offers import withdraw_offers

OWNER_NAME = "owner"
_SIGN_UP_LASTS = timedelta(minutes=1)
"""An identity that a person got within this time of the account came with it."""

PersonRecords = list[Person]


class PersonStore:
    """The people of one installation. `actor` is the id of the person who acts, for the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self) -> Person:
        """The owner of this installation, created at the first call. Safe when several processes start at once."""
        owner = self._find(people.c.name == OWNER_NAME)
        if owner:
            return owner
        row = {"id": new_id(), "name": OWNER_NAME, "role": "owner", "created_utc": now_utc()}
        with self._database.write() as connection:
            connection.execute(self._database.insert_or_ignore(people).values(row))
        owner = self._find(people.c.name == OWNER_NAME)
        if owner is None:
            raise RuntimeError("the owner is missing although it was just created")
        return owner

    def add(self, name: str, role: PersonRole = "member", *, actor: str = "yearling") -> Person:
        """Create a person. Raises Conflict if the name or a look-alike is taken, BadInput if it is not a valid name."""
        with self._database.write() as connection:
            return insert_person(connection, name, role, actor=actor)

    def get(self, person_id: str) -> Person:
        """A person by id. Raises NotFound."""
        person = self._find(people.c.id == person_id)
        if person is None:
            raise NotFound(f"There is no person {person_id!r}.")
        return person

    def get_by_name(self, name: str) -> Person:
        """A person by name. Raises NotFound."""
        person = self._find(people.c.name == name)
        if person is None:
            raise NotFound(f"There is no person named {name!r}.")
        return person

    def list(self) -> PersonRecords:
        """All people, oldest account first."""
        with self._database.read() as connection:
            return [person_from_row(row) for row in connection.execute(sa.select(people).order_by(people.c.id))]

    def is_invited(self, person_id: str) -> bool:
        """Whether an owner or a maintainer let this person in, and not an open sign-up with an identity provider. False for an
        unknown person.

        People are let in by an invitation, by being created by an administrator, or by being made maintainer or owner.
        """
        first_identity = sa.select(sa.func.min(identities.c.created_utc)).where(identities.c.person_id == person_id)
        invitation = sa.select(invitations.c.id).where(invitations.c.used_by == person_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(people.c.id == person_id)).first()
            if row is None:
                return False
            if row.role in ("owner", "maintainer") or connection.execute(invitation).first() is not None:
                return True
            identity_utc = connection.scalar(first_identity)
        return identity_utc is None or identity_utc > row.created_utc + _SIGN_UP_LASTS

    def set_role(self, person_id: str, role: PersonRole, *, actor: str) -> Person:
        """Change a person's role. Raises NotFound, and Conflict if no owner would remain."""
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
        """Close an account: nobody can sign in to it any more. Its content stays, and its name stays taken.

        Raises NotFound, and Conflict for the last owner.
        """
        with self._database.write() as connection:
            person = _lock_person(connection, self._database, person_id)
            _require_another_owner(connection, person)
            counts = _revoke_access(connection, person_id)
            connection.execute(people.update().where(people.c.id == person_id).values(closed_utc=now_utc()))
            append_audit_entry(connection, actor, "person.close", person_id, counts)
        return self.get(person_id)

    def delete(self, person_id: str, *, actor: str) -> None:
        """Delete a person with their samples, texts and keys. Their judgements stay in the event log, under a pseudonym.

        `Store.delete_person` deletes their conversations as well. Raises NotFound, and Conflict for the last owner and for the
        first owner of the installation.
        """
        with self._database.write() as connection:
            person = _lock_person(connection, self._database, person_id)
            _require_another_owner(connection, person)
            _require_not_first_owner(person)
            _revoke_access(connection, person_id)
            withdraw_offers(connection, offers.c.person_id == person_id, actor=actor)
            forget_used_corrections(connection, corrections.c.person_id == person_id)
            connection.execute(people.delete().where(people.c.id == person_id))
            append_audit_entry(connection, actor, "person.delete", person_id)
        self._database.scrub("people", "conversations", "messages", "samples", "texts", *CORRECTION_TABLES)

    def require_deletable(self, person_id: str) -> None:
        """Check that a person can be deleted. Raises as `delete`."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(people.c.id == person_id)).first()
            if row is None:
                raise NotFound(f"There is no person {person_id!r}.")
            _require_another_owner(connection, person_from_row(row))
            _require_not_first_owner(person_from_row(row))

    def revoke_access(self, person_id: str, *, actor: str) -> dict[str, int]:
        """End all sessions of a person and revoke all keys. Returns how many there were, by kind. Raises NotFound."""
        with self._database.write() as connection:
            _lock_person(connection, self._database, person_id)
            counts = _delete_sessions_and_keys(connection, person_id)
            append_audit_entry(connection, actor, "person.end_access", person_id, counts)
        return counts

    def has_accounts(self) -> bool:
        """Whether anybody has a way to sign in. Until then the installation belongs to one person and needs no sign-in."""
        with self._database.read() as connection:
            return any(connection.scalar(sa.select(sa.exists(table.select()))) for table in (passwords, identities))

    def _find(self, condition: sa.ColumnElement[bool]) -> Person | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(people).where(condition)).first()
            return person_from_row(row) if row else None


def insert_person(connection: Connection, name: str, role: PersonRole, *, actor: str) -> Person:
    """Create a person within a write transaction. Raises as `PersonStore.add`."""
    name = validate_name(name)
    if connection.dialect.name == "postgresql":  # two look-alike names may not be added at once
        connection.exec_driver_sql("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE")
    if not name_keys(name).isdisjoint(key for taken in connection.scalars(sa.select(people.c.name)) for key in name_keys(taken)):
        raise Conflict(f"The name {name!r} is taken.", advice="Choose another name.", param="name")
    person = Person(id=new_id(), name=name, role=role, created_utc=now_utc())
    connection.execute(people.insert().values(id=person.id, name=name, role=role, created_utc=person.created_utc))
    append_audit_entry(connection, actor, "person.add", person.id, {"role": role})
    return person


def person_from_row(row: TableRow, *, prefix: str = "") -> Person:
    """The person in a row whose column names are those of `people` after `prefix`."""
    return Person(**{column.name: getattr(row, prefix + column.name) for column in people.c})


def _lock_person(connection: Connection, database: Database, person_id: str) -> Person:
    """Lock a person until the transaction ends, and all owners with them, so that one always remains. Raises NotFound."""
    query = sa.select(people).where((people.c.id == person_id) | (people.c.role == "owner")).order_by(people.c.id)
    rows = connection.execute(query if database.is_sqlite else query.with_for_update()).all()
    row = next((row for row in rows if row.id == person_id), None)
    if row is None:
        raise NotFound(f"There is no person {person_id!r}.")
    return person_from_row(row)


def _require_another_owner(connection: Connection, person: Person) -> None:
    if person.role != "owner":
        return
    others = sa.select(people.c.id).where(people.c.role == "owner", people.c.closed_utc.is_(None), people.c.id != person.id)
    if connection.execute(others.limit(1)).first() is None:
        raise Conflict("This is the last owner.", advice="Give somebody else the role owner first.")


def _require_not_first_owner(person: Person) -> None:
    if person.name == OWNER_NAME:
        raise Conflict("The first owner of an installation cannot be deleted.", advice="Close the account instead.")


def _revoke_access(connection: Connection, person_id: str) -> dict[str, int]:
    """Delete every way for a person to sign in, and the open invitations that they gave. Returns the counts by kind."""
    for table in (passwords, identities):
        connection.execute(table.delete().where(table.c.person_id == person_id))
    unused = sa.and_(invitations.c.created_by == person_id, invitations.c.used_utc.is_(None))
    num_invitations = connection.execute(invitations.delete().where(unused)).rowcount
    return {**_delete_sessions_and_keys(connection, person_id), "invitations": num_invitations}


def _delete_sessions_and_keys(connection: Connection, person_id: str) -> dict[str, int]:
    return {
        name: connection.execute(table.delete().where(table.c.person_id == person_id)).rowcount
        for name, table in (("sessions", sessions), ("keys", api_keys))
    }
