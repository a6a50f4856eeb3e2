"""Modes that maintainers define: named texts for the assistant, in versions that never change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from yearling.clock import now_utc
from yearling.errors import NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.packing import record_values
from yearling.store.database.schema import TableRow, modes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRecord:
    """One version of a mode. Versions never change; a retired mode is no longer offered."""

    name: str
    version: int
    title: str
    text: str
    retired: bool
    created_utc: datetime


ModeRecords = list[ModeRecord]


class ModeStore:
    """The modes of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_newest(self) -> ModeRecords:
        """The newest version of every mode, by name, retired ones included."""
        latest = sa.select(modes.c.name, sa.func.max(modes.c.version).label("version")).group_by(modes.c.name).subquery()
        query = sa.select(modes).join(latest, sa.and_(modes.c.name == latest.c.name, modes.c.version == latest.c.version))
        with self._database.read() as connection:
            return [_mode_from_row(row) for row in connection.execute(query.order_by(modes.c.name))]

    def define(self, name: str, title: str, text: str, *, actor: str, after_version: int = 0) -> ModeRecord:
        """Define a mode, or the next version of one. The version is higher than `after_version`."""
        with self._database.write() as connection:
            newest = connection.execute(sa.select(sa.func.max(modes.c.version)).where(modes.c.name == name)).scalar()
            version = max(newest or 0, after_version) + 1
            record = ModeRecord(name=name, version=version, title=title, text=text, retired=False, created_utc=now_utc())
            connection.execute(modes.insert().values(record_values(record)))
            append_audit_entry(connection, actor, "mode.define", f"{name}@{version}")
        return record

    def retire(self, name: str, *, actor: str) -> ModeRecord:
        """Stop offering a mode. Conversations in it stay. Raises NotFound."""
        with self._database.write() as connection:
            if connection.execute(modes.update().where(modes.c.name == name).values(retired=True)).rowcount == 0:
                raise NotFound(f"There is no mode {name!r} to retire.")
            append_audit_entry(connection, actor, "mode.retire", name)
            newest = sa.select(modes).where(modes.c.name == name).order_by(modes.c.version.desc()).limit(1)
            return _mode_from_row(connection.execute(newest).one())


def _mode_from_row(row: TableRow) -> ModeRecord:
    return ModeRecord(**row._mapping)
