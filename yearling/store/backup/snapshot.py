"""Snapshots: the whole database as one SQLite file, which is how backups contain it.

SQLite is copied by its backup API. Postgres is read in one repeatable-read transaction into a SQLite file with the same schema:
this needs no client programs of the server's version, can be verified without a server, and can be restored into either database.
Both run while others write, and capture one consistent state.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.files.private import create_private_file
from yearling.files.sync import sync_file
from yearling.store.database.column_types import format_time, parse_time
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.migrate import migration_transaction, read_schema_version, upgrade
from yearling.store.database.schema import VERSION_TABLE, metadata
from yearling.store.database.search import rebuild_index

_BATCH_ROWS = 500


def take_snapshot(database: Database, path: Path) -> None:
    """Write the current state of a database to a new, private SQLite file; durable on return.

    Raises StorageFailed, Untrusted.
    """
    create_private_file(path)
    if database.path:
        with (
            translate_storage_errors(database.label, path.parent),
            closing(sqlite3.connect(database.path)) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)  # in one step: a copy in several steps restarts at every write
            target.execute("PRAGMA journal_mode=DELETE")
    else:
        copy = Database(f"sqlite:///{path}")
        try:
            with database.read() as source_connection:
                version = read_schema_version(source_connection)
                with migration_transaction(copy) as target_connection:
                    if version:
                        upgrade(target_connection, version)
                        _copy_rows(source_connection, target_connection)
        finally:
            copy.close()
    sync_file(path)


def load_snapshot(path: Path, database: Database) -> None:
    """Replace the contents of a Postgres database with a snapshot, in one transaction."""
    source = Database(f"sqlite:///{path}")
    try:
        with migration_transaction(database) as target_connection, source.read() as source_connection:
            _drop_tables(target_connection)
            version = read_schema_version(source_connection)
            if version:
                upgrade(target_connection, version)
                target_connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
                _copy_rows(source_connection, target_connection)
    finally:
        source.close()


def _copy_rows(source: Connection, target: Connection) -> None:
    """Copy the raw values of every table, in an order that satisfies foreign keys and the triggers of the two logs."""
    source_tables, target_tables = _reflect_tables(source), _reflect_tables(target)
    if set(source_tables.tables) != set(target_tables.tables):
        raise RuntimeError("two databases at the same schema version have different tables")
    for table in target_tables.sorted_tables:
        times = [column.name for column in table.columns if isinstance(column.type, sa.TIMESTAMP | sa.DateTime)]
        origin = source_tables.tables[table.name]
        query = sa.select(origin).order_by(*origin.primary_key.columns)
        for rows in source.execution_options(yield_per=_BATCH_ROWS).execute(query).partitions():
            target.execute(table.insert(), [_convert_times(dict(row._mapping), times) for row in rows])
    rebuild_index(target)


def _reflect_tables(connection: Connection) -> sa.MetaData:
    tables = sa.MetaData()
    names = [name for name in sa.inspect(connection).get_table_names() if name in metadata.tables]
    tables.reflect(connection, only=names)
    return tables


def _convert_times(row: dict[str, object], times: list[str]) -> dict[str, object]:
    """Convert times, which are text in SQLite and `timestamptz` in Postgres. All other values are the same."""
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = format_time(value)
        elif name in times and isinstance(value, str):
            row[name] = parse_time(value)
    return row


def _drop_tables(connection: Connection) -> None:
    for name in (*metadata.tables, VERSION_TABLE):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name} CASCADE")
    for name in ("audit_log_append_only", "audit_log_in_sequence", "events_append_only", "events_in_sequence"):
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
