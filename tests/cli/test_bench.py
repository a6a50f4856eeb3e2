"""`yearling bench serve` on scripted engines: what it prints, as a table and as JSON, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import yearling.inference
from yearling.cli.bench import app
from yearling.errors import BadInput, UserError
from yearling.inference import FakeEngine, ScriptedAnswer
from yearling.inference.throughput import BenchmarkedEngine


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The engines of the comparison are fakes; one cannot be opened."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))

    @asynccontextmanager
    async def open_subjects(
        wanted: Sequence[Any], **_: Any
    ) -> AsyncGenerator[tuple[list[BenchmarkedEngine], dict[str, UserError]], None]:
        fakes = [
            BenchmarkedEngine(name, FakeEngine([ScriptedAnswer("ab", delay_s=0.002, end_of_turn=False)]))
            for name in wanted
            if name != "broken"
        ]
        yield fakes, {"broken": BadInput("It is not installed.", advice="Install it.")}

    monkeypatch.setattr(yearling.inference, "open_benchmarked_engines", open_subjects)
    monkeypatch.setattr(yearling.inference, "list_engine_variants", lambda *_, engines, **__: engines)


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", "--new-tokens", "3", *arguments])


def test_the_table_has_a_line_per_engine_and_says_what_is_missing() -> None:
    result = CliRunner().invoke(
        app,
        ["serve", "--engines", "one,two,broken", "--sequences", "1,2", "--new-tokens", "3", "--repeat", "1"],
        env={"COLUMNS": "140"},
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("one", "two"))] == ["one", "two"]
    assert "1 seq" in result.stdout
    assert "broken: It is not installed. Install it." in result.stderr


def test_json_holds_the_figures() -> None:
    result = CliRunner().invoke(
        app, ["serve", "--engines", "one", "--sequences", "2", "--new-tokens", "3", "--repeat", "2", "--json"]
    )
    found = json.loads(result.stdout)
    assert found["failed"] == {"broken": "It is not installed. Install it."}
    assert found["engines"]["one"]["tokens_per_s"]["2"] > 0
    assert found["engines"]["one"]["rounds"] == 2


def test_sequences_must_be_numbers() -> None:
    result = bench("--sequences", "1,many")
    assert isinstance(result.exception, BadInput)
    assert "many" in result.exception.message
