"""The reference pages say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_generated_pages_have_not_drifted() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    drifted = [name for name, content in pages.items() if (DOCS / name).read_text(encoding="utf-8") != content]
    assert drifted == [], "run `make docs`"


def test_readme_names_every_command() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    headings = (DOCS / "cli.md").read_text(encoding="utf-8").splitlines()
    commands = [line.split("`")[1] for line in headings if line.startswith("## ")]
    assert commands
    missing = [command for command in commands if command.split()[1] not in readme]
    assert missing == []
