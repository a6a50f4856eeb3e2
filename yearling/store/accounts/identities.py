"""Identities at OpenID Connect providers. An issuer and a subject together name one person permanently."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import Conflict
from yearling.records import Person, PersonRole
from yearling.store.accounts.people import insert_person, person_from_row
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.schema import identities, people


class IdentityStore:
    """The identities of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_person(self, issuer: str, subject: str) -> Person | None:
        """The person with this identity; None if it is unknown here or the account is closed."""
        query = (
            sa.select(people)
            .join(identities, identities.c.person_id == people.c.id)
            .where(identities.c.issuer == issuer, identities.c.subject == subject, people.c.closed_utc.is_(None))
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return person_from_row(row) if row else None

    def list_issuers(self, person_id: str) -> list[str]:
        """The providers that a person can sign in with."""
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(identities.c.issuer).where(identities.c.person_id == person_id)))

    def link(self, person_id: str, issuer: str, subject: str) -> None:
        """Let a person sign in with a provider. Raises Conflict if the identity is linked already."""
        with self._database.write() as connection:
            insert_identity(connection, person_id, issuer, subject)

    def create_person(self, name: str, role: PersonRole, *, issuer: str, subject: str) -> Person:
        """Create a person who signs in with a provider. Raises Conflict for a taken name or identity, BadInput for a bad name."""
        with self._database.write() as connection:
            person = insert_person(connection, name, role, actor="yearling")
            insert_identity(connection, person.id, issuer, subject)
        return person


def insert_identity(connection: Connection, person_id: str, issuer: str, subject: str) -> None:
    """Link an identity within a write transaction. Raises Conflict if it is linked already."""
    known = connection.execute(
        sa.select(identities.c.person_id).where(identities.c.issuer == issuer, identities.c.subject == subject)
    ).first()
    if known is not None:
        raise Conflict("This identity already belongs to an account.", advice="Sign in with it instead.")
    values = {"issuer": issuer, "subject": subject, "person_id": person_id, "created_utc": now_utc()}
    connection.execute(identities.insert().values(**values))
    append_audit_entry(connection, person_id, "identity.link", person_id, {"issuer": issuer})
