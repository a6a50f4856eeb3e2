"""Runs that are killed without warning, as other processes (`drill.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.drill import compare, create_tiny, drill, drill_default_model, train_tiny
from yearling.models import LocalModel


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    tally = drill(4, tmp_path, seed=5)
    assert tally.kills == 4
    assert tally.in_checkpoint
    assert tally.steps_repeated


@pytest.mark.slow
def test_kills_change_nothing_on_the_default_model(tmp_path: Path, default_model: LocalModel) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / default_model.name).symlink_to(default_model.folder)
    assert drill_default_model(2, tmp_path, seed=5).kills == 2


@pytest.mark.slow
def test_the_drill_notices_a_difference(tmp_path: Path) -> None:
    left, right = create_tiny(tmp_path / "left"), create_tiny(tmp_path / "right")
    for run in (left, right):  # other rollouts
        train_tiny(run.folder)
    with pytest.raises(AssertionError, match="differ"):
        compare(left, right)
