"""A look at a SQLite file before it is opened: is it one, is it whole, is it still there?

SQLite itself takes an empty file for a new database and meets a missing tail only when it reads there; both would pass for an
empty store.
"""

from __future__ import annotations

import struct
from pathlib import Path

from yearling.errors import Untrusted
from yearling.store.database.database import Database
from yearling.store.database.errors import damaged_error

STORE_LOCK_NAME = "store.lock"
"""A file in the data folder. Every open store holds its lock together with others, and a restore holds it alone.

Its content notes which database the folder has, see `record_database`.
"""

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100


def check_sqlite_file(path: Path, label: str, *, expected: bool) -> None:
    """Raises Untrusted when the file is no SQLite database, or lost its end, or is gone although one is `expected`."""
    size_bytes = path.stat().st_size if path.exists() else 0
    if size_bytes == 0 or _is_nonempty(path.with_name(path.name + "-wal")):
        # A log holds what the file lacks; SQLite checks and applies it.
        if size_bytes == 0 and expected:
            raise Untrusted(
                f"{label} is gone, or empty, but this folder held one.",
                advice="Restore a backup with `yearling restore FILE`. To start anew, delete store.lock in the data folder.",
            )
        return
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise damaged_error(label, "it is not a SQLite database")
    (page_bytes,) = struct.unpack_from(">H", header, 16)
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    change_counter, num_pages = struct.unpack_from(">II", header, 24)
    (valid_for,) = struct.unpack_from(">I", header, 92)
    # The page count is meaningful only if the program that wrote last maintained it (file format, section 1.3.7).
    if change_counter == valid_for and size_bytes < num_pages * page_bytes:
        raise damaged_error(label, f"it has {size_bytes} bytes of {num_pages * page_bytes}")


def record_database(folder: Path, database: Database) -> None:
    """Remember that the data folder has a database, so that a later start misses it."""
    note = _database_marker(folder, database)
    if (folder / STORE_LOCK_NAME).read_text(encoding="utf-8") != note:
        (folder / STORE_LOCK_NAME).write_text(note, encoding="utf-8")  # in place: replacing the file would break the locks on it


def is_database_recorded(folder: Path, database: Database) -> bool:
    """Whether the data folder remembers this database."""
    return (folder / STORE_LOCK_NAME).read_text(encoding="utf-8") == _database_marker(folder, database)


def _database_marker(folder: Path, database: Database) -> str:
    if database.path is None:
        return ""
    inside = database.path.parent == folder  # then the folder may be moved as a whole
    return f"holds {database.path.name if inside else database.path}\n"


def _is_nonempty(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
