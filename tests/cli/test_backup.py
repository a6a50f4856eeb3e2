from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from yearling.config import Settings
from yearling.errors import Untrusted
from yearling.store import Store


def test_backup_verify_and_restore_print_text(run_yearling: Run, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        ada = store.people.add("Ada")
    file = tmp_path / "b.tar.gz"
    assert f"Wrote {file}" in run_yearling("backup", file).stdout
    verified = run_yearling("verify", file)
    assert verified.exit_code == 0
    assert "No damage found" in verified.stdout
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        store.people.add("Later")
    restored = run_yearling("restore", file)
    assert restored.exit_code == 0
    assert "The replaced data is in" in restored.stdout
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        assert store.people.list()[1:] == [ada]


def test_backup_commands_print_json(run_yearling: Run, tmp_path: Path) -> None:
    backup = json.loads(run_yearling("backup", "--json").stdout)
    assert Path(backup["path"]).parent == tmp_path / "data" / "backups"
    assert backup["size_bytes"] == Path(backup["path"]).stat().st_size
    report = json.loads(run_yearling("verify", "--json").stdout)
    assert report["ok"]
    assert report["audit_head"] == backup["audit_head"]
    names = {"database", "references", "audit log", "event log", "texts", "samples", "corrections", "documents", "blobs"}
    assert {check["name"] for check in report["checks"]} == names
    assert report["event_head"] == backup["event_head"]
    assert json.loads(run_yearling("verify", backup["path"], "--json").stdout)["ok"]
    restored = json.loads(run_yearling("restore", backup["path"], "--json").stdout)
    assert Path(restored["aside"]).is_dir()


def test_backup_into_a_folder_names_the_file(run_yearling: Run, tmp_path: Path) -> None:
    backup = json.loads(run_yearling("backup", tmp_path, "--json").stdout)
    assert Path(backup["path"]).parent == tmp_path


def test_verify_reports_damage_with_exit_code_1(run_yearling: Run, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        sha256 = store.blobs.put(b"content")
        store.blobs.path(sha256).write_bytes(b"c0ntent")
    result = run_yearling("verify")
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout
    assert sha256 in "".join(result.stdout.split()), "the table may wrap it"


def test_invalid_backup_files_raise_untrusted(run_yearling: Run, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"nonsense")
    for command in ("verify", "restore"):
        with pytest.raises(Untrusted, match="backup"):
            run_yearling(command, tmp_path / "x.tar.gz")
