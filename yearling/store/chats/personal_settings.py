"""The personal settings of people, as plain data. Independent of what the settings mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from yearling.store.database.database import Database
from yearling.store.database.packing import compact_json
from yearling.store.database.schema import personal_settings


class PersonalSettingsStore:
    """The settings of all people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, person_id: str) -> dict[str, Any]:
        """The settings of a person; empty if there are none."""
        query = sa.select(personal_settings.c.body).where(personal_settings.c.person_id == person_id)
        with self._database.read() as connection:
            body = connection.execute(query).scalar()
        return dict(json.loads(body)) if body else {}

    def update(self, person_id: str, changes: Mapping[str, object]) -> dict[str, Any]:
        """Change the given settings and keep the others. Returns all settings."""
        own = personal_settings.c.person_id == person_id
        with self._database.write() as connection:
            body = connection.execute(sa.select(personal_settings.c.body).where(own)).scalar()
            settings = {**(json.loads(body) if body else {}), **changes}
            if body is None:
                connection.execute(personal_settings.insert().values(person_id=person_id, body=compact_json(settings)))
            else:
                connection.execute(personal_settings.update().where(own).values(body=compact_json(settings)))
        return settings
