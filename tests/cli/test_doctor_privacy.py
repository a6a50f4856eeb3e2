"""`yearling doctor` and privacy: who else on the machine may read the data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from yearling.config import Settings
from yearling.files.private import find_exposed
from yearling.store import Store


def data_folder_problems(run_yearling: Run) -> list[dict[str, str]]:
    findings = json.loads(run_yearling("doctor", "--json").stdout)["findings"]
    return [finding for finding in findings if finding["topic"] == "data folder" and finding["state"] == "problem"]


def test_doctor_reports_data_that_others_may_read(run_yearling: Run, tmp_path: Path) -> None:
    Store.open(Settings(data_dir=tmp_path / "data")).close()
    assert data_folder_problems(run_yearling) == []
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "yearling.db").chmod(0o644)
    [problem] = data_folder_problems(run_yearling)
    assert "may read 2 of its files and folders" in problem["what"]
    assert str(tmp_path / "data" / "yearling.db") in problem["what"]
    assert problem["advice"] == f"Run `chmod -R go-rwx '{tmp_path / 'data'}'`."
    subprocess.run(problem["advice"].split("`")[1], shell=True, check=True)
    assert data_folder_problems(run_yearling) == []


@pytest.mark.slow
def test_commands_write_private_files(tmp_path: Path) -> None:
    """Those of libraries too: the process has a private umask."""
    environment = {**os.environ, "YEARLING_DATA_DIR": str(tmp_path / "data")}
    script = "import os, sys; os.umask(0o022); sys.argv = ['yearling', 'backup']; from yearling.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, cwd=Path(__file__).parents[2])
    assert list((tmp_path / "data" / "backups").iterdir())
    assert find_exposed(tmp_path / "data").examples == []
