"""Runs as others read them: what the trainer writes, told without the trainer's code."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.errors import Conflict, NotFound, Untrusted
from yearling.store import TrainingRunStore
from yearling.training import RunFolder


def make(folder: Path, name: str = "a") -> RunFolder:
    model = {"name": "base", "sha256": "ab"}
    return RunFolder.create(folder / name, {"x": 1}, method="sft", seed=7, total_steps=9, model=model, lesson_set="cd", threads=1)


def test_the_state_is_the_truth_and_not_what_was_said_last(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), make(tmp_path)
    assert runs.get("a").state == "created"
    with run.locked():
        run.write_status("running", step=4, total_steps=9, remaining_s=2.5)
        told = runs.get("a")
        assert (told.state, told.step, told.total_steps, told.remaining_s) == ("running", 4, 9, 2.5)
    assert (runs.get("a").state, runs.get("a").remaining_s) == ("interrupted", None)
    run.write_status("failed", step=4, message="why")
    assert (runs.get("a").state, runs.get("a").message) == ("failed", "why")
    (run.folder / "status.json").write_text("")
    assert runs.get("a").state == "created"


def test_looking_never_keeps_a_run_from_being_resumed(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), make(tmp_path)
    for _ in range(50):
        runs.get("a")
        with run.locked():
            pass


def test_what_is_told_of_a_run(tmp_path: Path) -> None:
    run = make(tmp_path)
    with run.locked():
        for step, score in ((0, 0.5), (3, 0.75), (6, 0.75)):
            run.checkpoints.save(step, {"policy": {}}, score=score)
    told = TrainingRunStore(tmp_path).get("a")
    assert (told.method, told.model, told.base_sha256, told.lesson_set, told.seed) == ("sft", "base", "ab", "cd", 7)
    assert (told.best_step, told.best_score) == (3, 0.75)
    assert told.facts["config"] == {"x": 1}


def test_a_tail_tells_each_step_once_whatever_the_trainer_does(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), make(tmp_path)
    tail = runs.tail_metrics("a")
    assert tail.read() == []
    for step in (0, 1, 2):
        run.append_metrics(step, {"loss": 1.0})
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "lo')
    assert [line["step"] for line in tail.read()] == [0, 1, 2]
    run.truncate_metrics(1)  # resumed after a kill
    assert tail.read() == []
    for step in (2, 3, 4):
        run.append_metrics(step, {"loss": 1.0})
    assert [line["step"] for line in tail.read()] == [3, 4]
    assert [line["step"] for line in runs.read_metrics("a", after_step=2)] == [3, 4]


def test_only_a_running_run_is_asked_to_stop(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), make(tmp_path)
    with pytest.raises(Conflict, match="is created, not running"):
        runs.request_stop("a")
    with run.locked():
        run.write_status("running", step=1)
        runs.request_stop("a")
    assert run.stop_requested()


def test_runs_are_listed_newest_first_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    assert TrainingRunStore(tmp_path / "none").list() == []
    for name in ("a", "b", "c"):
        make(tmp_path, name)
    (tmp_path / "b" / "run.json").write_text("{}")
    (tmp_path / "elsewhere").mkdir()
    assert [run.id for run in TrainingRunStore(tmp_path).list()] == ["c", "a"]
    with pytest.raises(Untrusted, match="cannot be read"):
        TrainingRunStore(tmp_path).get("b")


@pytest.mark.parametrize("name", ["", "..", "../a", "x", "a/b", "elsewhere", "\0"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    make(tmp_path / "runs")
    make(tmp_path)
    (tmp_path / "runs" / "elsewhere").mkdir()
    with pytest.raises(NotFound):
        TrainingRunStore(tmp_path / "runs").get(name)
