"""Replaying a publication that other code made: the report names the code and the command that replays it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.feedback.people import open_feedback_log
from yearling.cli.main import app
from yearling.errors import Untrusted
from yearling.feedback import code_hash, publication_lines, replay_publication, run_and_record
from yearling.feedback.code_releases import RELEASES, describe_code, replay_command

OLD_EXPORT = Path(__file__).parent / "golden" / "old_export.jsonl"
"""Written by `yearling consensus export` of the tag `consensus-2` (commit e471dd7) over 37 ratings by 8 raters."""

OLD_CODE_HASH = "159f028ef1e28cbe453ddc91c63af0ee2d144e9994ef8e43d560c3da208afef5"


def test_replay_of_earlier_code_names_version_tag_and_command(tmp_path: Path) -> None:
    path = tmp_path / "an export.jsonl"
    path.write_bytes(OLD_EXPORT.read_bytes())
    report = replay_publication(path)
    assert not report.ok
    assert (report.runs_checked, report.runs_of_other_code, report.entries) == (0, 1, 37)
    (difference,) = report.differences
    assert f"(snapshot version 2, code hash {OLD_CODE_HASH}, release tag consensus-2, commit e471dd7ba5cf)" in difference
    assert f"this code has the hash {code_hash()}" in difference
    assert difference.endswith(
        "git worktree add ../yearling-consensus-2 e471dd7ba5cf && cd ../yearling-consensus-2 && "
        f"{shlex.quote(sys.executable)} -m yearling consensus replay '{path}'"
    )


def test_replay_command_keeps_the_option_for_every_run(tmp_path: Path) -> None:
    (difference,) = replay_publication(OLD_EXPORT, every_run=True).differences
    assert difference.endswith(f"consensus replay {OLD_EXPORT} --every-run")


def test_replay_of_unknown_code_asks_for_the_publishing_version(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_bytes(OLD_EXPORT.read_bytes().replace(OLD_CODE_HASH.encode(), b"f" * 64))
    (difference,) = replay_publication(path).differences
    assert f"code hash {'f' * 64}, no known release tag" in difference
    assert difference.endswith("use the version of Yearling that published the file.")
    assert replay_command("f" * 64, path) == ""


def test_releases_name_earlier_code_only() -> None:
    assert RELEASES[OLD_CODE_HASH].tag == "consensus-2"
    assert code_hash() not in RELEASES, "the release of this code is recorded after its last commit"
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in RELEASES)
    assert all(re.fullmatch(r"[0-9a-f]{12}", release.commit) for release in RELEASES.values())
    assert describe_code(OLD_CODE_HASH) == f"code hash {OLD_CODE_HASH}, release tag consensus-2, commit e471dd7ba5cf"


def test_snapshot_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    lines = OLD_EXPORT.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:-1], b'{"snapshot":{"version":2}', b""]))
    with pytest.raises(Untrusted, match="a line is not JSON"):
        replay_publication(path)


def test_old_export_is_one_run_over_its_log() -> None:
    header = json.loads(OLD_EXPORT.read_bytes().splitlines()[0])
    assert [run["code_hash"] for run in header["runs"]] == [OLD_CODE_HASH]


def test_replay_command_of_the_cli_prints_the_message_and_fails() -> None:
    result = CliRunner().invoke(app, ["consensus", "replay", str(OLD_EXPORT)])
    assert result.exit_code == 1
    assert "release tag consensus-2" in result.stderr
    assert "git worktree add ../yearling-consensus-2 e471dd7ba5cf && " in result.stderr


def test_run_over_an_empty_log_is_reproduced(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path / "data") as log:
        run = run_and_record(log.store, log.index)
        path = tmp_path / "export.jsonl"
        path.write_bytes(b"".join(publication_lines(log.store, run)))
    report = replay_publication(path, every_run=True)
    assert (report.differences, report.runs_checked) == ((), 1)
