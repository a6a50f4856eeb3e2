"""Runs that are killed without warning, by `drill.py` in a process that has computed nothing yet and may be forked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.drill import compare, create_tiny_run, train_tiny_run
from yearling.models import LocalModel


def run_drill(*arguments: object) -> tuple[int, int, int]:
    """(kills, kills during a checkpoint, repeated steps)."""
    command = [sys.executable, "-m", "tests.training.drill", *map(str, arguments)]
    process = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    summary = re.search(
        r"^(\d+) kills, (\d+) of them .* written, (\d+) steps repeated: .* bit-equal", process.stdout, re.MULTILINE
    )
    assert summary, process.stdout
    kills, in_checkpoint, repeated = map(int, summary.groups())
    return kills, in_checkpoint, repeated


@pytest.mark.drill
def test_kills_at_random_moments_change_nothing() -> None:
    kills, in_checkpoint, repeated = run_drill(6, "--seed", 5)
    assert kills == 6
    assert in_checkpoint
    assert repeated


@pytest.mark.drill
def test_kills_change_nothing_on_the_default_model(default_model: LocalModel) -> None:
    assert run_drill(2, "--seed", 5, "--default-model", "--models", default_model.folder.parent)[0] == 2


@pytest.mark.slow
def test_drill_detects_runs_with_different_rollouts(tmp_path: Path) -> None:
    left, right = create_tiny_run(tmp_path / "left"), create_tiny_run(tmp_path / "right")
    for run in (left, right):
        train_tiny_run(run.folder)
    with pytest.raises(AssertionError, match="differ"):
        compare(left, right)
