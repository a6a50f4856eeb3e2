"""`yearling bench` measurements that need the source checkout, with and without one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import yearling
from tests.cli.conftest import Run

MEASUREMENTS = {
    "consensus": ["--polis", "."],
    "gates": [],
    "learn": ["grpo"],
    "preference": ["dpo", "--pairs", "pairs.jsonl"],
    "train": [],
}

RUN_ALL = """
import json, sys
from typer.testing import CliRunner
import yearling
from yearling.cli.main import app

results = {}
for name, arguments in json.loads(sys.argv[1]).items():
    for mode, given in (("run", arguments), ("help", ["--help"])):
        result = CliRunner().invoke(app, ["bench", name, *given])
        results[f"{name} {mode}"] = [result.exit_code, result.output]
print(json.dumps({"package": yearling.__file__, "results": results}))
"""
"""One process for all measurements: starting Python takes longer than everything that they do here."""


@pytest.fixture
def installed_package(tmp_path: Path) -> Path:
    """A folder that holds a copy of the package alone, as an installed wheel does."""
    target = tmp_path / "site"
    shutil.copytree(Path(yearling.__file__).parent, target / "yearling", ignore=shutil.ignore_patterns("__pycache__", "static"))
    (target / "pairs.jsonl").touch()
    return target


@pytest.mark.slow
def test_measurements_exit_with_code_2_without_a_checkout(installed_package: Path, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(MEASUREMENTS)],
        cwd=installed_package,
        env=os.environ | {"PYTHONPATH": str(installed_package), "YEARLING_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    report = json.loads(process.stdout)
    assert report["package"].startswith(str(installed_package)), "the copy is tested, not this checkout"
    for name in MEASUREMENTS:
        exit_code, output = report["results"][f"{name} run"]
        assert (exit_code, "this measurement needs the source checkout" in output) == (2, True), output
        exit_code, output = report["results"][f"{name} help"]
        assert (exit_code, "Needs the source checkout." in output) == (0, True), output


@pytest.mark.slow
def test_gates_are_measured_in_the_checkout(run_yearling: Run) -> None:
    result = run_yearling("bench", "gates", "--gates", "100", "--json")
    rows = json.loads(result.stdout)
    assert max(row["gates"] for row in rows) == 100
    assert result.exit_code == (0 if all(row["kept"] for row in rows) else 1)
