"""Secrets that an installation generates once and keeps, such as the key of pseudonyms. They leave it in backups only."""

from __future__ import annotations

import os

import sqlalchemy as sa

from yearling.store.database.database import Database
from yearling.store.database.schema import secrets

_SECRET_BYTES = 32


class SecretStore:
    """The secrets of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_or_create(self, name: str) -> bytes:
        """The secret of this name: 32 random bytes, generated at the first call. Safe to call from several processes at once."""
        secret = self._find(name)
        if secret is not None:
            return secret
        with self._database.write() as connection:
            connection.execute(self._database.insert_or_ignore(secrets).values(name=name, value=os.urandom(_SECRET_BYTES)))
        secret = self._find(name)
        if secret is None:
            raise RuntimeError(f"the secret {name} is missing although it was just created")
        return secret

    def _find(self, name: str) -> bytes | None:
        with self._database.read() as connection:
            value: bytes | None = connection.scalar(sa.select(secrets.c.value).where(secrets.c.name == name))
        return value
