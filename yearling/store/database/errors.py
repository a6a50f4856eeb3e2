"""Failures of a database or a file system, translated into errors that a person can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import exc

from yearling.errors import BadInput, StorageFailed, Unavailable, Untrusted, UserError
from yearling.files.disk import DiskAdvice, disk_full_error, free_bytes, translate_disk_errors

_NEARLY_FULL_BYTES = 256 * 1024
_ADVICE = DiskAdvice(
    full="Free some space: saving works again by itself, and what was saved before is safe.",
    not_writable="Make it writable, or choose another folder with YEARLING_DATA_DIR.",
)
_DAMAGED_ADVICE = "Restore the newest backup with `yearling restore FILE`. The damaged file is kept."


@contextmanager
def translate_storage_errors(label: str, directory: Path | None = None) -> Iterator[None]:
    """Raise a UserError for a storage failure of the block; constraint violations and bugs of ours pass unchanged.

    `label` names the storage in messages and begins with "The". `directory` is where the files are, if on this machine: SQLite
    reports a full disk by several codes, and the free space decides. Raises StorageFailed (full, read-only, locked, failing),
    Untrusted (damaged), Unavailable (no database server), BadInput (an unusable database URL).
    """
    try:
        with translate_disk_errors(label, advice=_ADVICE, all_errors=True):
            yield
    except (exc.IntegrityError, exc.ProgrammingError) as error:
        if _sqlstate(error).startswith(("42501", "25006")):
            raise _read_only_error(label) from error
        raise
    except exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            translated = _translate_sqlite_error(error.orig, label, directory)
        else:
            translated = _translate_postgres_error(error, label)
        if translated is None:
            raise
        raise translated from error
    except exc.TimeoutError as error:
        raise Unavailable(f"{label} has no free connection.", advice="Try again in a moment.") from error
    except sqlite3.Error as error:
        translated = _translate_sqlite_error(error, label, directory)
        if translated is None:
            raise
        raise translated from error


def damaged_error(label: str, reason: str) -> Untrusted:
    """The error for a damaged database. `label` begins a sentence."""
    return Untrusted(f"{label} is damaged: {reason}.", advice=_DAMAGED_ADVICE)


def _read_only_error(label: str) -> StorageFailed:
    return StorageFailed(f"{label} is read-only.", advice=_ADVICE.not_writable)


def _translate_sqlite_error(error: sqlite3.Error, label: str, directory: Path | None) -> UserError | None:
    name: str = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return disk_full_error(label, advice=_ADVICE)
    # The driver's own error for a text column whose bytes are no UTF-8; it has no code.
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or str(error).startswith("Could not decode to UTF-8"):
        return damaged_error(label, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return StorageFailed(
            f"{label} is locked by another program.",
            advice="Close the program that has it open, such as a database browser or a backup tool, and try again.",
        )
    if name == "SQLITE_READONLY_DBMOVED":
        return StorageFailed(f"{label} was moved or replaced while it was in use.", advice="Restart Yearling.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return _read_only_error(label)
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        if directory and directory.exists() and free_bytes(directory) < _NEARLY_FULL_BYTES:
            return disk_full_error(label, advice=_ADVICE)
        return StorageFailed(f"{label} cannot be read or written: {error}.", advice="Check the folder and the disk it is on.")
    return None


def _translate_postgres_error(error: exc.DBAPIError, label: str) -> UserError | None:
    state = _sqlstate(error)
    if state == "53100":
        return disk_full_error(label, advice=_ADVICE)
    if state == "25006":
        return _read_only_error(label)
    if state in ("55P03", "40P01", "40001"):
        return StorageFailed(f"{label} is locked by another program.", advice="Try again; if it persists, see pg_locks.")
    if state.startswith("XX"):
        return damaged_error(label, str(error.orig).strip())
    if state.startswith("58"):
        return StorageFailed(f"{label} cannot be read or written: {error.orig}.", advice="See the database server's log.")
    if state.startswith(("28", "3D")):
        return BadInput(
            f"{label} cannot be opened: {error.orig}.", advice="Correct the setting database_url.", param="database_url"
        )
    if isinstance(error, exc.OperationalError | exc.InterfaceError):
        reason = str(error.orig).strip().splitlines()[0].rstrip(".") if str(error.orig).strip() else "no reason given"
        return Unavailable(f"{label} cannot be reached: {reason}.", advice="Start the database server, or correct database_url.")
    return None


def _sqlstate(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
