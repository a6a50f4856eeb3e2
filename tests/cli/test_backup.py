from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from yearling.cli import backup as commands
from yearling.config import Settings
from yearling.errors import Untrusted
from yearling.store import Store


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on the data folder `data`; UserErrors pass through, for `main` words them."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    for name in ("backup", "restore", "verify"):
        app.command(name)(getattr(commands, name))

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_backup_verify_restore_in_words(run: Any, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        ada = store.people.add("Ada")
    file = tmp_path / "b.tar.gz"
    assert f"Wrote {file}" in run("backup", file).stdout
    verified = run("verify", file)
    assert verified.exit_code == 0
    assert "Everything is whole" in verified.stdout
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        store.people.add("Later")
    restored = run("restore", file)
    assert restored.exit_code == 0
    assert "kept in" in restored.stdout
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        assert store.people.list()[1:] == [ada]


def test_every_command_speaks_json(run: Any, tmp_path: Path) -> None:
    made = json.loads(run("backup", "--json").stdout)
    assert Path(made["path"]).parent == tmp_path / "data" / "backups"
    assert made["size_bytes"] == Path(made["path"]).stat().st_size
    report = json.loads(run("verify", "--json").stdout)
    assert report["ok"]
    assert report["audit_head"] == made["audit_head"]
    names = {"database", "references", "audit log", "event log", "texts", "samples", "blobs"}
    assert {check["name"] for check in report["checks"]} == names
    assert report["event_head"] == made["event_head"]
    assert json.loads(run("verify", made["path"], "--json").stdout)["ok"]
    restored = json.loads(run("restore", made["path"], "--json").stdout)
    assert Path(restored["aside"]).is_dir()


def test_a_folder_is_given_a_named_file(run: Any, tmp_path: Path) -> None:
    made = json.loads(run("backup", tmp_path, "--json").stdout)
    assert Path(made["path"]).parent == tmp_path


def test_damage_is_told_by_words_and_exit_code(run: Any, tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        sha256 = store.blobs.put(b"content")
        store.blobs.path(sha256).write_bytes(b"c0ntent")
    result = run("verify")
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout
    assert sha256 in "".join(result.stdout.split()), "a narrow terminal folds it"


def test_a_file_that_is_no_backup_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"nonsense")
    for command in ("verify", "restore"):
        with pytest.raises(Untrusted, match="backup"):
            run(command, tmp_path / "x.tar.gz")
