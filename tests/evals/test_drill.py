"""Kills and speed, in small; `python -m tests.evals.drill` does it in full."""

from __future__ import annotations

import pytest

from tests.evals.drill import drill, measure


@pytest.mark.slow
def test_a_killed_run_loses_and_repeats_nothing() -> None:
    found = drill(1500, 3)
    assert found["stored"] == 1500
    assert found["kills"] >= 1


@pytest.mark.slow
def test_the_runner_costs_little() -> None:
    """Over HTTP, full turn, stored. Twice the goal of 3 ms, since CPU time itself grows on a busy machine."""
    assert measure(1500) < 6.0
