"""Folders that appear at once and whole: written aside, synced and renamed, so that a half-built one is never seen.

Knows nothing of lessons.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from yearling.errors import StorageFailed

STAGING_PREFIX = ".new-"
"""Of folders that are being written, or were when the power failed."""

_STALE_AFTER_S = 3600.0


@contextmanager
def translate_disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full, read-only or failing disk into StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message, advice = f"The disk of {folder} is full.", "Free some space and build again: nothing half-built is left."
        else:
            message = f"{error.filename or folder} cannot be used: {error.strerror or error}."
            advice = "Check the folder and the disk it is on."
        raise StorageFailed(message, advice=advice) from error


@contextmanager
def atomic_folder(parent: Path) -> Iterator[tuple[Path, list[Path]]]:
    """A new folder to write to, and a list to which the block appends the path under `parent` that it is to take.

    When the block ends it takes its place, durably; if the block raises, or a folder is there already, nothing is left of it.
    """
    _make_durable_folder(parent)
    _remove_stale_staging(parent)
    aside, target = parent / f"{STAGING_PREFIX}{secrets.token_hex(8)}", list[Path]()
    try:
        aside.mkdir()
        yield aside, target
        sync_folder(aside)
        try:
            aside.rename(target[0])
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(parent)


def write_new_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a new file durably."""
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_durable_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_durable_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _remove_stale_staging(parent: Path) -> None:
    """Remove what a power cut left; what is fresh may be somebody else's, who is just writing it."""
    for left in parent.glob(f"{STAGING_PREFIX}*"):
        try:
            stale = time.time() - left.stat().st_mtime > _STALE_AFTER_S
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(left, ignore_errors=True)
