"""Verifies files immediately before an engine loads them, each time.

A check takes the state of every file (inode, size, times), hashes its content and asks `may_load`. The caller loads the files,
and then requires that their state is still the same: what was hashed is then what was loaded. Knows nothing of releases:
`may_load` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yearling.errors import Untrusted
from yearling.files.reading import hash_file

MayLoad = Callable[[Path, str], None]
"""Called with a file and the SHA-256 of its content. Raises Untrusted if the file must not be loaded."""

MAX_FILES = 10_000

_FileState = tuple[int, int, int, int]
"""(inode, size in bytes, modification time, change time), times in nanoseconds."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file with the hash and the state that it had when it was checked."""

    path: Path
    sha256: str
    state: _FileState


class FileCheck:
    """Checks files for one pool. Use from one event loop; hashing runs in threads."""

    def __init__(self, may_load: MayLoad) -> None:
        self._may_load = may_load
        self._refused: dict[tuple[Path, ...], tuple[list[_FileState], Untrusted]] = {}
        """Refusals, which are repeated without hashing while the files stay as they are: requests may come many a second."""

    async def check(self, files: Sequence[Path]) -> tuple[CheckedFile, ...]:
        """Hash every file, and ask whether it may be loaded. Raises what `may_load` raises, Untrusted if a file is missing."""
        return await asyncio.to_thread(self._check, tuple(files))

    async def require_unchanged(self, checked: Sequence[CheckedFile]) -> None:
        """Raises Untrusted if a file was changed since it was checked."""
        await asyncio.to_thread(self._require_unchanged, checked)

    async def recheck(self, loaded: Sequence[tuple[Path, str]]) -> None:
        """Ask again whether files that are loaded may be, by the SHA-256 that they had then. Raises what `may_load` raises."""
        await asyncio.to_thread(lambda: [self._may_load(path, sha256) for path, sha256 in loaded])

    def forget_refusals(self) -> None:
        """Check every file anew from now on, because other files may be loaded than before."""
        self._refused.clear()

    def _check(self, files: tuple[Path, ...]) -> tuple[CheckedFile, ...]:
        states = [_file_state(path) for path in files]
        refused_states, refusal = self._refused.get(files, ([], None))
        if refusal is not None and refused_states == states:
            raise Untrusted(refusal.message, advice=refusal.advice, param=refusal.param)
        checked = []
        for path, state in zip(files, states, strict=True):
            sha256 = hash_file(path)
            try:
                self._may_load(path, sha256)
            except Untrusted as error:
                self._refused[files] = (states, error)
                raise
            checked.append(CheckedFile(path, sha256, state))
        self._require_unchanged(checked)
        return tuple(checked)

    def _require_unchanged(self, checked: Sequence[CheckedFile]) -> None:
        for file in checked:
            if _file_state(file.path) != file.state:
                raise Untrusted(f"{file.path} was changed while it was being loaded.", advice="Try again when nothing writes it.")


def list_model_files(folder: Path) -> list[Path]:
    """Every file in the folder of a model, sorted. Everything there can change what the model answers, the manifest included.

    Raises Untrusted for a folder with more than `MAX_FILES`.
    """
    files = []
    for path in folder.rglob("*"):
        if path.is_file():
            files.append(path)
        if len(files) > MAX_FILES:
            raise Untrusted(f"{folder} has more than {MAX_FILES} files.", advice="Remove the model and pull it again.")
    return sorted(files)


def _file_state(path: Path) -> _FileState:
    try:
        found = path.stat()
    except OSError as error:
        advice = "Restore the file, or pull or import the model again."
        raise Untrusted(f"{path} cannot be read: {error.strerror}.", advice=advice) from None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
