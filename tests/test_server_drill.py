"""A few rounds of the crash drill of the whole server; `python -m tests.server_drill 100` runs more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import server_drill
from yearling.models import LocalModel


@pytest.mark.drill
def test_a_killed_server_loses_no_acknowledged_answer(tmp_path: Path, default_model: LocalModel) -> None:
    shutil.copytree(default_model.folder, tmp_path / "models" / default_model.name)
    assert server_drill.run(6, tmp_path) > 0
