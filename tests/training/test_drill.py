"""Runs that are killed without warning (`drill.py`, in a process that has computed nothing yet and may be forked)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.drill import compare, create_tiny, train_tiny
from yearling.models import LocalModel


def drill(*arguments: object) -> tuple[int, int, int]:
    """(kills, those in a checkpoint, steps made again)"""
    command = [sys.executable, "-m", "tests.training.drill", *map(str, arguments)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^(\d+) kills, (\d+) of them .* written, (\d+) steps made again: .* bit-equal", done.stdout, re.MULTILINE)
    assert found, done.stdout
    kills, in_checkpoint, repeated = map(int, found.groups())
    return kills, in_checkpoint, repeated


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing() -> None:
    kills, in_checkpoint, repeated = drill(6, "--seed", 5)
    assert kills == 6
    assert in_checkpoint
    assert repeated


@pytest.mark.slow
def test_kills_change_nothing_on_the_default_model(default_model: LocalModel) -> None:
    assert drill(2, "--seed", 5, "--default-model", "--models", default_model.folder.parent)[0] == 2


@pytest.mark.slow
def test_the_drill_notices_a_difference(tmp_path: Path) -> None:
    left, right = create_tiny(tmp_path / "left"), create_tiny(tmp_path / "right")
    for run in (left, right):  # other rollouts
        train_tiny(run.folder)
    with pytest.raises(AssertionError, match="differ"):
        compare(left, right)
