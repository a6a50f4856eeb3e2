"""Disks that are full, read-only or failing: what the operating system reports becomes an error that a person can act on.

The caller says what was being written and gives the advice for each cause; this module knows the causes.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from yearling.errors import StorageFailed
from yearling.files.atomic import TEMPORARY_PREFIX

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM)
_NOT_WRITABLE = (errno.ENOTDIR, errno.EEXIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskAdvice:
    """What the user should do, by cause. The defaults suit files in the data folder."""

    full: str = "Free some space, or choose another folder with YEARLING_DATA_DIR, then run the command again."
    not_writable: str = "Make it a folder that this user may write to, or choose another with YEARLING_DATA_DIR."
    failing: str = "Check the folder and the disk it is on."


DEFAULT_ADVICE = DiskAdvice()


@contextmanager
def translate_disk_errors(
    target: Path | str, needed_bytes: int | None = None, *, advice: DiskAdvice = DEFAULT_ADVICE, all_errors: bool = False
) -> Iterator[None]:
    """Raise StorageFailed for an OSError of the block.

    `target` is a folder or file, or a name for it that begins with "The". Only a full, read-only or failing disk is translated,
    since any other OSError is probably our bug; with `all_errors` every OSError is. `needed_bytes` goes into the message of a
    full disk.
    """
    try:
        yield
    except OSError as error:
        translated = _translate(error, target, needed_bytes, advice, all_errors)
        if translated is None:
            raise
        raise translated from error


def disk_full_error(target: Path | str, needed_bytes: int | None = None, *, advice: DiskAdvice = DEFAULT_ADVICE) -> StorageFailed:
    """The error for a full disk. It says how much is needed and free, as far as that is known."""
    amounts = [f"{format_bytes(needed_bytes)} are needed"] if needed_bytes else []
    if isinstance(target, Path):
        with suppress(OSError):  # the folder may not exist yet
            amounts.append(f"{format_bytes(free_bytes(target))} are free")
    detail = f": {', '.join(amounts)}" if amounts else ""
    return StorageFailed(f"The disk of {_inside_sentence(target)} is full{detail}.", advice=advice.full)


def free_bytes(path: Path) -> int:
    """Free space of the file system of an existing path. Raises OSError."""
    return shutil.disk_usage(path).free


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest of the folders above it that exists."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


def require_space(directory: Path, needed_bytes: int) -> None:
    """Raise StorageFailed if the file system of `directory`, which must exist, has less than `needed_bytes` free."""
    if free_bytes(directory) < needed_bytes:
        raise disk_full_error(directory, needed_bytes)


def format_bytes(num_bytes: int) -> str:
    """A size for people: `98.4 MB`, `1.25 GB`."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.2f} GB"


def _translate(
    error: OSError, target: Path | str, needed_bytes: int | None, advice: DiskAdvice, all_errors: bool
) -> StorageFailed | None:
    reason, path = error.strerror or str(error), _failed_path(error, target)
    if error.errno in _FULL:
        return disk_full_error(target, needed_bytes, advice=advice)
    if error.errno in _DENIED:
        return StorageFailed(f"{path} cannot be accessed: {reason}.", advice=advice.not_writable)
    if error.errno == errno.EROFS:
        return StorageFailed(f"{path} cannot be written: its file system is read-only.", advice=advice.not_writable)
    if error.errno in _NOT_WRITABLE:
        return StorageFailed(f"{path} cannot be written: {reason}.", advice=advice.not_writable)
    if error.errno == errno.EIO:
        return StorageFailed(f"The disk of {_inside_sentence(target)} fails: {reason}.", advice=advice.failing)
    if all_errors:
        return StorageFailed(f"{path} cannot be used: {reason}.", advice=advice.failing)
    return None


def _failed_path(error: OSError, target: Path | str) -> str:
    """The path that the system names, unless it is a temporary one, which means nothing to the user."""
    path = str(error.filename or target)
    return str(target) if Path(path).name.startswith(TEMPORARY_PREFIX) else path


def _inside_sentence(target: Path | str) -> str:
    text = str(target)
    return f"the{text[3:]}" if text.startswith("The ") else text
