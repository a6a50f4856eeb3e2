"""A data folder with three installed models, and the servers of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.release.releasing import Site
from yearling.config import Settings
from yearling.store import Store


@pytest.fixture
def site(tmp_path: Path, fresh_data_dir: Path) -> Iterator[Site]:
    data_dir = tmp_path / "data"
    shutil.copytree(fresh_data_dir, data_dir)
    settings = Settings(data_dir=data_dir, model="first", comparison_rate=0.0)
    with Store.open(settings) as store:
        yield Site(settings, store)
