"""`yearling train`: listing, showing and stopping runs, options of the methods, and a run with the default model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main
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


def run_ok(*arguments: object) -> Result:
    result = run(*arguments)
    if result.exception:
        raise result.exception
    return result


def run_error(*arguments: object) -> UserError:
    result = run(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return result.exception


def make(data_dir: Path, name: str = "0190-aa") -> RunFolder:
    model = {"name": "base", "sha256": "ab"}
    return RunFolder.create(data_dir / "runs" / name, {"beta": 0.1}, method="dpo", seed=7, total_steps=9, model=model, threads=1)


def test_list_and_show_runs(data_dir: Path) -> None:
    assert json.loads(run_ok("list", "--json").stdout) == []
    folder = make(data_dir)
    folder.append_metrics(1, {"loss": 0.6931})
    [row] = json.loads(run_ok("list", "--json").stdout)
    assert (row["id"], row["state"], row["total_steps"]) == ("0190-aa", "created", 9)
    assert run_ok("list").stdout.splitlines()[1].split()[:5] == ["0190-aa", "dpo", "base", "created", "0/9"]
    shown = run_ok("show", "latest").stdout
    assert "beta=0.1" in shown
    assert "0.6931" in shown
    result = json.loads(run_ok("show", "aa", "--json").stdout)
    assert result["metrics"][0]["loss"] == 0.6931
    assert result["facts"]["config"] == {"beta": 0.1}
    assert isinstance(run_error("show", "nowhere"), NotFound)


def test_only_running_runs_can_be_stopped(data_dir: Path) -> None:
    folder = make(data_dir)
    assert isinstance(run_error("stop", "latest"), Conflict)
    with folder.locked():
        folder.write_status("running", step=3)
        assert "0190-aa will stop" in run_ok("stop", "latest").stderr
    assert folder.stop_requested()


def test_every_method_is_a_command_with_its_settings_as_options() -> None:
    assert list(typer.main.get_command(app).commands)[: len(METHODS)] == list(METHODS)  # type: ignore[attr-defined]
    text = run_ok("dpo", "--help").stdout
    for option in ("--beta", "--learning-rate", "--schedule", "--kl-mode", "--seed", "--rank", "--lessons", "--steps"):
        assert option in text
    assert "stop" in text
    assert run("dpo", "--schedule", "nonsense").exit_code == 2
    assert run("dpo", "--nonsense", "1").exit_code == 2


def test_invalid_runs_are_rejected_before_a_folder_is_created(data_dir: Path) -> None:
    assert "not installed" in run_error("sft", "--lessons", "").message
    assert isinstance(run_error("sft", "--lessons", "latest"), NotFound)
    assert isinstance(run_error("sft", "--dtype", "float8"), BadInput)
    assert isinstance(run_error("grpo", "--samples", "1"), BadInput)
    assert not (data_dir / "runs").exists()


def test_a_reader_needs_a_local_model(data_dir: Path) -> None:
    assert isinstance(run_error("reader", "--model", "elsewhere"), NotFound)
    assert run("reader", "--seed", "-1").exit_code == 2
    assert not (data_dir / "runs").exists()


@pytest.mark.slow
def test_run_trains_and_publishes_an_adapter(data_dir: Path, default_model: LocalModel) -> None:
    (data_dir / "models").mkdir(parents=True)
    (data_dir / "models" / default_model.name).symlink_to(default_model.folder)
    lessons = freeze_lesson_set(
        [Demonstration(str(n), ({"role": "user", "content": f"Say {n}."},), f"{n}, gladly.") for n in range(40)],
        data_dir / "lessons",
    )
    setup = RunSetup(model=default_model.name, rank=2, lessons=lessons.hash)
    folder = create_run(
        data_dir / "runs" / "first", "sft", {"steps": 3, "lessons_per_step": 4}, setup, ArtefactStores.from_data_dir(data_dir)
    )
    result = json.loads(run_ok("resume", "first", "--json").stdout)
    assert (result["state"], result["step"]) == ("finished", 3)
    [adapter] = AdapterLibrary(data_dir / "adapters").list()
    assert result["served"] == adapter.served_name(default_model.name)
    assert (adapter.run, adapter.base_sha256, adapter.fits(default_model)) == ("first", default_model.sha256, "same")
    assert adapter.step == result["best_step"]
    assert find_run(data_dir / "runs", "first").read_status()["state"] == "finished"
    scores = [line["validation_score"] for line in folder.read_metrics() if "validation_score" in line]
    assert scores[-1] > scores[0], "the loss on lessons that were not trained on falls"

    assert run_ok("export", "first", "--checkpoint", "last").stdout.startswith(f"{default_model.name}+")
