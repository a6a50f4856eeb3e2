"""Hashing files, opening files that users name, and making directories durably."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from yearling.errors import BadInput, NotFound
from yearling.files.reading import hash_file, open_regular_file
from yearling.files.sync import make_directory, sync_directory


def test_hash_of_a_file(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_opens_regular_files_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular_file(tmp_path / "file") as file:
        assert file.read() == b"content"
    with pytest.raises(NotFound):
        open_regular_file(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path):
        with pytest.raises(BadInput, match="not a regular file"):
            open_regular_file(path)


def test_makes_missing_parents_and_syncs_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("yearling.files.sync.sync_directory", synced.append)
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]


def test_sync_directory_refuses_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")
