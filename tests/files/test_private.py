"""Private files: from the moment that they exist, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from yearling.files.atomic import atomic_path, atomic_write, atomic_write_json, atomic_write_text, publish_file
from yearling.files.folders import publish_directory, staging_directory
from yearling.files.locks import exclusive_lock
from yearling.files.private import create_private_file, find_exposed
from yearling.files.sync import make_directory


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of most systems, under which files are readable by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_everything_that_is_written_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_directory(folder)
    assert {mode(folder), mode(folder.parent)} == {0o700}
    atomic_write_json(folder / "json", {})
    with atomic_write(folder / "stream") as file:
        assert {mode(path) for path in folder.iterdir()} == {0o600}  # not yet renamed
        file.write(b"x")
    with atomic_path(folder / "by a library") as temporary:
        temporary.write_text("x")
    (folder / ".part").write_text("x")
    publish_file(folder / ".part", folder / "published")
    with exclusive_lock(folder / "lock"):
        pass
    create_private_file(folder / "log")
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert find_exposed(folder).count == 0


def test_published_folder_and_its_files_are_private(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("a file that is not in the folder")
    with staging_directory(tmp_path / "models") as staging:
        (staging / "weights").write_text("x")
        (staging / "linked").hardlink_to(own)
        assert mode(staging) == 0o700
        publish_directory(staging, tmp_path / "models" / "model")
    assert mode(tmp_path / "models" / "model" / "weights") == 0o600
    assert mode(own) == 0o644  # somebody else's choice
    assert find_exposed(tmp_path / "models").count == 0


def test_file_for_everybody_follows_the_umask(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "file", "x", mode=0o666)
    assert mode(tmp_path / "file") == 0o644


def test_exposed_files_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    make_directory(folder / "runs" / "one")
    for path, bits in ((folder / "a", 0o640), (folder / "b", 0o600), (folder / "runs" / "one" / "c", 0o604)):
        path.write_text("x")
        path.chmod(bits)
    (folder / "link").symlink_to(folder / "a")
    found = find_exposed(folder)
    assert (found.count, found.examples) == (2, [folder / "a", folder / "runs" / "one" / "c"])
    assert find_exposed(folder, recursive=False).examples == [folder / "a"]
    folder.chmod(0o750)
    assert find_exposed(folder).examples[0] == folder
    assert "chmod -R go-rwx" in found.advice(folder)
    assert find_exposed(tmp_path / "missing").count == 0
