"""`yearling train`: what a person types, and what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from yearling.cli.train import app
from yearling.errors import BadInput, Conflict, NotFound, UserError
from yearling.models import AdapterLibrary, LocalModel
from yearling.tasks import Demonstration, freeze_lesson_set
from yearling.training import METHODS, ArtefactStores, RunFolder, RunSetup, create_run, find_run


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "data"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def works(*arguments: object) -> Result:
    result = run(*arguments)
    if result.exception:
        raise result.exception
    return result


def fails(*arguments: object) -> UserError:
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return result.exception


def make(data_dir: Path, name: str = "0190-aa") -> RunFolder:
    model = {"name": "base", "sha256": "ab"}
    return RunFolder.create(data_dir / "runs" / name, {"beta": 0.1}, method="dpo", seed=7, total_steps=9, model=model, threads=1)


def test_runs_are_listed_and_shown(data_dir: Path) -> None:
    assert json.loads(works("list", "--json").stdout) == []
    one = make(data_dir)
    one.append_metrics(1, {"loss": 0.6931})
    [listed] = json.loads(works("list", "--json").stdout)
    assert (listed["id"], listed["state"], listed["total_steps"]) == ("0190-aa", "created", 9)
    assert works("list").stdout.splitlines()[1].split()[:5] == ["0190-aa", "dpo", "base", "created", "0/9"]
    shown = works("show", "latest").stdout
    assert "beta=0.1" in shown
    assert "0.6931" in shown
    told = json.loads(works("show", "aa", "--json").stdout)
    assert told["metrics"][0]["loss"] == 0.6931
    assert told["facts"]["config"] == {"beta": 0.1}
    assert isinstance(fails("show", "nowhere"), NotFound)


def test_only_what_runs_is_stopped(data_dir: Path) -> None:
    one = make(data_dir)
    assert isinstance(fails("stop", "latest"), Conflict)
    with one.locked():
        one.write_status("running", step=3)
        assert "0190-aa will stop" in works("stop", "latest").stderr
    assert one.stop_requested()


def test_every_setting_of_a_method_is_an_option() -> None:
    commands = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert commands[: len(METHODS)] == list(METHODS)
    text = works("dpo", "--help").stdout
    for option in ("--beta", "--learning-rate", "--schedule", "--kl-mode", "--seed", "--rank", "--lessons", "--steps"):
        assert option in text
    assert "stop" in text
    assert run("dpo", "--schedule", "nonsense").exit_code == 2
    assert run("dpo", "--nonsense", "1").exit_code == 2


def test_what_is_missing_is_said_before_anything_is_made(data_dir: Path) -> None:
    assert "not installed" in fails("sft", "--lessons", "").message
    assert isinstance(fails("sft", "--lessons", "latest"), NotFound)
    assert isinstance(fails("sft", "--dtype", "float8"), BadInput)
    assert isinstance(fails("grpo", "--samples", "1"), BadInput)
    assert not (data_dir / "runs").exists()


@pytest.mark.slow
def test_a_run_from_the_command_to_the_served_adapter(data_dir: Path, default_model: LocalModel) -> None:
    (data_dir / "models").mkdir(parents=True)
    (data_dir / "models" / default_model.name).symlink_to(default_model.folder)
    lessons = freeze_lesson_set(
        [Demonstration(str(n), ({"role": "user", "content": f"Say {n}."},), f"{n}, gladly.") for n in range(40)],
        data_dir / "lessons",
    )
    setup = RunSetup(model=default_model.name, rank=2, lessons=lessons.hash)
    made = create_run(
        data_dir / "runs" / "first", "sft", {"steps": 3, "lessons_per_step": 4}, setup, ArtefactStores.from_data_dir(data_dir)
    )
    told = json.loads(works("resume", "first", "--json").stdout)
    assert (told["state"], told["step"]) == ("finished", 3)
    [adapter] = AdapterLibrary(data_dir / "adapters").list()
    assert told["served"] == adapter.served_name(default_model.name)
    assert (adapter.run, adapter.base_sha256, adapter.fits(default_model)) == ("first", default_model.sha256, "same")
    assert adapter.step == told["best_step"]
    assert find_run(data_dir / "runs", "first").read_status()["state"] == "finished"
    scores = [line["validation_score"] for line in made.read_metrics() if "validation_score" in line]
    assert scores[-1] > scores[0], "the loss on lessons that were not trained on falls"

    assert works("export", "first", "--checkpoint", "last").stdout.startswith(f"{default_model.name}+")
