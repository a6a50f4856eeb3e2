"""The folder `release` of the data folder as backups contain it: signed metadata, pending changes, keys and stops.

The room `release/` writes it; here it is plain files and a lock. Every operation on releases holds the lock while it writes both
the audit log and the folder, so that a copy made under the lock belongs to the database of that moment. Stops are the exception:
they take no lock, and the room puts the folder and the log in line when it opens them.

Links are left out: they are what the library of signed metadata makes anew. So are lock files and temporary files.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from yearling.errors import BadInput, Conflict, Unavailable
from yearling.files.locks import LockHeldError, shared_lock_within
from yearling.files.reading import COPY_CHUNK_BYTES, open_regular_file
from yearling.files.sync import make_directory
from yearling.store.backup.snapshot import take_snapshot
from yearling.store.database.database import Database

RELEASE_FOLDER = "release"
RELEASE_KEYS = f"{RELEASE_FOLDER}/keys/"
"""What the names of private keys in a backup begin with."""

MAX_RELEASE_FILES = 20_000
MAX_RELEASE_FILE_BYTES = 32_000_000
MAX_RELEASE_BYTES = 2_000_000_000

_LOCK_NAME = "lock"
_FOLDERS = ("keys", "pending", "repository", "trusted")
_FILES = ("stop.json",)
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_MEMBER = re.compile(rf"{RELEASE_FOLDER}/(?:(?:{'|'.join(_FOLDERS)})(?:/{_NAME}){{1,8}}|{'|'.join(map(re.escape, _FILES))})")
_LOCK_TIMEOUT_S = 60.0
_MAX_UNLOCKED_TRIES = 3

_Fingerprints = dict[str, tuple[int, int, int]]


def find_release_fault(files: Mapping[str, tuple[int, str]]) -> str:
    """What is wrong with the release files among the members of a backup (size in bytes and SHA-256 by name); "" if nothing."""
    sizes = {name: size_bytes for name, (size_bytes, _) in files.items() if is_release_member(name)}
    for name in sizes:
        if not _MEMBER.fullmatch(name):
            return f"{name!r} is no name of a release file"
        if any(str(parent) in sizes for parent in PurePosixPath(name).parents):
            return f"{name!r} lies in a file"
        if not 0 <= sizes[name] <= MAX_RELEASE_FILE_BYTES:
            return f"{name} is larger than {MAX_RELEASE_FILE_BYTES} bytes"
    if len(sizes) > MAX_RELEASE_FILES:
        return f"there are more than {MAX_RELEASE_FILES} release files"
    if sum(sizes.values()) > MAX_RELEASE_BYTES:
        return f"the release files are larger than {MAX_RELEASE_BYTES} bytes together"
    return ""


def is_release_member(name: str) -> bool:
    """Whether a member of a backup belongs to the folder of releases."""
    return name.startswith(f"{RELEASE_FOLDER}/")


def take_snapshot_with_releases(database: Database, snapshot: Path, data_dir: Path, copy: Path, *, with_keys: bool) -> None:
    """Write the database to `snapshot` and the release files to the folder `copy`, both of the same moment.

    A large database takes long, and nobody can release anything meanwhile if the lock is held. So the lock is held for the copy
    only, which is made again, with the database, if the folder has changed since. After a few vain tries the lock is held
    throughout. Raises Conflict for a folder above the limits, BadInput for a strange file, Unavailable if the lock is not to be
    had, StorageFailed.
    """
    for _ in range(_MAX_UNLOCKED_TRIES):
        with _release_lock(data_dir):
            before = _copy_files(data_dir, copy, with_keys=with_keys)
        take_snapshot(database, snapshot)
        with _release_lock(data_dir):
            if _fingerprints(list_release_files(data_dir, with_keys=with_keys)) == before:
                return
        snapshot.unlink()
        shutil.rmtree(copy)
    with _release_lock(data_dir):
        _copy_files(data_dir, copy, with_keys=with_keys)
        take_snapshot(database, snapshot)


def list_release_files(data_dir: Path, *, with_keys: bool = True) -> dict[str, Path]:
    """The files of the folder by their names in a backup. Raises BadInput for a file that a backup cannot contain."""
    folder = data_dir / RELEASE_FOLDER
    found: dict[str, Path] = {}
    for part in (*_FOLDERS, *_FILES):
        for path in _walk(folder / part):
            name = path.relative_to(data_dir).as_posix()
            if not _MEMBER.fullmatch(name):
                raise BadInput(f"{path} does not belong there and cannot be backed up.", advice="Move it elsewhere.")
            if with_keys or not name.startswith(RELEASE_KEYS):
                found[name] = path
    return found


def _walk(path: Path) -> Iterator[Path]:
    """The regular files at and below a path, except links and what begins with a dot, which is temporary."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        yield path
    elif stat.S_ISDIR(mode):
        for name in sorted(os.listdir(path)):
            if not name.startswith("."):
                yield from _walk(path / name)


def _copy_files(data_dir: Path, target: Path, *, with_keys: bool) -> _Fingerprints:
    """Copy the files to a new folder. Returns how they were found, to see a change."""
    files = list_release_files(data_dir, with_keys=with_keys)
    found = _fingerprints(files)
    if fault := find_release_fault({name: (size_bytes, "") for name, (_, size_bytes, _) in found.items()}):
        raise Conflict(f"The folder {data_dir / RELEASE_FOLDER} cannot be backed up: {fault}.", advice="Remove what is too much.")
    make_directory(target)
    for name, path in files.items():
        copied = target / PurePosixPath(name).relative_to(RELEASE_FOLDER)
        make_directory(copied.parent)
        with open_regular_file(path) as source, copied.open("xb") as file:
            shutil.copyfileobj(source, file, COPY_CHUNK_BYTES)
    return found


def _fingerprints(files: Mapping[str, Path]) -> _Fingerprints:
    """Changes with every file: each is replaced by a new one when it changes."""
    states = {name: path.stat() for name, path in files.items()}
    return {name: (state.st_ino, state.st_size, state.st_mtime_ns) for name, state in states.items()}


@contextmanager
def _release_lock(data_dir: Path) -> Iterator[None]:
    folder = data_dir / RELEASE_FOLDER
    if not folder.is_dir():
        yield  # nothing was ever released here
        return
    try:
        with shared_lock_within(folder / _LOCK_NAME, timeout_s=_LOCK_TIMEOUT_S):
            yield
    except LockHeldError:
        raise Unavailable(
            f"Another process has held the releases for {_LOCK_TIMEOUT_S:.0f} seconds.", advice="Try again in a moment."
        ) from None
