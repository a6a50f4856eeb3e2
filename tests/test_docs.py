"""The reference pages match the code, and describe everything that they list."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_generated_pages_match_the_code() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    outdated = [name for name, content in pages.items() if (DOCS / name).read_text(encoding="utf-8") != content]
    assert outdated == [], "run `make docs`"


def test_readme_names_every_command() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    headings = (DOCS / "cli.md").read_text(encoding="utf-8").splitlines()
    commands = [line.split("`")[1] for line in headings if line.startswith("## ")]
    assert commands
    assert [command for command in commands if command.split()[1] not in readme] == []


@pytest.mark.parametrize("page", ["api.md", "cli.md", "settings.md"])
def test_every_table_row_has_a_description(page: str) -> None:
    rows = [line for line in (DOCS / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if not row.rstrip("|").rpartition(" | ")[2].strip()] == []


def test_every_operation_and_parameter_of_the_api_has_a_description(openapi: dict[str, Any]) -> None:
    undescribed = []
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            parameters = {f"{method} {path}, {node['name']}": node for node in operation.get("parameters", ())}
            described = {f"{method} {path}": operation, **parameters}
            undescribed += [name for name, node in described.items() if not node.get("description")]
    assert undescribed == []


def test_every_object_and_field_of_the_api_has_a_description(openapi: dict[str, Any]) -> None:
    undescribed = []
    for name, schema in openapi["components"]["schemas"].items():
        described = {name: schema, **{f"{name}.{field}": node for field, node in schema.get("properties", {}).items()}}
        undescribed += [name for name, node in described.items() if not node.get("description")]
    assert undescribed == []


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    """The OpenAPI document; the first test checks that it matches the code."""
    document: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    return document
