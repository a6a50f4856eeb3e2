"""The loop: whatever stops a run, and wherever, it ends as if nothing had been."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny import TinyMethod, outcome_bytes
from yearling.errors import BadInput, Conflict, StorageFailed, Untrusted
from yearling.training import RunFolder, TrainingProgress, train
from yearling.training.loop import torch_arithmetic


def new_run(folder: Path, **options: Any) -> RunFolder:
    return RunFolder.create(folder, {}, method="tiny", seed=1, options={"validate_every": 3, **options}, threads=1)


class Killed(BaseException):
    """As little warning as a process can give itself."""


def killer(at: int) -> Callable[[TrainingProgress], None]:
    def report(progress: TrainingProgress) -> None:
        if progress.step == at:
            raise Killed

    return report


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = new_run(tmp_path_factory.mktemp("runs") / "whole")
    assert train(TinyMethod(run), run).state == "finished"
    return run


def twin(finished: RunFolder, folder: Path) -> RunFolder:
    """A run that will be dealt the same rollouts."""
    run = new_run(folder)
    shutil.copytree(finished.folder / "rollouts", folder / "rollouts")
    return run


@pytest.mark.parametrize("at", [1, 3, 4, 11])
def test_a_run_that_dies_anywhere_ends_the_same(finished: RunFolder, tmp_path: Path, at: int) -> None:
    run = twin(finished, tmp_path / "cut")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=killer(at))
    assert train(TinyMethod(run), run).state == "finished"
    assert outcome_bytes(run) == outcome_bytes(finished)


def test_other_draws_end_elsewhere(finished: RunFolder, tmp_path: Path) -> None:
    run = new_run(tmp_path / "other")
    train(TinyMethod(run), run)
    assert outcome_bytes(run) != outcome_bytes(finished)


def test_a_state_that_was_not_restored_is_noticed(finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = twin(finished, tmp_path / "cut")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=killer(8))

    def forgetful(self: TinyMethod, state: Any) -> None:
        self.policy.load_state_dict(state["policy"])

    monkeypatch.setattr(TinyMethod, "load_state_dict", forgetful)
    train(TinyMethod(run), run)
    assert outcome_bytes(run) != outcome_bytes(finished)


def test_stop_is_pause_and_resume_goes_on(finished: RunFolder, tmp_path: Path) -> None:
    run = twin(finished, tmp_path / "paused")

    def stop_at_seven(progress: TrainingProgress) -> None:
        if progress.step == 7:
            RunFolder.open(run.folder).request_stop()

    assert train(TinyMethod(run), run, on_progress=stop_at_seven).state == "stopped"
    assert (run.read_status()["state"], run.read_status()["step"]) == ("stopped", 7)
    assert run.checkpoints.all()[-1].step == 7
    assert train(TinyMethod(run), run).state == "finished"
    assert outcome_bytes(run) == outcome_bytes(finished)


@pytest.mark.slow
def test_a_run_that_is_being_trained_cannot_be_trained_twice(tmp_path: Path) -> None:
    run = new_run(tmp_path / "busy")
    inside, leave = threading.Event(), threading.Event()

    def wait(progress: TrainingProgress) -> None:
        inside.set()
        leave.wait(10)

    first = threading.Thread(target=train, args=(TinyMethod(run, total_steps=2), run), kwargs={"report": wait})
    first.start()
    assert inside.wait(10)
    try:
        with pytest.raises(Conflict, match="another process"):
            train(TinyMethod(run), RunFolder.open(run.folder))
    finally:
        leave.set()
        first.join()


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run = new_run(tmp_path / "nan")
    with pytest.raises(BadInput, match="after step 8, the loss is not a finite number") as raised:
        train(TinyMethod(run, spoil_at=8), run)
    assert "checkpoint of step 6 is kept" in raised.value.message
    assert "learning rate" in raised.value.advice
    assert run.read_status()["state"] == "failed"
    assert [one.step for one in run.checkpoints.all()][-1] == 6
    last = run.read_metrics()[-1]
    assert (last["step"], last["loss"]) == (8, None)


def test_the_last_two_checkpoints_and_the_best_are_kept(finished: RunFolder) -> None:
    steps = [one.step for one in finished.checkpoints.all()]
    best = finished.checkpoints.best()
    scores = {line["step"]: line["validation_score"] for line in finished.read_metrics() if "validation_score" in line}
    assert best is not None
    assert best.step == max(scores, key=lambda step: (scores[step], -step))
    assert set(steps) == {9, 12, best.step}


def test_a_damaged_checkpoint_is_passed_over(finished: RunFolder, tmp_path: Path) -> None:
    run = twin(finished, tmp_path / "damaged")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=killer(10))
    newest = run.checkpoints.all()[-1]
    content = bytearray((newest.folder / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (newest.folder / "state.safetensors").write_bytes(content)
    train(TinyMethod(run), run)
    assert outcome_bytes(run) == outcome_bytes(finished)


def test_a_run_of_damaged_checkpoints_is_refused(finished: RunFolder, tmp_path: Path) -> None:
    run = RunFolder.open(Path(shutil.copytree(finished.folder, tmp_path / "ruined")))
    for checkpoint in run.checkpoints.all():
        (checkpoint.folder / "state.json").write_text("[]")
    with pytest.raises(Untrusted, match="was changed"):
        train(TinyMethod(run), run)


def test_a_torn_line_is_repaired(finished: RunFolder, tmp_path: Path) -> None:
    run = twin(finished, tmp_path / "torn")
    with pytest.raises(Killed):
        train(TinyMethod(run), run, on_progress=killer(8))
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 9, "lo')
    assert len(RunFolder.open(run.folder).read_metrics()) == 9  # steps 0 to 8
    train(TinyMethod(run), run)
    assert outcome_bytes(run) == outcome_bytes(finished)


def fill_up(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_stops_the_run_and_space_lets_it_go_on(
    finished: RunFolder, tmp_path: Path, mount: Callable[[str], Path]
) -> None:
    disk = mount("size=2m")
    run = new_run(disk / "full")
    shutil.copytree(finished.folder / "rollouts", run.folder / "rollouts")
    ballast = disk / "ballast"

    def fill(progress: TrainingProgress) -> None:
        if progress.step == 8:
            fill_up(ballast)

    with pytest.raises(StorageFailed, match="is full") as raised:
        train(TinyMethod(run), run, on_progress=fill)
    assert "train resume full" in raised.value.advice
    assert run.checkpoints.all()[-1].step == 6
    ballast.unlink()
    train(TinyMethod(run), run)
    assert outcome_bytes(run) == outcome_bytes(finished)


def test_after_training_denormal_numbers_count_again(finished: RunFolder) -> None:
    smallest = torch.tensor(5e-324, dtype=torch.float64)
    assert (smallest * 1.0).item() == 5e-324, "consensus in this process would differ in its last bits"
    with torch_arithmetic(1):
        assert (smallest * 1.0).item() == 0.0


def test_every_line_is_json_with_the_speed(finished: RunFolder) -> None:
    lines = [json.loads(line) for line in (finished.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(13))
    assert all(line["tokens_per_s"] > 0 for line in lines[1:])
