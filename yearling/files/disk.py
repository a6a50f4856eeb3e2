"""Writing to disks that fill up, fail or lose power: durable files, free space, and errors in words.

Knows nothing of models or of networks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from yearling.errors import StorageFailed

COPY_CHUNK_BYTES = 1 << 20


class Progress(Protocol):
    """Hears how far a long step is: `phase` in words, `done` of `total` bytes (`total` is None while unknown)."""

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...


def ignore_progress(phase: str, done: int, total: int | None) -> None:
    """The progress listener of those who do not listen."""


@contextmanager
def translate_disk_errors(folder: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Turns a full or read-only disk into StorageFailed, with how much is needed where that is known."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full_error(folder, needed_bytes) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageFailed(
                f"{error.filename or folder} cannot be written: {error.strerror}.",
                advice="Make it a folder that this user may write to, or choose another with YEARLING_DATA_DIR.",
            ) from error
        if error.errno == errno.EIO:
            raise StorageFailed(f"The disk of {folder} fails: {error.strerror}.", advice="Check the disk.") from error
        raise


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raises StorageFailed when the file system of `folder` (which exists) has less than `needed_bytes` free."""
    if shutil.disk_usage(folder).free < needed_bytes:
        raise disk_full_error(folder, needed_bytes)


def disk_full_error(folder: Path, needed_bytes: int | None) -> StorageFailed:
    need = f"{format_bytes(needed_bytes)} are needed, " if needed_bytes else ""
    free = format_bytes(shutil.disk_usage(folder).free)
    return StorageFailed(
        f"The disk of {folder} is full: {need}{free} are free.",
        advice="Free some space, or choose another folder with YEARLING_DATA_DIR, then run the command again.",
    )


def format_bytes(num_bytes: int) -> str:
    """A size in words: `98.4 MB`."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.2f} GB"


def sync_file(path: Path) -> None:
    """Has the operating system write the file, or the entries of the folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_file(part: Path, destination: Path) -> None:
    """Renames a complete file into place, durably: after a power cut there is the whole file or none."""
    sync_file(part)
    os.replace(part, destination)
    sync_file(destination.parent)


def hash_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
