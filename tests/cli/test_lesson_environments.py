"""What `yearling lessons environments` shows."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from yearling.cli.main import app
from yearling.errors import BadInput
from yearling.tasks import environment_names


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["lessons", "environments", *arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_list_names_every_environment() -> None:
    assert all(name in shown() for name in environment_names())
    listed = json.loads(shown("--json"))
    assert [info["name"] for info in listed] == environment_names()
    (instructions,) = (info for info in listed if info["name"] == "instructions")
    assert len(instructions["kinds"]) > 25
    assert set(instructions["held_out"]) < set(instructions["kinds"])


def test_one_environment_shows_a_task_and_its_check() -> None:
    text = shown("running_totals", "--settings", '{"terms": 3}', "--number", "2")
    task = json.loads(shown("running_totals", "--settings", '{"terms": 3}', "--number", "2", "--json"))["task"]
    assert task["messages"][0]["content"] in text
    assert len(task["check"]["totals"]) == 3
    assert "For exams only: " in shown("instructions", "--settings", '{"kinds": ["bullets"], "language": "zh"}')


@pytest.mark.parametrize("settings", ["x", "[]", '{"nonesuch": 1}'])
def test_wrong_settings_are_named(settings: str) -> None:
    with pytest.raises(BadInput):
        shown("instructions", "--settings", settings)
