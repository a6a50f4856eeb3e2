"""Secrets that an installation makes for itself, once, and keeps: keys of pseudonyms. They leave it in backups only."""

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
        """32 random bytes by name, drawn when first asked for. Safe when several processes ask at once."""
        found = self._find(name)
        if found is not None:
            return found
        with self._database.write() as connection:
            connection.execute(self._database.insert_or_ignore(secrets).values(name=name, value=os.urandom(_SECRET_BYTES)))
        found = self._find(name)
        if found is None:
            raise RuntimeError(f"the secret {name} is missing right after being drawn")
        return found

    def _find(self, name: str) -> bytes | None:
        with self._database.read() as connection:
            value: bytes | None = connection.scalar(sa.select(secrets.c.value).where(secrets.c.name == name))
        return value
