"""Checks of a SQLite file before it is opened: that it exists, is a database, and is complete.

SQLite treats an empty file as a new database and notices a missing tail only when it reads there. Both would look like an empty
store.
"""

from __future__ import annotations

import struct
import threading
from collections import Counter
from pathlib import Path

from yearling.errors import Untrusted
from yearling.store.database.database import Database
from yearling.store.database.errors import damaged_error

STORE_LOCK_NAME = "store.lock"
"""A file in the data folder. Every open store holds its lock together with others, and a restore holds it alone.

Its content notes which database the folder has, see `record_database`.
"""

_open_files: Counter[Path] = Counter()
"""How many stores of this process have a file open."""
_open_files_lock = threading.Lock()

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100


def note_opened(path: Path) -> bool:
    """Note that this process opens a database. Returns whether it has it open already.

    Then nothing but SQLite may open the file: when any descriptor of a file is closed, POSIX drops all locks of the process on
    it. Other processes would take the database for unused, and delete the log that this process goes on writing to.
    """
    with _open_files_lock:
        _open_files[path.absolute()] += 1
        return _open_files[path.absolute()] > 1


def note_closed(path: Path) -> None:
    """Note that a store of this process has closed the database."""
    with _open_files_lock:
        _open_files[path.absolute()] -= 1


def check_sqlite_file(path: Path, label: str, *, expected: bool) -> None:
    """Raise Untrusted if the file is no SQLite database, is truncated, or is missing although one is `expected`."""
    size_bytes = path.stat().st_size if path.exists() else 0
    if size_bytes == 0 or _is_nonempty(path.with_name(path.name + "-wal")):
        # The write-ahead log may hold what the file lacks; SQLite checks and applies it.
        if size_bytes == 0 and expected:
            raise Untrusted(
                f"{label} is missing or empty, but this folder had a database.",
                advice=f"Restore a backup with `yearling restore FILE`. To start empty, delete {STORE_LOCK_NAME} there.",
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
    """Note in the data folder that it has a database, so that a later start notices if it is missing."""
    note = _database_marker(folder, database)
    # Written in place: replacing the file would break the locks on it.
    if (folder / STORE_LOCK_NAME).read_text(encoding="utf-8") != note:
        (folder / STORE_LOCK_NAME).write_text(note, encoding="utf-8")


def is_database_recorded(folder: Path, database: Database) -> bool:
    """Whether the data folder has a note of this database."""
    return (folder / STORE_LOCK_NAME).read_text(encoding="utf-8") == _database_marker(folder, database)


def _database_marker(folder: Path, database: Database) -> str:
    if database.path is None:
        return ""
    inside = database.path.parent == folder  # the folder can then be moved
    return f"holds {database.path.name if inside else database.path}\n"


def _is_nonempty(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
