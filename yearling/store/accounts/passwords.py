"""Passwords, stored as Argon2id hashes (RFC 9106, section 4, second recommended option: the library's default).

Response times do not reveal whether a name exists: an unknown name is checked against a dummy hash.
"""

from __future__ import annotations

import threading
from functools import cached_property

import argon2
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import BadInput
from yearling.records import Person
from yearling.store.accounts.names import normalise_name
from yearling.store.accounts.people import person_from_row
from yearling.store.accounts.tokens import new_token
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.schema import passwords, people, sessions

MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS = 8, 1024
"""Allowed length of a password."""

_MAX_CONCURRENT_HASHES = 2
"""How many hashes are computed at once, since each takes tens of MiB; further callers wait."""


class PasswordStore:
    """The passwords of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasher = argon2.PasswordHasher()
        self._hash_slots = threading.BoundedSemaphore(_MAX_CONCURRENT_HASHES)

    def set(self, person_id: str, password: str, *, actor: str, keep_session_id: str = "") -> None:
        """Set a person's password and end their sessions, except `keep_session_id`. Raises BadInput for a weak password."""
        hashed = self.hash_password(password)
        with self._database.write() as connection:
            replace_password(connection, person_id, hashed, actor=actor)
            connection.execute(sessions.delete().where(sessions.c.person_id == person_id, sessions.c.id != keep_session_id))

    def hash_password(self, password: str) -> str:
        """The hash to store for a password. Raises BadInput for a weak password."""
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise BadInput(f"A password must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.", param="password")
        if len(set(password)) < MIN_PASSWORD_CHARS // 2:
            raise BadInput("This password is too easy to guess.", advice="Use more different characters.", param="password")
        with self._hash_slots:
            return self._hasher.hash(password)

    def authenticate(self, name: str, password: str) -> Person | None:
        """The person with this name and password, or None. Takes equally long in both cases."""
        dummy_hash = self._dummy_hash
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(people, passwords.c.hash)
                .join(passwords, passwords.c.person_id == people.c.id)
                .where(people.c.name == normalise_name(name), people.c.closed_utc.is_(None))
            ).first()
        hashed = row.hash if row else dummy_hash
        with self._hash_slots:
            try:
                self._hasher.verify(hashed, password[: MAX_PASSWORD_CHARS + 1])
            except argon2.exceptions.VerifyMismatchError:
                return None
        if row is None:
            return None
        if self._hasher.check_needs_rehash(hashed):
            self._rehash(row.id, password)
        return person_from_row(row)

    def has_password(self, person_id: str) -> bool:
        """Whether a person has a password."""
        with self._database.read() as connection:
            return (
                connection.execute(sa.select(passwords.c.person_id).where(passwords.c.person_id == person_id)).first() is not None
            )

    def _rehash(self, person_id: str, password: str) -> None:
        """Hash a password again with the current parameters."""
        with self._hash_slots:
            hashed = self._hasher.hash(password)
        with self._database.write() as connection:
            connection.execute(passwords.update().where(passwords.c.person_id == person_id).values(hash=hashed))

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(new_token())


def replace_password(connection: Connection, person_id: str, password_hash: str, *, actor: str) -> None:
    """Set a person's password within a write transaction."""
    connection.execute(passwords.delete().where(passwords.c.person_id == person_id))
    connection.execute(passwords.insert().values(person_id=person_id, hash=password_hash, changed_utc=now_utc()))
    append_audit_entry(connection, actor, "password.set", person_id)
