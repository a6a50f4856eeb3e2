"""What is stored, in one sentence, without creating or changing anything."""

from __future__ import annotations

import sqlalchemy as sa

from yearling.config import Settings
from yearling.files.locks import LOCK
from yearling.store.database.database import Database
from yearling.store.database.errors import in_words
from yearling.store.database.migrate import current_version, refuse_newer
from yearling.store.database.schema import VERSION, conversations, people, samples
from yearling.store.database.sqlite_file import check_file, is_expected


def inspect(settings: Settings) -> str:
    """Say what is stored and where. Raises what `Store.open` would: Untrusted, Conflict, StorageFailed, Unavailable, BadInput."""
    database = Database(settings.resolved_database_url)
    try:
        if database.path:
            with in_words(database.place):
                known = (settings.data_dir / LOCK).exists()
                check_file(database.path, database.place, expected=known and is_expected(settings.data_dir, database))
                if not database.path.exists():
                    return "nothing is stored yet: the first start creates the database"
            database.quick_check()
        with database.read() as connection:
            version = current_version(connection)
            refuse_newer(version, lambda: None)
            if version != VERSION:
                return f"{database.name}, schema {version or 'none'}: the next start brings it to {VERSION}"
            counts = [
                f"{connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()} {table.name}"
                for table in (people, conversations, samples)
            ]
        return f"{database.name}, schema {VERSION}: {', '.join(counts)}"
    finally:
        database.close()
