"""`yearling lessons environments`: the list, and one environment with a task."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from yearling.cli.main import app
from yearling.errors import BadInput
from yearling.tasks import environment_names


def environments_output(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["lessons", "environments", *arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_list_contains_every_environment() -> None:
    assert all(name in environments_output() for name in environment_names())
    rows = json.loads(environments_output("--json"))
    assert [row["name"] for row in rows] == environment_names()
    (instructions,) = (row for row in rows if row["name"] == "instructions")
    assert len(instructions["kinds"]) > 25
    assert set(instructions["held_out"]) < set(instructions["kinds"])


def test_single_environment_shows_a_task_and_its_check() -> None:
    text = environments_output("running_totals", "--settings", '{"terms": 3}', "--number", "2")
    task = json.loads(environments_output("running_totals", "--settings", '{"terms": 3}', "--number", "2", "--json"))["task"]
    assert task["messages"][0]["content"] in text
    assert len(task["check"]["totals"]) == 3
    assert "Held out for exams: " in environments_output("instructions", "--settings", '{"kinds": ["bullets"], "language": "zh"}')


@pytest.mark.parametrize("settings", ["x", "[]", '{"nonesuch": 1}'])
def test_invalid_settings_raise_bad_input(settings: str) -> None:
    with pytest.raises(BadInput):
        environments_output("instructions", "--settings", settings)
