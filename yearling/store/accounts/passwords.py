"""Passwords, as Argon2id hashes (RFC 9106, the second recommended choice of parameters, which is the library's default).

Whether a name exists cannot be told from how long an answer takes: for an unknown name a hash is checked all the same.
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
from yearling.store.accounts.people import normalise_name, person_from_row
from yearling.store.accounts.tokens import new_token
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.schema import passwords, people, sessions

MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS = 8, 1024
"""Characters of a password."""

_MAX_CONCURRENT_HASHES = 2
"""Hashes that are computed at the same time, each with its tens of MiB; more wait."""


class PasswordStore:
    """The passwords of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasher = argon2.PasswordHasher()
        self._hash_slots = threading.BoundedSemaphore(_MAX_CONCURRENT_HASHES)

    def set(self, person_id: str, password: str, *, actor: str, keep_session_id: str = "") -> None:
        """Give a person a password, and end all of their sessions but one. Raises BadInput for one that is too easy to guess."""
        hashed = self.hash_password(password)
        with self._database.write() as connection:
            replace_password(connection, person_id, hashed, actor=actor)
            connection.execute(sessions.delete().where(sessions.c.person_id == person_id, sessions.c.id != keep_session_id))

    def hash_password(self, password: str) -> str:
        """What is stored of a password. Raises BadInput."""
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise BadInput(f"A password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.", param="password")
        if len(set(password)) < MIN_PASSWORD_CHARS // 2:
            raise BadInput("This password is too easy to guess.", advice="Use more different characters.", param="password")
        with self._hash_slots:
            return self._hasher.hash(password)

    def authenticate(self, name: str, password: str) -> Person | None:
        """Who has this name and this password; None for everybody else, after the same time."""
        stand_in = self._dummy_hash
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(people, passwords.c.hash)
                .join(passwords, passwords.c.person_id == people.c.id)
                .where(people.c.name == normalise_name(name), people.c.closed_utc.is_(None))
            ).first()
        hashed = row.hash if row else stand_in
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
        with self._database.read() as connection:
            return (
                connection.execute(sa.select(passwords.c.person_id).where(passwords.c.person_id == person_id)).first() is not None
            )

    def _rehash(self, person_id: str, password: str) -> None:
        """The same password, hashed as one does by now."""
        with self._hash_slots:
            hashed = self._hasher.hash(password)
        with self._database.write() as connection:
            connection.execute(passwords.update().where(passwords.c.person_id == person_id).values(hash=hashed))

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(new_token())


def replace_password(connection: Connection, person_id: str, password_hash: str, *, actor: str) -> None:
    """Within a transaction."""
    connection.execute(passwords.delete().where(passwords.c.person_id == person_id))
    connection.execute(passwords.insert().values(person_id=person_id, hash=password_hash, changed_utc=now_utc()))
    append_audit_entry(connection, actor, "password.set", person_id)
