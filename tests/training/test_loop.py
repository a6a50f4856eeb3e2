"""The training loop: a run that is stopped, killed or damaged at any point ends exactly as an uninterrupted run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny_method import TinyMethod, reproducible_outcome
from yearling.errors import BadInput, Conflict, StorageFailed, Untrusted
from yearling.training import Checkpoint, CheckpointStore, RunFolder, TrainingProgress, train
from yearling.training.loop import torch_arithmetic


def new_run(folder: Path, **options: Any) -> RunFolder:
    return RunFolder.create(folder, {}, method="tiny", seed=1, options={"validate_every": 3, **options}, threads=1)


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def kill_at(step: int) -> Callable[[TrainingProgress], None]:
    def kill(progress: TrainingProgress) -> None:
        if progress.step == step:
            raise Killed

    return kill


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """An uninterrupted run."""
    run = new_run(tmp_path_factory.mktemp("runs") / "uninterrupted")
    assert train(TinyMethod(run), run).state == "finished"
    return run


def new_run_with_rollouts_of(finished: RunFolder, folder: Path) -> RunFolder:
    """A new run that will learn from the same rollouts."""
    run = new_run(folder)
    shutil.copytree(finished.folder / "rollouts", folder / "rollouts")
    return run


@pytest.mark.parametrize("step", [1, 3, 4, 11])
def test_run_killed_at_any_step_ends_equal(finished: RunFolder, tmp_path: Path, step: int) -> None:
    run = new_run_with_rollouts_of(finished, tmp_path / "killed")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=kill_at(step))
    assert train(TinyMethod(run), run).state == "finished"
    assert reproducible_outcome(run) == reproducible_outcome(finished)


def test_run_with_other_rollouts_ends_differently(finished: RunFolder, tmp_path: Path) -> None:
    run = new_run(tmp_path / "other")
    train(TinyMethod(run), run)
    assert reproducible_outcome(run) != reproducible_outcome(finished)


def test_comparison_detects_a_state_that_was_not_restored(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run_with_rollouts_of(finished, tmp_path / "killed")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=kill_at(8))

    def restore_policy_only(self: TinyMethod, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])

    monkeypatch.setattr(TinyMethod, "load_state_dict", restore_policy_only)
    train(TinyMethod(run), run)
    assert reproducible_outcome(run) != reproducible_outcome(finished)


def test_stopped_run_resumes_and_ends_equal(finished: RunFolder, tmp_path: Path) -> None:
    run = new_run_with_rollouts_of(finished, tmp_path / "stopped")

    def stop_at_seven(progress: TrainingProgress) -> None:
        if progress.step == 7:
            RunFolder.open(run.folder).request_stop()

    assert train(TinyMethod(run), run, on_progress=stop_at_seven).state == "stopped"
    assert (run.read_status()["state"], run.read_status()["step"]) == ("stopped", 7)
    assert run.checkpoints.all()[-1].step == 7
    assert train(TinyMethod(run), run).state == "finished"
    assert reproducible_outcome(run) == reproducible_outcome(finished)


@pytest.mark.slow
def test_raises_conflict_while_the_run_is_being_trained(tmp_path: Path) -> None:
    run = new_run(tmp_path / "busy")
    training, may_end = threading.Event(), threading.Event()

    def wait(progress: TrainingProgress) -> None:
        training.set()
        may_end.wait(10)

    first = threading.Thread(target=train, args=(TinyMethod(run, total_steps=2), run), kwargs={"on_progress": wait})
    first.start()
    assert training.wait(10)
    try:
        with pytest.raises(Conflict, match="another process"):
            train(TinyMethod(run), RunFolder.open(run.folder))
    finally:
        may_end.set()
        first.join()


def test_metrics_are_durable_before_each_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would leave of the metrics is their content at the last fsync."""
    run = new_run(tmp_path / "run")
    metrics_path = run.folder / "metrics.jsonl"
    durable_metrics = b""
    durable_steps: dict[int, list[int]] = {}
    fsync, save = os.fsync, CheckpointStore.save

    def record_fsync(descriptor: int) -> None:
        nonlocal durable_metrics
        fsync(descriptor)
        if metrics_path.is_file() and os.path.samestat(os.fstat(descriptor), metrics_path.stat()):
            durable_metrics = metrics_path.read_bytes()

    def record_save(self: CheckpointStore, step: int, state: Mapping[str, Any], *, score: float | None = None) -> Checkpoint:
        durable_steps[step] = [json.loads(line)["step"] for line in durable_metrics.splitlines()]
        return save(self, step, state, score=score)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(CheckpointStore, "save", record_save)
    train(TinyMethod(run, total_steps=7), run)
    assert durable_steps == {step: list(range(step + 1)) for step in (0, 3, 6, 7)}


