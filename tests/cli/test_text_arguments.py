"""Arguments that are not UTF-8: mended in texts, kept in paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yearling.cli.text_arguments import parse_count
from yearling.config import Settings
from yearling.store import Store


def run_yearling(folder: Path, *arguments: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "YEARLING_DATA_DIR": str(folder / "data"), "PYTHONUTF8": "1"}
    command = [sys.executable.encode(), b"-m", b"yearling", *arguments]
    return subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, check=False)


@pytest.mark.slow
def test_text_that_is_not_utf8_is_stored_and_printed(tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        store.passwords.set(store.people.owner().id, "a long password", actor="test")
    done = run_yearling(tmp_path, b"people", b"invite", b"--note", b"Caf\xe9 f\xc3\xbcr alle")
    assert done.returncode == 0, done.stderr.decode()
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        assert [invitation.note for invitation in store.invitations.list()] == ["Caf\ufffd für alle"]
    done = run_yearling(tmp_path, b"conversations", b"search", b"\xed\xa0\xbd")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode()


@pytest.mark.parametrize(("text", "count"), [("12", 12), ("٣", 3), ("²", 0), ("-1", 0), ("", 0), ("1.5", 0), ("9" * 5000, 0)])
def test_counts_are_whole_numbers_of_a_sensible_length(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.slow
def test_path_that_is_not_utf8_names_its_file(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/backup-\xe9.tar.gz"
    done = run_yearling(tmp_path, b"backup", path)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert os.path.exists(path)
