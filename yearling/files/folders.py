"""Atomic folders: built under a temporary name, then renamed, so that no reader ever sees half a folder.

    with staging_directory(parent) as staging:
        ...                                     # write files into `staging`
        publish_directory(staging, target)

A process that is killed leaves the old state and at most a temporary folder. Callers remove such leftovers with
`remove_leftovers`: at once while they hold a lock that every writer takes, else when they are old.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from yearling.files.atomic import TEMPORARY_PREFIX
from yearling.files.private import PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE
from yearling.files.sync import make_directory, sync_directory, sync_file

OUTGOING_PREFIX = ".old-"
"""Prefix of folders that are being deleted."""


@contextmanager
def staging_directory(parent: Path, *, prefix: str = TEMPORARY_PREFIX) -> Iterator[Path]:
    """Yield a new, empty folder in `parent`, which is created if missing. It is deleted when the block ends unless published."""
    make_directory(parent)
    staging = _temporary_path(parent, prefix)
    staging.mkdir(PRIVATE_FOLDER_MODE)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish_directory(staging: Path, target: Path, *, if_exists: Literal["fail", "keep", "replace"] = "fail") -> bool:
    """Sync a flat folder of files and rename it to `target`, a sibling; durable on return. The files become private, unless
    they are linked from elsewhere too.

    When `target` is there already, `keep` leaves it and returns False, `replace` deletes it first, and `fail` raises OSError
    (EEXIST or ENOTEMPTY).
    """
    for path in staging.iterdir():
        if path.stat().st_nlink == 1:  # otherwise it is also a file of somebody else's choice
            path.chmod(PRIVATE_FILE_MODE)
        sync_file(path)
    sync_directory(staging)
    if if_exists == "replace" and target.exists():
        remove_directory(target)
    try:
        staging.rename(target)
    except OSError as error:
        if if_exists != "keep" or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    sync_directory(target.parent)
    return True


def remove_directory(directory: Path, *, prefix: str = OUTGOING_PREFIX) -> None:
    """Delete a folder. It is renamed first, so that a kill half-way leaves no damaged folder under its name."""
    outgoing = _temporary_path(directory.parent, prefix)
    directory.rename(outgoing)
    sync_directory(directory.parent)
    shutil.rmtree(outgoing)


def remove_leftovers(
    parent: Path, *, prefixes: tuple[str, ...] = (TEMPORARY_PREFIX, OUTGOING_PREFIX), older_than_s: float | None = None
) -> None:
    """Delete the temporary folders in `parent` that killed processes left.

    Without `older_than_s` the caller must hold the lock of the folder's writers; with it, younger folders are left alone because
    another process may be writing them.
    """
    for prefix in prefixes:
        for leftover in parent.glob(f"{prefix}*"):
            with suppress(FileNotFoundError):
                if older_than_s is None or time.time() - leftover.stat().st_mtime > older_than_s:
                    shutil.rmtree(leftover, ignore_errors=True)


def _temporary_path(parent: Path, prefix: str) -> Path:
    return parent / f"{prefix}{secrets.token_hex(16)}"
