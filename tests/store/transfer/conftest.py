"""A store on SQLite alone, for what does not depend on the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.examples import make_settings
from yearling.store import Store


@pytest.fixture
def local_store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(make_settings(tmp_path / "local")) as store:
        yield store
