"""Runs the command line in process on a data folder of its own, and opens the store in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.testing
from typer.testing import CliRunner, Result

from tests.conftest import IS_PATCHED
from yearling.cli.main import app
from yearling.config import Settings
from yearling.store import Store

Run = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Build Typer's commands once: its runner builds them again for every line, which takes longer than most lines."""
    if not IS_PATCHED:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        get_command = typer.testing._get_command  # type: ignore[attr-defined]
        patch.setattr(typer.testing, "_get_command", functools.cache(get_command))
        yield


@pytest.fixture
def run_yearling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `yearling ARGUMENTS` in `tmp_path` on the data folder `data`. UserErrors pass through, as `main` prints them."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, typed: str = "") -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store of the data folder, open next to the commands."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        yield store
