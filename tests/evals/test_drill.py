"""Kills, in small; `python -m tests.evals.drill` does it in full, and measures the processor time of a sample."""

from __future__ import annotations

import pytest

from tests.evals.drill import drill


@pytest.mark.slow
def test_a_killed_run_loses_and_repeats_nothing() -> None:
    found = drill(1500, 3)
    assert found["stored"] == 1500
    assert found["kills"] >= 1
