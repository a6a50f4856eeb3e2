"""Cycles that are killed without warning, by `drill.py` in a process that has computed nothing yet and may be forked."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.loop.cycle.drill import compare
from tests.loop.cycle.tiny_cycle import Decisions


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_thirty_kills_change_nothing() -> None:
    command = [sys.executable, "-m", "tests.loop.cycle.drill", "30", "--seed", "5"]
    process = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    summary = re.search(r"^(\d+) kills \((.*)\): every cycle ended", process.stdout, re.MULTILINE)
    assert summary, process.stdout
    assert int(summary[1]) == 30
    assert len(summary[2].split(",")) >= 3, "the kills came in few of the steps"


def test_drill_notices_what_is_there_twice() -> None:
    expected = Decisions("promoted", "a", "b", "ALLOW", "", "c", (0, 1), 1, 2, 120, 2, 80, 1, 3, 2)
    compare(replace(expected, canary_changes=3), expected)
    for changes in ({"num_gates": 2}, {"num_exam_runs": 3}, {"adapter": "x"}, {"champions": (0, 1, 1)}):
        with pytest.raises(AssertionError, match="differs"):
            compare(replace(expected, **changes), expected)
