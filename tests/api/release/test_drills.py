"""A few rounds of the drills; `python -m tests.api.release.stop_drill 100` and `kill_drill 30` run more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.api.release import kill_drill, stop_drill
from yearling.models import LocalModel


@pytest.mark.drill
def test_stops_end_every_answer_within_two_seconds(tmp_path: Path, default_model: LocalModel) -> None:
    shutil.copytree(default_model.folder, tmp_path / "models" / default_model.name)
    seconds = stop_drill.run(21, tmp_path)
    assert stop_drill.percentile(seconds["to the last token"], 0.99) <= stop_drill.LIMIT_S
    assert stop_drill.percentile(seconds["until told"], 0.99) <= stop_drill.LIMIT_S


@pytest.mark.drill
def test_server_that_is_killed_while_it_releases_serves_the_signed_state(tmp_path: Path, default_model: LocalModel) -> None:
    source = tmp_path / "source" / default_model.name
    shutil.copytree(default_model.folder, source)  # the drill links the files, which may be on another disk
    kill_drill.run_first_starts(2, tmp_path / "first", source)
    assert kill_drill.run(5, tmp_path / "data", source) > 0
