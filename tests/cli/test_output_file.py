"""Files that commands write: complete, and readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yearling.cli.output_file import write_lines


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_exports_are_readable_by_their_owner_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        written = write_lines(tmp_path / "export.jsonl", [b"a\n", b"b\n"])
    finally:
        os.umask(before)
    assert (tmp_path / "export.jsonl").read_bytes() == b"a\nb\n"
    assert (tmp_path / "export.jsonl").stat().st_mode & 0o777 == 0o600
    assert written["size_bytes"] == 4