def test_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run = new_run(tmp_path / "nan")
    with pytest.raises(BadInput, match="after step 8, the loss is not a finite number") as raised:
        train(TinyMethod(run, nan_at=8), run)
    assert "checkpoint of step 6 is kept" in raised.value.message
    assert "learning rate" in raised.value.advice
    assert run.read_status()["state"] == "failed"
    assert run.checkpoints.all()[-1].step == 6
    last = run.read_metrics()[-1]
    assert (last["step"], last["loss"]) == (8, None)


def test_last_two_and_best_checkpoints_are_kept(finished: RunFolder) -> None:
    best = finished.checkpoints.best()
    scores = {line["step"]: line["validation_score"] for line in finished.read_metrics() if "validation_score" in line}
    assert best is not None
    assert best.step == max(scores, key=lambda step: (scores[step], -step))
    assert {checkpoint.step for checkpoint in finished.checkpoints.all()} == {9, 12, best.step}


def test_damaged_checkpoint_is_skipped(finished: RunFolder, tmp_path: Path) -> None:
    run = new_run_with_rollouts_of(finished, tmp_path / "damaged")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=kill_at(10))
    newest = run.checkpoints.all()[-1]
    content = bytearray((newest.folder / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (newest.folder / "state.safetensors").write_bytes(content)
    train(TinyMethod(run), run)
    assert reproducible_outcome(run) == reproducible_outcome(finished)


def test_raises_untrusted_if_all_checkpoints_are_damaged(finished: RunFolder, tmp_path: Path) -> None:
    run = RunFolder.open(Path(shutil.copytree(finished.folder, tmp_path / "damaged")))
    for checkpoint in run.checkpoints.all():
        (checkpoint.folder / "state.json").write_text("[]")
    with pytest.raises(Untrusted, match="was changed"):
        train(TinyMethod(run), run)


def test_incomplete_line_of_metrics_is_repaired(finished: RunFolder, tmp_path: Path) -> None:
    run = new_run_with_rollouts_of(finished, tmp_path / "torn")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=kill_at(8))
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 9, "lo')
    assert len(RunFolder.open(run.folder).read_metrics()) == 9  # steps 0 to 8
    train(TinyMethod(run), run)
    assert reproducible_outcome(run) == reproducible_outcome(finished)


def fill_disk(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_full_disk_stops_the_run_which_resumes_once_there_is_space(
    finished: RunFolder, tmp_path: Path, mount: Callable[[str], Path]
) -> None:
    disk = mount("size=2m")
    run = new_run(disk / "full")
    shutil.copytree(finished.folder / "rollouts", run.folder / "rollouts")
    ballast = disk / "ballast"

    def fill(progress: TrainingProgress) -> None:
        if progress.step == 8:
            fill_disk(ballast)

    with pytest.raises(StorageFailed, match="is full") as raised:
        train(TinyMethod(run), run, on_progress=fill)
    assert "train resume full" in raised.value.advice
    assert run.checkpoints.all()[-1].step == 6
    ballast.unlink()
    train(TinyMethod(run), run)
    assert reproducible_outcome(run) == reproducible_outcome(finished)


def test_denormal_numbers_are_flushed_during_training_only(finished: RunFolder) -> None:
    smallest = torch.tensor(5e-324, dtype=torch.float64)
    assert (smallest * 1.0).item() == 5e-324, "the consensus in this process would differ in its last bits"
    with torch_arithmetic(1):
        assert (smallest * 1.0).item() == 0.0


def test_every_line_of_metrics_is_json_and_has_the_speed(finished: RunFolder) -> None:
    lines = [json.loads(line) for line in (finished.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(13))
    assert all(line["tokens_per_s"] > 0 for line in lines[1:])
