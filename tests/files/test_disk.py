"""Disk errors as people read them: what is wrong, and the caller's advice."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from yearling.errors import BadInput, StorageFailed
from yearling.files.disk import DiskAdvice, disk_full_error, format_bytes, require_space, translate_disk_errors

ADVICE = DiskAdvice(full="Delete something.", not_writable="Change the permissions.", failing="Buy a disk.")


def translate(code: int, place: Path | str, *, filename: str | None = None, all_errors: bool = False) -> StorageFailed:
    with pytest.raises(StorageFailed) as raised, translate_disk_errors(place, advice=ADVICE, all_errors=all_errors):
        raise OSError(code, os.strerror(code), filename)
    assert isinstance(raised.value.__cause__, OSError)
    return raised.value


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_names_the_folder_and_its_free_space(tmp_path: Path, code: int) -> None:
    error = translate(code, tmp_path)
    assert error.message.startswith(f"The disk of {tmp_path} is full: ")
    assert error.message.endswith(" are free.")
    assert error.advice == "Delete something."


def test_full_disk_of_a_described_place() -> None:
    assert translate(errno.ENOSPC, "The data folder /x").message == "The disk of the data folder /x is full."


def test_full_disk_of_a_missing_folder() -> None:
    assert disk_full_error(Path("/nowhere/at all")).message == "The disk of /nowhere/at all is full."


def test_needed_space_is_part_of_the_message(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageFailed, match=r"is full: 5\.0 MB are needed, .* are free"),
        translate_disk_errors(tmp_path, 5_000_000),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EROFS, "/data cannot be written: its file system is read-only."),
        (errno.ENOTDIR, "/data cannot be written: Not a directory."),
        (errno.EEXIST, "/data cannot be written: File exists."),
        (errno.EACCES, "/data cannot be accessed: Permission denied."),
        (errno.EPERM, "/data cannot be accessed: Operation not permitted."),
    ],
)
def test_place_that_cannot_be_written(code: int, message: str) -> None:
    error = translate(code, Path("/data"))
    assert (error.message, error.advice) == (message, "Change the permissions.")


def test_failing_disk() -> None:
    error = translate(errno.EIO, "The data folder /data")
    assert (error.message, error.advice) == ("The disk of the data folder /data fails: Input/output error.", "Buy a disk.")


def test_path_of_the_system_is_named_unless_temporary() -> None:
    assert translate(errno.EROFS, "The data folder /x", filename="/x/y").message.startswith("/x/y cannot")
    assert translate(errno.EROFS, "The data folder /x", filename="/x/.new-0123").message.startswith("The data folder /x cannot")


def test_unknown_cause_is_translated_only_on_request() -> None:
    with pytest.raises(FileNotFoundError), translate_disk_errors(Path("/data")):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/file")
    error = translate(errno.ENOENT, Path("/data"), filename="/data/file", all_errors=True)
    assert (error.message, error.advice) == ("/data/file cannot be used: No such file or directory.", "Buy a disk.")


def test_other_exceptions_pass() -> None:
    with pytest.raises(BadInput), translate_disk_errors(Path("/data"), all_errors=True):
        raise BadInput("wrong")


def test_required_space(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(StorageFailed, match="is full"):
        require_space(tmp_path, 1 << 60)


def test_default_advice_names_the_setting() -> None:
    assert "YEARLING_DATA_DIR" in DiskAdvice().full
    assert "YEARLING_DATA_DIR" in DiskAdvice().not_writable


@pytest.mark.parametrize(("num_bytes", "text"), [(98_400_000, "98.4 MB"), (1_250_000_000, "1.25 GB"), (0, "0.0 MB")])
def test_sizes_for_people(num_bytes: int, text: str) -> None:
    assert format_bytes(num_bytes) == text
