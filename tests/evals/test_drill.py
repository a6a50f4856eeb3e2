"""A small version of `python -m tests.evals.drill`, which also measures the CPU time of a sample."""

from __future__ import annotations

import pytest

from tests.evals.drill import drill


@pytest.mark.drill
def test_killed_run_loses_and_repeats_no_sample() -> None:
    result = drill(1500, 3)
    assert result["stored"] == 1500
    assert result["kills"] >= 1
