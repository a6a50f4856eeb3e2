"""Atomic file writes: a reader sees the old file or the new one, never a part of either.

Every function writes a temporary file next to the target and renames it into place. A process that is killed leaves the old file
and at most a temporary one, whose name begins with `TEMPORARY_PREFIX`. With `durable=True` the same holds after a power cut: the
content is synced before the rename and the directory after it. New files are private.

Errors of the disk pass through as OSError; `yearling.files.disk` turns them into errors for people.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from yearling.files.private import PRIVATE_FILE_MODE
from yearling.files.sync import sync_directory, sync_file

TEMPORARY_PREFIX = ".new-"
"""Prefix of files and folders that are being written, or that a killed process left behind."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """Size and hexadecimal SHA-256 of what was written."""

    size_bytes: int
    sha256: str


@contextmanager
def atomic_path(path: Path, *, durable: bool = True, is_private: bool = True) -> Iterator[Path]:
    """Yield a temporary path for libraries that write to a path; rename it to `path` when the block ends.

    What a library writes can be read by others until the block ends, unless the folder is private or the umask forbids it.

    If the block raises, the temporary file is deleted and `path` stays as it was.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        yield temporary
        if is_private:
            temporary.chmod(PRIVATE_FILE_MODE)
        if durable:
            sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


@contextmanager
def atomic_write(path: Path, *, durable: bool = True, mode: int = PRIVATE_FILE_MODE) -> Iterator[BufferedWriter]:
    """Yield a binary file to write to, which takes the place of `path` when the block ends. Errors as in `atomic_path`.

    `mode` is the file's mode before the umask: 0o666 for what everybody may read.
    """
    with atomic_path(path, durable=durable, is_private=False) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file


def atomic_write_bytes(path: Path, content: bytes, *, durable: bool = True, mode: int = PRIVATE_FILE_MODE) -> None:
    """Replace the content of a file. `mode` as in `atomic_write`."""
    with atomic_write(path, durable=durable, mode=mode) as file:
        file.write(content)


def atomic_write_text(path: Path, text: str, *, durable: bool = True, mode: int = PRIVATE_FILE_MODE) -> None:
    """Replace the content of a file by text in UTF-8. Line ends stay as they are. `mode` as in `atomic_write`."""
    atomic_write_bytes(path, text.encode(), durable=durable, mode=mode)


def atomic_write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Replace the content of a file by indented JSON with sorted keys and a final newline."""
    atomic_write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n", durable=durable)


def atomic_write_chunks(
    path: Path, chunks: Iterable[bytes], *, durable: bool = True, mode: int = PRIVATE_FILE_MODE
) -> WrittenFile:
    """Replace the content of a file by the chunks, which are hashed as they are written. `mode` as in `atomic_write`."""
    hasher, size_bytes = hashlib.sha256(), 0
    with atomic_write(path, durable=durable, mode=mode) as file:
        for chunk in chunks:
            hasher.update(chunk)
            size_bytes += file.write(chunk)
    return WrittenFile(size_bytes=size_bytes, sha256=hasher.hexdigest())


def publish_file(temporary: Path, path: Path) -> None:
    """Rename a complete file to `path`, durably. For files that took long to make, such as downloads, and have their own name."""
    temporary.chmod(PRIVATE_FILE_MODE)
    sync_file(temporary)
    temporary.replace(path)
    sync_directory(path.parent)
