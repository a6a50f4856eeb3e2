"""Atomic writes: whatever step fails, the file has its old content or its new one, and nothing else is left."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BufferedWriter
from pathlib import Path

import pytest

from yearling.errors import StorageFailed
from yearling.files.atomic import (
    TEMPORARY_PREFIX,
    atomic_path,
    atomic_write,
    atomic_write_bytes,
    atomic_write_chunks,
    atomic_write_json,
    atomic_write_text,
    publish_file,
)
from yearling.files.disk import translate_disk_errors

FailCall = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with old content, alone in its folder."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file"
    path.write_bytes(b"old")
    return path


def test_replaces_content_and_leaves_no_temporary_file(path: Path) -> None:
    atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_old_content_until_block_ends(path: Path) -> None:
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        (temporary,) = path.parent.glob(f"{TEMPORARY_PREFIX}*")
        assert temporary.read_bytes() == b"new"
    assert path.read_bytes() == b"new"


def test_exception_in_block_keeps_old_content(path: Path) -> None:
    def interrupt(file: BufferedWriter) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        interrupt(file)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("target", "call"), [(os, "fsync"), (Path, "replace"), (os, "open")])
def test_failure_before_or_in_rename_keeps_old_content(path: Path, fail_call: FailCall, target: object, call: str) -> None:
    fail_call(target, call)
    with pytest.raises(OSError, match="No space left"):
        atomic_write_bytes(path, b"new")
    assert os.listdir(path.parent) == ["file"]
    assert path.read_bytes() == b"old"


def test_failure_to_sync_directory_leaves_complete_new_file(path: Path, fail_call: FailCall) -> None:
    fail_call(os, "fsync", on_call=2)  # the first syncs the content, the second the name
    with pytest.raises(OSError, match="No space left"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_killed_process_leaves_old_content_and_one_temporary_file(path: Path, step: str) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from yearling.files.atomic import atomic_write
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
path, step = Path(sys.argv[1]), sys.argv[2]
if step == "fsync": os.fsync = die
if step == "replace": Path.replace = die
with atomic_write(path) as file:
    file.write(b"new")
    if step == "write": die()
"""
    done = subprocess.run([sys.executable, "-c", script, str(path), step], cwd=Path(__file__).parents[2])
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.glob(f"{TEMPORARY_PREFIX}*"))) == 1
    atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_durable_write_syncs_content_before_rename_and_directory_after(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    original_fsync, original_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        calls.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        original_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return original_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    atomic_write_bytes(path, b"new")
    assert calls == ["sync file", "rename", "sync directory"]
    calls.clear()
    atomic_write_bytes(path, b"newer", durable=False)
    assert calls == ["rename"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_for_everybody_has_the_mode_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    previous = os.umask(umask)
    try:
        atomic_write_bytes(tmp_path / "file", b"content", mode=0o666)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_full_disk_keeps_old_content(mount: Callable[[str], Path]) -> None:
    path = mount("size=64k") / "file"
    path.write_bytes(b"old")
    with pytest.raises(StorageFailed, match=r"is full: .* are free"), translate_disk_errors(path.parent):
        atomic_write_bytes(path, bytes(1 << 20))
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_read_only_folder_is_reported_by_its_own_name(mount: Callable[[str], Path]) -> None:
    folder = mount("ro")
    with pytest.raises(StorageFailed) as raised, translate_disk_errors(folder):
        atomic_write_bytes(folder / "file", b"content")
    assert raised.value.message == f"{folder} cannot be written: its file system is read-only."


def test_text_is_utf_8_with_unchanged_line_ends(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "file", "é\r\n\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\r\n\n"


def test_json_is_indented_and_sorted(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "file", {"b": "é", "a": [1]})
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{\n  "a": [\n    1\n  ],\n  "b": "é"\n}\n'


def test_json_that_cannot_be_written_keeps_old_content(path: Path) -> None:
    with pytest.raises(TypeError):
        atomic_write_json(path, {"a": object()})
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_chunks_are_counted_and_hashed(path: Path) -> None:
    written = atomic_write_chunks(path, iter([b"one", b"", b"two"]))
    assert path.read_bytes() == b"onetwo"
    assert (written.size_bytes, written.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())


def test_chunks_that_raise_keep_old_content(path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError):
        atomic_write_chunks(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_path_gives_a_library_a_file_of_its_own(path: Path) -> None:
    with atomic_path(path) as temporary:
        assert not temporary.exists()
        assert temporary.parent == path.parent
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_atomic_path_raises_if_the_block_wrote_nothing(path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert path.read_bytes() == b"old"


def test_published_file_replaces_the_old_one(path: Path) -> None:
    download = path.with_name("file.part")
    download.write_bytes(b"new")
    publish_file(download, path)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_file_that_cannot_be_synced_is_not_published(path: Path, fail_call: FailCall) -> None:
    download = path.with_name("file.part")
    download.write_bytes(b"new")
    fail_call(os, "fsync")
    with pytest.raises(OSError, match="No space left"):
        publish_file(download, path)
    assert path.read_bytes() == b"old"
    assert download.read_bytes() == b"new"
