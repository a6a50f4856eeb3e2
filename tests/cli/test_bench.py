"""`yearling bench serve` on scripted engines: its table, its JSON, and rejected options."""

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
def scripted_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The engines of the comparison are fakes, one of which cannot be opened."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))

    @asynccontextmanager
    async def open_fakes(
        variants: Sequence[Any], **_: Any
    ) -> AsyncGenerator[tuple[list[BenchmarkedEngine], dict[str, UserError]], None]:
        fakes = [
            BenchmarkedEngine(name, FakeEngine([ScriptedAnswer("ab", delay_s=0.002, end_of_turn=False)]))
            for name in variants
            if name != "broken"
        ]
        yield fakes, {"broken": BadInput("It is not installed.", advice="Install it.")}

    monkeypatch.setattr(yearling.inference, "open_benchmarked_engines", open_fakes)
    monkeypatch.setattr(yearling.inference, "list_engine_variants", lambda *_, engines, **__: engines)


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", "--new-tokens", "3", *arguments])


def test_table_has_one_line_per_engine_and_names_failed_engines() -> None:
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


def test_json_contains_the_speeds() -> None:
    result = CliRunner().invoke(
        app, ["serve", "--engines", "one", "--sequences", "2", "--new-tokens", "3", "--repeat", "2", "--json"]
    )
    report = json.loads(result.stdout)
    assert report["failed"] == {"broken": "It is not installed. Install it."}
    assert report["engines"]["one"]["tokens_per_s"]["2"] > 0
    assert report["engines"]["one"]["rounds"] == 2


def test_invalid_sequence_counts_are_rejected() -> None:
    result = bench("--sequences", "1,many")
    assert isinstance(result.exception, BadInput)
    assert "many" in result.exception.message
