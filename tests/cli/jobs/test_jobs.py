"""`yearling jobs` and `yearling cycle` as people use them, with real workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.loop.cycle.tiny_cycle import OPTIONS
from yearling.config import Settings
from yearling.errors import Conflict, NotFound, UserError
from yearling.loop import CycleFolder
from yearling.store import Store


def test_kinds_name_their_options(run_yearling: Run) -> None:
    kinds = {row["kind"]: row for row in json.loads(run_yearling("jobs", "kinds", "--json").stdout)}
    assert {"cycle", "train", "exam", "spec", "lessons", "consensus", "reader"} <= kinds.keys()
    assert "exam" in kinds["exam"]["options"]
    assert kinds["train"]["resumable"]


def test_nothing_is_there_at_first(run_yearling: Run) -> None:
    assert json.loads(run_yearling("jobs", "list", "--json").stdout) == []
    for command in (
        ("jobs", "show", "latest"),
        ("jobs", "log", "x"),
        ("cycle", "status"),
        ("cycle", "stop"),
        ("cycle", "resume"),
    ):
        with pytest.raises(NotFound):
            run_yearling(*command)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("exam", "--set", "exam=../../etc/passwd"),
        ("exam",),
        ("exam", "--set", "exam=constraints", "--set", "limit=-1"),
        ("exam", "--set", "exam"),
        ("cycle", "--set", "until=never"),
    ],
)
def test_bad_options_start_nothing(run_yearling: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        run_yearling("jobs", "start", *arguments)
    assert json.loads(run_yearling("jobs", "list", "--json").stdout) == []


@pytest.mark.slow
def test_job_runs_to_its_end_without_a_server(run_yearling: Run) -> None:
    job = json.loads(run_yearling("jobs", "start", "consensus", "--json").stdout)
    assert (job["state"], job["result"]["run"]) == ("done", 1)
    assert "attempt 1" in run_yearling("jobs", "log", "latest").output
    assert job["id"] in run_yearling("jobs", "show", job["id"][-12:]).output
    failed = run_yearling("jobs", "start", "lessons")
    assert failed.exit_code == 1
    assert "There is nothing to learn from yet." in failed.output


def test_cycle_shows_its_steps(run_yearling: Run, tmp_path: Path) -> None:
    folder = CycleFolder(tmp_path / "data" / "cycles" / "01a23200-0000-7000-8000-000000000001")
    folder.begin(OPTIONS, champion="tiny", champion_hash="ab", base="tiny", program_version="1")
    folder.write_end("refused", "The gate refused it.")
    assert "The gate refused it." in run_yearling("cycle", "status").output
    assert json.loads(run_yearling("cycle", "status", "--json").stdout)["end"]["outcome"] == "refused"
    with pytest.raises(Conflict, match="has ended"):
        run_yearling("cycle", "resume")
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        assert store.jobs.list() == []
