"""Bring a database to the newest schema when it is opened: once, whoever opens it first, with a backup before any change.

The whole change is one transaction on both databases, so that a start that dies in the middle leaves the old schema. The same
transaction is the lock: on SQLite it is the write lock, on Postgres an advisory lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import Conflict, StorageFailed
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import BEGIN_WRITE, Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.schema import SCHEMA_VERSION, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATION_LOCK_KEY = 0x5965_6172_0002
_LOCK_TIMEOUT_S = 300.0


def read_schema_version(connection: Connection) -> str | None:
    """The number of the schema that is there; None for a database that holds nothing of ours."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def migrate(database: Database, *, create_backup: Callable[[str], Path], find_newest_backup: Callable[[], Path | None]) -> None:
    """Make the schema the newest.

    `back_up` is called with the old schema's number before anything changes, and returns where the backup is; `newest_backup`
    finds one that this program can restore. Raises Conflict, with nothing changed, when the schema is newer than this program
    or the database is somebody else's.
    """
    with database.read() as connection:
        found = read_schema_version(connection)
    require_known_schema(found, find_newest_backup)
    if found == SCHEMA_VERSION:
        return
    with migration_transaction(database) as connection:
        found = read_schema_version(connection)
        require_known_schema(found, find_newest_backup)
        if found == SCHEMA_VERSION:
            return  # another start was quicker
        if found is None:
            _require_own_tables(database, connection)
        backup = create_backup(found) if found else None
        upgrade(connection, SCHEMA_VERSION)
        if database.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise RuntimeError(f"a migration left a row of {broken[0]} that refers to nothing")
        if backup:
            append_audit_entry(connection, "yearling", "schema.migrate", SCHEMA_VERSION, {"from": found, "backup": backup.name})


def upgrade(connection: Connection, target_version: str) -> None:
    """Run the migrations up to `to` in the transaction of `connection`."""
    from alembic import command  # late: only starts that change the schema need Alembic

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, target_version)


def alembic_config() -> Config:
    """Alembic's settings, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("yearling.store.database") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def migration_transaction(database: Database) -> Iterator[Connection]:
    """A transaction that no other migration shares. On SQLite foreign keys rest meanwhile: rebuilding a table drops it first.

    Raises StorageFailed when another program has held the database for minutes.
    """
    with translate_storage_errors(database.label), database.engine.connect() as idle:
        if database.is_sqlite:
            idle.exec_driver_sql("PRAGMA foreign_keys=OFF")
            idle.rollback()
        try:
            connection = idle.execution_options(yearling_begin=BEGIN_WRITE)
            with _begin_with_retry(database, connection):
                if not database.is_sqlite:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK_KEY)))
                yield connection
        finally:
            # The connection goes back to the pool, where foreign keys must hold.
            idle.invalidate()


def _begin_with_retry(database: Database, connection: Connection) -> sa.RootTransaction:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            with translate_storage_errors(database.label):
                return connection.begin()
        except StorageFailed as error:
            if "locked" not in error.message or time.monotonic() > deadline:
                raise


def require_known_schema(version: str | None, find_newest_backup: Callable[[], Path | None]) -> None:
    """Raises Conflict, naming a backup that would do, when the schema is newer than this program knows."""
    if version is None or int(version) <= int(SCHEMA_VERSION):
        return
    backup = find_newest_backup()
    instead = f"restore the backup {backup}" if backup else "restore a backup that this version made"
    raise Conflict(
        f"This data was written by a newer Yearling (its schema is {version}, this program knows {SCHEMA_VERSION}).",
        advice=f"Install the newer Yearling, or {instead} with `yearling restore`.",
    )


def _require_own_tables(database: Database, connection: Connection) -> None:
    tables = set(sa.inspect(connection).get_table_names())
    # A Postgres database may be shared with others; a SQLite file in our place may not.
    strangers = tables if database.is_sqlite else tables & set(metadata.tables)
    if strangers:
        raise Conflict(
            f"{database.label} holds tables that are not Yearling's ({', '.join(sorted(strangers)[:3])}).",
            advice="Choose another database_url, or move the file away.",
        )
