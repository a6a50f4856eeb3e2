"""`yearling backup`, `verify` and `restore` with signed releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.release.conftest import Installation, opened


@pytest.mark.slow
def test_releases_survive_a_backup_and_restore(run_yearling: Run, tmp_path: Path) -> None:
    with opened(tmp_path / "data") as installation:
        installation.bootstrap()
        installation.change("promote", installation.release("second"))
        installation.authority.stop("second", actor="ann", reason="it lies")
        installation.authority.refresh()
        before = installation.authority.state()
    printed = " ".join(run_yearling("backup", "all.tar.gz").stdout.split())
    assert "private keys that sign releases (1 of holders, unprotected, 1 of the server, unprotected)" in printed
    assert (tmp_path / "all.tar.gz").stat().st_mode & 0o777 == 0o600
    assert run_yearling("verify", "all.tar.gz").exit_code == 0
    with opened(tmp_path / "data") as installation:
        installation.change("rollback")
    assert "stops that were in force" not in (restored := run_yearling("restore", "all.tar.gz")).output
    assert restored.exit_code == 0
    result = run_yearling("audit", "verify")
    assert result.exit_code == 0, result.output
    with opened(tmp_path / "data") as installation:
        state = installation.authority.state()
        assert (state.version, state.champion, state.holders) == (before.version, 1, before.holders)
        assert "it lies" in installation.authority.stops.reason("second")


@pytest.mark.slow
def test_backup_says_how_keys_are_protected_or_leaves_them_out(run_yearling: Run, tmp_path: Path) -> None:
    with opened(tmp_path / "data") as installation:
        installation.bootstrap()
        installation.add_holder("Ann")
    printed = " ".join(run_yearling("backup", "all.tar.gz").stdout.split())
    assert "(2 encrypted with the passphrases of their holders, 1 of the server, unprotected)" in printed
    result = run_yearling("backup", "public.tar.gz", "--without-keys")
    assert "private keys" not in result.stdout
    facts = json.loads(run_yearling("backup", "json.tar.gz", "--json").stdout)
    assert facts["private_keys"] == 3
    assert facts["release_files"] > facts["private_keys"]
    (tmp_path / "public").mkdir()
    public = json.loads(run_yearling("backup", tmp_path / "public", "--without-keys", "--json").stdout)
    assert (public["private_keys"], public["release_files"]) == (0, facts["release_files"] - 3)


@pytest.mark.slow
def test_restore_says_which_stops_it_undoes(run_yearling: Run, tmp_path: Path) -> None:
    with opened(tmp_path / "data") as installation:
        installation.bootstrap()
    run_yearling("backup", "all.tar.gz")
    with opened(tmp_path / "data") as installation:
        installation.authority.stop(None, actor="ann", reason="it lies")
    assert "1 stops that were in force are not in the backup" in run_yearling("restore", "all.tar.gz").output
    assert json.loads(run_yearling("restore", "all.tar.gz", "--json").stdout)["undone_stops"] == 0


def test_backup_without_releases_says_nothing_about_keys(run_yearling: Run, tmp_path: Path) -> None:
    with opened(tmp_path / "data") as installation:
        assert isinstance(installation, Installation)
    assert "private keys" not in run_yearling("backup", "bare.tar.gz").stdout
