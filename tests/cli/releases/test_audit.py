"""`yearling audit export` and `check`: what they print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.loop.referee_case import edit_line, rewrite
from tests.release.conftest import Installation
from yearling.errors import NotFound, Untrusted
from yearling.store import Store


def test_an_export_is_written_checked_and_a_change_of_it_found(run_yearling: Run, tmp_path: Path, store: Store) -> None:
    installation = Installation(store)
    installation.bootstrap()
    installation.change("promote", installation.release("second"))
    result = run_yearling("audit", "export", "audit.zip")
    assert "2 releases" in result.stdout
    path = tmp_path / "audit.zip"
    assert path.stat().st_mode & 0o077 == 0

    result = run_yearling("audit", "check", path)
    assert result.exit_code == 0, result.output
    assert "figures of 2 releases" in result.stdout
    assert "First root" in result.stdout
    changed = rewrite(path, tmp_path / "changed.zip", {"audit.jsonl": edit_line(0, actor="somebody")})
    result = run_yearling("audit", "check", changed)
    assert result.exit_code == 1
    assert "Entry 1 breaks the chain" in " ".join(result.stdout.split())
    report = json.loads(run_yearling("audit", "check", changed, "--json").stdout)
    assert not report["ok"]
    assert {figure["state"] for figure in report["figures"]} >= {"differs", "reproduced"}
    with pytest.raises(NotFound):
        run_yearling("audit", "check", "nothing.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(Untrusted, match="no complete export"):
        run_yearling("audit", "check", "text.zip")
