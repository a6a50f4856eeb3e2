"""What is stored, in one sentence, and who else on this machine may read it. Creates and changes nothing."""

from __future__ import annotations

import sqlalchemy as sa

from yearling.config import Settings
from yearling.files.private import ExposedFiles, find_exposed
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.migrate import read_schema_version, require_known_schema
from yearling.store.database.schema import SCHEMA_VERSION, conversations, people, samples
from yearling.store.database.sqlite_file import STORE_LOCK_NAME, check_sqlite_file, is_database_recorded


def describe_store(settings: Settings) -> str:
    """Describe what is stored and where. Raises as `Store.open`: Untrusted, Conflict, StorageFailed, Unavailable, BadInput."""
    database = Database(settings.resolved_database_url)
    try:
        if database.path:
            with translate_storage_errors(database.label):
                has_lock_file = (settings.data_dir / STORE_LOCK_NAME).exists()
                check_sqlite_file(
                    database.path, database.label, expected=has_lock_file and is_database_recorded(settings.data_dir, database)
                )
                if not database.path.exists():
                    return "nothing is stored yet; the first start creates the database"
            database.quick_check()
        with database.read() as connection:
            version = read_schema_version(connection)
            require_known_schema(version, lambda: None)
            if version != SCHEMA_VERSION:
                return f"{database.name}, schema {version or 'none'}: the next start migrates it to {SCHEMA_VERSION}"
            counts = [
                f"{connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()} {table.name}"
                for table in (people, conversations, samples)
            ]
        return f"{database.name}, schema {SCHEMA_VERSION}: {', '.join(counts)}"
    finally:
        database.close()


def find_exposed_data(settings: Settings, *, recursive: bool = True) -> ExposedFiles:
    """Find what other users of this machine may read: in the data folder, and of a SQLite database that is elsewhere.

    Without `recursive`, only the data folder and what is directly in it are looked at. Raises BadInput for an unusable database
    URL.
    """
    path = Database(settings.resolved_database_url).path
    database_files = [] if path is None else [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))]
    elsewhere = [file for file in database_files if not file.is_relative_to(settings.data_dir)]
    return find_exposed(settings.data_dir, *elsewhere, recursive=recursive)
