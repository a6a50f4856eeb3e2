"""The pages hang together: every page is in the navigation, every relative link leads somewhere, every command exists.
The commands that the web client shows exist too.

Needs nothing but the standard library and our own command line; `make docs` builds the site and checks anchors too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from yearling.cli.main import app
from yearling.evals import exam_entries

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WEB_SOURCES = sorted((ROOT / "web" / "src").rglob("*.ts*"))

ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "dev/LOG.md": "measurements.md"}
"""Files of the repository that `docs/site_hooks.py` makes pages of."""

PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", *(ROOT / name for name in ROOT_PAGES)])

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"\byearling((?: [a-z][a-z-]*)+)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def _without_code(text: str) -> str:
    return _CODE.sub("", text)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r": (\w+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted([*(page.name for page in DOCS.glob("*.md")), *ROOT_PAGES.values()])


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_to_files_and_anchors(page: Path) -> None:
    dead = [link for link in _relative_links(page) if not _leads_somewhere(page, link)]
    assert dead == []


def _relative_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
        if "://" not in link and not link.startswith("mailto:"):
            yield link


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not anchor or anchor in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    """Ids that are written out, and those that headings get."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    assert not _leads_somewhere(DOCS / "index.md", "nowhere.md")
    assert not _leads_somewhere(DOCS / "index.md", "consensus.md#nowhere")
    assert not _leads_somewhere(DOCS / "index.md", str(tmp_path))
    assert _leads_somewhere(DOCS / "index.md", "consensus.md#the-words")


@cache
def _command_tree() -> dict[str, Any]:
    def tree(command: Any) -> dict[str, Any]:
        return {name: tree(child) for name, child in getattr(command, "commands", {}).items()}

    return tree(typer.main.get_command(app))


def _unknown_commands(text: str) -> list[str]:
    """Commands in code whose words do not lead through the command line; words after a whole command are arguments."""
    return [command for code in _CODE.findall(text) for line in code.splitlines() for command in _unknown_commands_of_line(line)]


def _unknown_commands_of_line(line: str) -> list[str]:
    tree, unknown = _command_tree(), []
    for words in _COMMAND.findall(line):
        node = tree
        for word in words.split():
            if not node:
                break
            if word not in node:
                unknown.append(f"yearling{words}")
                break
            node = node[word]
    return unknown


def test_a_command_that_does_not_exist_is_found() -> None:
    assert _unknown_commands("`yearling train dpo latest`, `yearling serve`, `yearling exam` and yearling nonsense") == []
    assert _unknown_commands("`yearling lessons forget`") == ["yearling lessons forget"]


# The log keeps the commands of its day, and cli.md is written from the command line itself.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ("LOG.md", "cli.md")], ids=_name)
def test_every_command_exists(page: Path) -> None:
    assert _unknown_commands(page.read_text(encoding="utf-8")) == []


def test_every_command_that_the_web_client_shows_exists() -> None:
    lines = [line for source in WEB_SOURCES for line in source.read_text(encoding="utf-8").splitlines()]
    assert [command for line in lines for command in _unknown_commands_of_line(line)] == []
    exams = {name for line in lines for name in re.findall(r"\byearling exam run ([\w-]+)", line)}
    assert exams
    assert exams <= exam_entries().keys()
