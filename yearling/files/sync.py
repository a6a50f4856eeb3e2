"""Durability: files and directory entries that survive a power cut.

`fsync` on a file makes its content durable; `fsync` on a directory makes the names in it durable. A new file needs both.
"""

from __future__ import annotations

import os
from pathlib import Path

from yearling.files.private import PRIVATE_FOLDER_MODE


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    _sync(path, os.O_RDONLY)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    _sync(directory, os.O_RDONLY | os.O_DIRECTORY)


def make_directory(directory: Path) -> None:
    """Create a private directory and its missing parents; durable on return. An existing directory is left as it is."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(PRIVATE_FOLDER_MODE, exist_ok=True)
    sync_directory(directory.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
