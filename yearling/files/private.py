"""Files and folders that only their owner may read, which is what everything in the data folder is.

The modes are given when files are made, so that there is no moment at which others can open them. `find_exposed` finds what other
programs or older versions made.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PRIVATE_FILE_MODE = 0o600
PRIVATE_FOLDER_MODE = 0o700
PRIVATE_UMASK = 0o077
"""The umask of the command line: libraries that write files know nothing of these modes."""

MAX_ENTRIES_CHECKED = 200_000
_MAX_EXAMPLES = 3


@dataclass(slots=True)
class ExposedFiles:
    """What people other than the owner may read or change: how many files and folders, and the first of them."""

    count: int = 0
    examples: list[Path] = field(default_factory=list)

    def advice(self, folder: Path) -> str:
        """What to do about it."""
        return f"Run `chmod -R go-rwx '{folder}'`."


def create_private_file(path: Path) -> None:
    """Create an empty file for a library that opens it by its path. An existing file stays as it is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE))


def find_exposed(*paths: Path, recursive: bool = True) -> ExposedFiles:
    """Look at files and folders, and at what is in the folders, up to `MAX_ENTRIES_CHECKED`. Links are not followed.

    Without `recursive`, only at the direct contents of the folders. What cannot be looked at counts as not exposed, and so does a
    file that is linked from elsewhere, such as an imported model: its mode is its owner's choice.
    """
    found, num_checked = ExposedFiles(), 0
    waiting = [(path, True) for path in paths]
    while waiting and num_checked < MAX_ENTRIES_CHECKED:
        path, is_opened = waiting.pop()
        num_checked += 1
        with suppress(OSError):
            status = path.lstat()
            is_folder = stat.S_ISDIR(status.st_mode)
            is_own = is_folder or (status.st_nlink == 1 and not stat.S_ISLNK(status.st_mode))
            if is_own and status.st_mode & PRIVATE_UMASK:
                found.count += 1
                if len(found.examples) < _MAX_EXAMPLES:
                    found.examples.append(path)
            if is_folder and is_opened:
                waiting += _contents(path, is_opened=recursive)
    return found


def _contents(folder: Path, *, is_opened: bool) -> Iterable[tuple[Path, bool]]:
    return ((Path(entry.path), is_opened) for entry in sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True))
