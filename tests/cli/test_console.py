"""What the command line prints can be copied, however narrow the terminal is."""

from __future__ import annotations

import pytest

from yearling.cli.console import print_error, print_table
from yearling.errors import BadInput

ID = "01a22e6d-6a4a-730e-91e4-d803845b0ab5"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("column", ["Id", "Item", "Run", "Served as"])
def test_ids_in_tables_never_break(capsys: pytest.CaptureFixture[str], column: str) -> None:
    print_table((column, "Title", "Last used (UTC)", "Excerpt"), [(ID, "Sourdough", "2026-11-30 21:48", "word " * 20)])
    assert ID in capsys.readouterr().out


def test_links_and_commands_in_errors_never_break(capsys: pytest.CaptureFixture[str]) -> None:
    link = "https://example.org/" + "a" * 100
    command = "yearling exam pull " + "b" * 60
    print_error(BadInput(f"Read {link} first.", advice=f"Then run {command}."))
    printed = capsys.readouterr().err
    assert link in printed
    assert command in printed
