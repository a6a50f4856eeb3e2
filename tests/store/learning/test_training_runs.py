"""Training runs read from their folders, without the code of the trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.errors import Conflict, NotFound, Untrusted
from yearling.store import TrainingRunStore
from yearling.training import RunFolder


def create_run(folder: Path, name: str = "a") -> RunFolder:
    model = {"name": "base", "sha256": "ab"}
    return RunFolder.create(folder / name, {"x": 1}, method="sft", seed=7, total_steps=9, model=model, lesson_set="cd", threads=1)


def test_state_follows_the_lock_and_not_only_the_status_file(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), create_run(tmp_path)
    assert runs.get("a").state == "created"
    with run.locked():
        run.write_status("running", step=4, total_steps=9, remaining_s=2.5)
        described = runs.get("a")
        assert (described.state, described.step, described.total_steps, described.remaining_s) == ("running", 4, 9, 2.5)
    assert (runs.get("a").state, runs.get("a").remaining_s) == ("interrupted", None)
    run.write_status("failed", step=4, message="why")
    assert (runs.get("a").state, runs.get("a").message) == ("failed", "why")
    (run.folder / "status.json").write_text("")
    assert runs.get("a").state == "created"


def test_reading_a_run_never_blocks_its_trainer(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), create_run(tmp_path)
    for _ in range(50):
        runs.get("a")
        with run.locked():
            pass


def test_run_has_fields_of_its_description(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    with run.locked():
        for step, score in ((0, 0.5), (3, 0.75), (6, 0.75)):
            run.checkpoints.save(step, {"policy": {}}, score=score)
    described = TrainingRunStore(tmp_path).get("a")
    assert (described.method, described.model, described.base_sha256, described.lesson_set, described.seed) == (
        "sft",
        "base",
        "ab",
        "cd",
        7,
    )
    assert (described.best_step, described.best_score) == (3, 0.75)
    assert described.facts["config"] == {"x": 1}


def test_tail_returns_each_step_once(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), create_run(tmp_path)
    tail = runs.tail_metrics("a")
    assert tail.read() == []
    for step in (0, 1, 2):
        run.append_metrics(step, {"loss": 1.0})
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "lo')
    assert [line["step"] for line in tail.read()] == [0, 1, 2]
    run.truncate_metrics(1)  # as a run that resumes after a kill
    assert tail.read() == []
    for step in (2, 3, 4):
        run.append_metrics(step, {"loss": 1.0})
    assert [line["step"] for line in tail.read()] == [3, 4]
    assert [line["step"] for line in runs.read_metrics("a", after_step=2)] == [3, 4]


def test_only_a_running_run_can_be_stopped(tmp_path: Path) -> None:
    runs, run = TrainingRunStore(tmp_path), create_run(tmp_path)
    with pytest.raises(Conflict, match="is created, not running"):
        runs.request_stop("a")
    with run.locked():
        run.write_status("running", step=1)
        runs.request_stop("a")
    assert run.stop_requested()


def test_runs_are_listed_newest_first_without_damaged_ones(tmp_path: Path) -> None:
    assert TrainingRunStore(tmp_path / "none").list() == []
    for name in ("a", "b", "c"):
        create_run(tmp_path, name)
    (tmp_path / "b" / "run.json").write_text("{}")
    (tmp_path / "elsewhere").mkdir()
    assert [run.id for run in TrainingRunStore(tmp_path).list()] == ["c", "a"]
    with pytest.raises(Untrusted, match="cannot be read"):
        TrainingRunStore(tmp_path).get("b")


@pytest.mark.parametrize("name", ["", "..", "../a", "x", "a/b", "elsewhere", "\0"])
def test_get_refuses_path_traversal(tmp_path: Path, name: str) -> None:
    create_run(tmp_path / "runs")
    create_run(tmp_path)
    (tmp_path / "runs" / "elsewhere").mkdir()
    with pytest.raises(NotFound):
        TrainingRunStore(tmp_path / "runs").get(name)
