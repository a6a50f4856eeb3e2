"""Replace the folder `release` together with the database, although they cannot be renamed in one step.

    .restored/expected.json   what the logs of the restored database contain
    .restored/release/        the folder to put in place; missing if the backup has none

The restored database is the commit point. `stage_release_swap` prepares the folder before it, and `settle_release_swap` follows:
it looks whether the database in use is the restored one, and puts the folder in place or drops it. After a kill at any point, the
next process that opens the data folder does the same. A database counts as the restored one if its schema and the heads of its
two logs are the same. Should the replaced one share them, then the audit log knows the same releases, and either folder fits.

The caller holds the lock of the data folder alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from yearling.config import Settings
from yearling.errors import Untrusted, malformed_as_untrusted
from yearling.files.atomic import atomic_write_json
from yearling.files.folders import remove_directory
from yearling.files.sync import make_directory, sync_directory
from yearling.store.backup.archive import describe_database
from yearling.store.backup.release_files import RELEASE_FOLDER
from yearling.store.database.database import Database

SWAP_FOLDER = ".restored"
STAGING_PREFIX = ".restoring-"
"""Prefix of temporary folders of a restore, which the next restore deletes."""

_EXPECTED = "expected.json"


def is_swap_pending(data_dir: Path) -> bool:
    """Whether a restore was interrupted between the database and the folder."""
    return (data_dir / SWAP_FOLDER).is_dir()


def stage_release_swap(staged: Path, snapshot: Path, data_dir: Path) -> None:
    """Prepare to replace the folder by `staged/release`, or by nothing if there is none, once `snapshot` is the database."""
    prepared = staged / "swap"
    make_directory(prepared)
    database = Database(f"sqlite:///{snapshot}")
    try:
        expected = asdict(describe_database(database))
    finally:
        database.close()
    if (staged / RELEASE_FOLDER).is_dir():
        (staged / RELEASE_FOLDER).rename(prepared / RELEASE_FOLDER)
    atomic_write_json(prepared / _EXPECTED, expected | {"has_folder": (prepared / RELEASE_FOLDER).is_dir()})
    prepared.rename(data_dir / SWAP_FOLDER)
    sync_directory(data_dir)


def settle_release_swap(settings: Settings) -> bool:
    """Put the prepared folder in place if the database is the restored one, else drop it. Returns which of the two.

    Every step may be repeated. Raises Unavailable if the database server does not answer, StorageFailed.
    """
    data_dir = settings.data_dir
    prepared = data_dir / SWAP_FOLDER
    with malformed_as_untrusted(f"The note of an interrupted restore in {prepared}"):
        expected: dict[str, object] = json.loads((prepared / _EXPECTED).read_text(encoding="utf-8"))
        has_folder = bool(expected.pop("has_folder"))
    is_restored = _describe(settings.resolved_database_url) == expected
    if is_restored:
        new, current, replaced = prepared / RELEASE_FOLDER, data_dir / RELEASE_FOLDER, prepared / "replaced"
        if current.is_dir() and (new.is_dir() or not has_folder):
            shutil.rmtree(replaced, ignore_errors=True)
            current.rename(replaced)
        if new.is_dir():
            new.rename(current)
        sync_directory(data_dir)
    remove_directory(prepared, prefix=STAGING_PREFIX)
    return is_restored


def _describe(database_url: str) -> dict[str, object] | None:
    """What the logs of a database contain; None if there is no database, or a damaged one, which is never the restored one."""
    database = Database(database_url)  # with connections of its own: open ones would go on reading a file that was replaced
    if database.path and not database.path.exists():
        return None
    try:
        return asdict(describe_database(database))
    except Untrusted:
        return None
    finally:
        database.close()
