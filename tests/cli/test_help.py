"""Help texts: every command, option and argument has one, and shared options have the same one everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from yearling.cli.main import app


def commands(command: Any, path: str = "yearling") -> Iterator[tuple[str, Any]]:
    """(path, command) of every command and group."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def missing_help(command: Any, path: str) -> list[str]:
    """What of a command has no help text: the command itself, options and arguments."""
    missing = [] if inspect.cleandoc(command.help or "").strip() else [path]
    for parameter in command.get_params(typer.Context(command, info_name=path)):
        if not (getattr(parameter, "help", "") or "").strip():
            missing.append(f"{path} {parameter.name}")
    return missing


def test_every_command_option_and_argument_has_a_help_text() -> None:
    assert [text for path, command in commands(typer.main.get_command(app)) for text in missing_help(command, path)] == []


def test_missing_help_texts_are_found() -> None:
    planted = typer.Typer()

    @planted.command()
    def command(argument: str, option: int = 1, described: int = typer.Option(2, help="Described.")) -> None:
        pass

    found = missing_help(typer.main.get_command(planted), "planted")
    assert [text for text in found if "completion" not in text] == ["planted", "planted argument", "planted option"]


@pytest.mark.parametrize("flag", ["--data-dir", "--yes", "--device"])
def test_shared_options_have_one_help_text(flag: str) -> None:
    texts = {
        parameter.help
        for path, command in commands(typer.main.get_command(app))
        for parameter in command.get_params(typer.Context(command, info_name=path))
        if flag in parameter.opts
    }
    assert len(texts) == 1
