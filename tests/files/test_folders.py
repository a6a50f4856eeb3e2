"""Atomic folders: whatever step fails, the target is absent, as it was, or complete."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from yearling.files.folders import publish_directory, remove_directory, remove_leftovers, staging_directory

FailCall = Callable[..., None]


def build(staging: Path, content: bytes = b"new") -> None:
    (staging / "one").write_bytes(content)
    (staging / "two").write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


NEW = {"one": b"new", "two": b"new"}


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    """A published folder with old content."""
    target = tmp_path / "parent" / "target"
    target.mkdir(parents=True)
    (target / "one").write_bytes(b"old")
    return target


def test_published_folder_is_complete_and_alone(tmp_path: Path) -> None:
    parent = tmp_path / "made" / "on demand"
    with staging_directory(parent) as staging:
        build(staging)
        assert not (parent / "target").exists()
        assert publish_directory(staging, parent / "target")
    assert os.listdir(parent) == ["target"]
    assert contents(parent / "target") == NEW


def test_unpublished_folder_is_deleted(tmp_path: Path) -> None:
    with staging_directory(tmp_path) as staging:
        build(staging)
    assert os.listdir(tmp_path) == []


def test_exception_in_block_deletes_staging(tmp_path: Path) -> None:
    def interrupt(staging: Path) -> None:
        build(staging)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), staging_directory(tmp_path) as staging:
        interrupt(staging)
    assert os.listdir(tmp_path) == []


def test_keep_leaves_the_existing_folder(existing: Path) -> None:
    with staging_directory(existing.parent) as staging:
        build(staging)
        assert not publish_directory(staging, existing, if_exists="keep")
    assert contents(existing) == {"one": b"old"}
    assert os.listdir(existing.parent) == ["target"]


def test_replace_puts_the_new_folder_in_its_place(existing: Path) -> None:
    with staging_directory(existing.parent) as staging:
        build(staging)
        assert publish_directory(staging, existing, if_exists="replace")
    assert contents(existing) == NEW
    assert os.listdir(existing.parent) == ["target"]


def test_fail_raises_and_leaves_the_existing_folder(existing: Path) -> None:
    with staging_directory(existing.parent) as staging:
        build(staging)
        with pytest.raises(OSError, match="not empty"):
            publish_directory(staging, existing)
    assert contents(existing) == {"one": b"old"}


@pytest.mark.parametrize("on_call", [1, 2, 3])
def test_failure_to_sync_keeps_the_existing_folder(existing: Path, fail_call: FailCall, on_call: int) -> None:
    with staging_directory(existing.parent) as staging:
        build(staging)
        fail_call(os, "fsync", on_call=on_call)  # two files, then the folder
        with pytest.raises(OSError, match="No space left"):
            publish_directory(staging, existing, if_exists="replace")
    assert contents(existing) == {"one": b"old"}
    assert os.listdir(existing.parent) == ["target"]


def test_failure_to_rename_publishes_nothing(tmp_path: Path, fail_call: FailCall) -> None:
    with staging_directory(tmp_path) as staging:
        build(staging)
        fail_call(Path, "rename")
        with pytest.raises(OSError, match="No space left"):
            publish_directory(staging, tmp_path / "target", if_exists="keep")
    assert os.listdir(tmp_path) == []


def test_kill_while_deleting_leaves_no_folder_under_the_name(existing: Path, fail_call: FailCall) -> None:
    fail_call(shutil, "rmtree")
    with pytest.raises(OSError, match="No space left"):
        remove_directory(existing)
    (leftover,) = existing.parent.iterdir()
    assert leftover.name.startswith(".old-")
    remove_leftovers(existing.parent)
    assert os.listdir(existing.parent) == []


def test_removal_uses_the_prefix_of_the_caller(existing: Path, fail_call: FailCall) -> None:
    fail_call(shutil, "rmtree")
    with pytest.raises(OSError, match="No space left"):
        remove_directory(existing, prefix=".outgoing-name-")
    (leftover,) = existing.parent.iterdir()
    assert leftover.name.startswith(".outgoing-name-")


def test_removes_only_old_leftovers(tmp_path: Path) -> None:
    for name in (".new-fresh", ".new-stale", ".old-stale", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"")
    an_hour_ago = time.time() - 3600.0
    for name in (".new-stale", ".old-stale", "target"):
        os.utime(tmp_path / name, (an_hour_ago, an_hour_ago))
    remove_leftovers(tmp_path, older_than_s=1800.0)
    assert sorted(os.listdir(tmp_path)) == [".new-fresh", "target"]
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["target"]
