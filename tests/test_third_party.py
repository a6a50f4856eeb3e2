"""The page of third-party work is complete and says what the packages themselves say."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _direct_dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = [re.match(r"[A-Za-z0-9._-]+", requirement) for group in groups for requirement in group]
    return sorted({name[0] for name in names if name})


def _table() -> dict[str, str]:
    """Package -> licence."""
    page = (ROOT / "docs" / "third_party.md").read_text(encoding="utf-8").partition("## Packages")[2]
    return dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE))


@pytest.mark.parametrize("name", _direct_dependencies())
def test_every_direct_dependency_is_listed_with_the_licence_that_it_states(name: str) -> None:
    assert name in _table(), f"add {name} to docs/third_party.md"
    try:
        package = metadata(name)
    except PackageNotFoundError:
        return  # an extra that is not installed here
    if "License-Expression" in package:
        assert _table()[name] == package["License-Expression"]


def test_nothing_is_listed_that_is_no_longer_used() -> None:
    assert set(_table()) - {"Package"} <= set(_direct_dependencies())
