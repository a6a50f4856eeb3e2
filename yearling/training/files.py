"""Files of a run that appear at once and whole, and failures of the disk in words that a person can act on."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yearling.errors import StorageFailed


@contextmanager
def translate_storage_errors(folder: Path) -> Iterator[None]:
    """Turns a full, read-only or failing disk into StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFailed(
                f"The disk of {folder} is full: training stopped, and its last checkpoint is safe.",
                advice=f"Free some space, then run `yearling train resume {folder.name}`.",
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
            raise StorageFailed(
                f"{error.filename or folder} cannot be written: {error.strerror}.",
                advice=f"Check the folder and its disk, then run `yearling train resume {folder.name}`.",
            ) from error
        raise


def atomic_write(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a kill, and if `durable` a power cut too, leaves the old content or the new one."""
    part = path.with_name(f".new-{secrets.token_hex(6)}-{path.name}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_path(path.parent)


def atomic_write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    atomic_write(path, (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode(), durable=durable)


def sync_path(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
