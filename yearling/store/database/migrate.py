"""Migrate a database to the newest schema when it is opened, with a backup before any change.

The whole migration is one transaction on both databases, so a process that dies half-way leaves the old schema. The transaction
also keeps other processes out: on SQLite by the write lock, on Postgres by an advisory lock.
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
    """The number of the schema in the database; None if it has no tables of ours."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def migrate(database: Database, *, create_backup: Callable[[str], Path], find_newest_backup: Callable[[], Path | None]) -> None:
    """Migrate to the newest schema.

    `create_backup` is called with the old schema's number before anything changes and returns the path of the backup.
    `find_newest_backup` returns one that this version can restore, for the error message. Raises Conflict, with nothing changed,
    if the schema is newer than this version or the database belongs to another program.
    """
    with database.read() as connection:
        version = read_schema_version(connection)
    require_known_schema(version, find_newest_backup)
    if version == SCHEMA_VERSION:
        return
    with migration_transaction(database) as connection:
        version = read_schema_version(connection)
        require_known_schema(version, find_newest_backup)
        if version == SCHEMA_VERSION:
            return  # another process has migrated it
        if version is None:
            _require_own_tables(database, connection)
        backup = create_backup(version) if version else None
        upgrade(connection, SCHEMA_VERSION)
        if database.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise RuntimeError(f"a migration left a row of {broken[0]} with a dangling reference")
        if backup:
            append_audit_entry(connection, "yearling", "schema.migrate", SCHEMA_VERSION, {"from": version, "backup": backup.name})


def upgrade(connection: Connection, target_version: str) -> None:
    """Run the migrations up to `target_version` in the transaction of `connection`."""
    from alembic import command  # imported late: an ordinary start does not need Alembic

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, target_version)


def alembic_config() -> Config:
    """Alembic's configuration, made without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("yearling.store.database") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("recursive_version_locations", "true")
    return config


@contextmanager
def migration_transaction(database: Database) -> Iterator[Connection]:
    """A write transaction that excludes other migrations. On SQLite it suspends foreign keys, since rebuilding a table drops it.

    Raises StorageFailed if another program holds the database for minutes.
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
            # Not back into the pool: there foreign keys must hold.
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
    """Raise Conflict if the schema is newer than this version; the advice names a backup that it can restore."""
    if version is None or int(version) <= int(SCHEMA_VERSION):
        return
    backup = find_newest_backup()
    alternative = f"restore the backup {backup}" if backup else "restore a backup that this version made"
    raise Conflict(
        f"A newer Yearling wrote this data (its schema is {version}; this version knows {SCHEMA_VERSION}).",
        advice=f"Install the newer Yearling, or {alternative} with `yearling restore`.",
    )


def _require_own_tables(database: Database, connection: Connection) -> None:
    tables = set(sa.inspect(connection).get_table_names())
    # A Postgres database may be shared with other programs; our SQLite file may not.
    foreign_tables = tables if database.is_sqlite else tables & set(metadata.tables)
    if foreign_tables:
        raise Conflict(
            f"{database.label} has tables of another program ({', '.join(sorted(foreign_tables)[:3])}).",
            advice="Choose another database_url, or move the file away.",
        )
