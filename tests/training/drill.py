"""Crash drill of training: kill -9 a run at random moments, resume it after each kill, and compare it with an uninterrupted run.

    python -m tests.training.drill 20                   a tiny network
    python -m tests.training.drill 20 --default-model   DPO on the default model

Every third kill waits until a checkpoint is being written. The rollouts of the tiny method differ each time they are sampled; the
uninterrupted run therefore receives those that the killed run recorded. Runs are equal if their last checkpoints have the same
bytes and their metrics are the same apart from times.

Each attempt is a fork of this process, which has imported everything and computed nothing: importing takes longer than training.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yearling.config import load_settings
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.tasks import PreferencePair, freeze_lesson_set
from yearling.training import ArtefactStores, RunFolder, RunSetup, create_run, train

START_TIMEOUT_S = 600.0
TINY_STEPS = 400
BALLAST = 500_000
"""Extra numbers in a checkpoint of the tiny method, so that writing it takes long enough to be hit by a kill."""
MODEL = "smollm2-135m-instruct"


@dataclass
class KillCounts:
    """What the kills hit."""

    kills: int = 0
    in_checkpoint: int = 0
    """Kills that left a partial checkpoint."""
    repeated_steps: int = 0


def train_tiny_run(folder: Path) -> None:
    from tests.training.tiny_method import TinyMethod

    run = RunFolder.open(folder)
    train(TinyMethod(run, total_steps=TINY_STEPS, pause_s=0.005, ballast=BALLAST), run)


def create_tiny_run(folder: Path) -> RunFolder:
    options = {"validate_every": 10, "checkpoint_s": 0.2}
    return RunFolder.create(folder, {}, method="tiny", seed=1, total_steps=TINY_STEPS, options=options, threads=1)


class ForkedTraining:
    """A forked process that trains."""

    def __init__(self, train_run: Callable[[], object]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
                train_run()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def has_ended(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def finish(self) -> None:
        """Wait for the process. Raises AssertionError if it failed."""
        if os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]):
            raise AssertionError("the last attempt failed")


def _exit_with_parent(parent: int) -> None:
    """End this process once its parent has ended, so that a killed drill leaves no training process behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def kill_repeatedly(
    run: RunFolder,
    num_kills: int,
    train_run: Callable[[], object],
    rng: random.Random,
    *,
    max_steps: int,
    start_s: float,
    counts: KillCounts,
) -> None:
    """Kill the run `num_kills` times, then let it finish. Raises AssertionError if it ends before all kills.

    A kill comes at a random moment within the first `max_steps` steps of an attempt, whatever the speed of the machine. Every
    fifth kill comes within `start_s` seconds and may hit the start."""
    for number in range(num_kills):
        first_step, partial_before = _checkpoint_step(run), _partial_checkpoints(run)
        attempt = ForkedTraining(train_run)
        if number % 3 == 2:
            _wait_until(partial(_writes_checkpoint, run, partial_before), attempt)
        elif number % 5:
            _wait_until(partial(_has_reached, run, attempt.pid, first_step + rng.randint(1, max_steps)), attempt)
            time.sleep(rng.uniform(0, 0.05))
        else:
            time.sleep(rng.uniform(0, start_s))
        if attempt.has_ended():
            raise AssertionError(f"the run ended by itself before kill {number}")
        attempt.kill()
        lines = run.read_metrics()
        reached, saved = int(lines[-1]["step"]) if lines else 0, _checkpoint_step(run)
        counts.kills += 1
        counts.in_checkpoint += _writes_checkpoint(run, partial_before)
        counts.repeated_steps += reached - saved
        print(f"kill {number}: at step {reached}, newest checkpoint {saved}", file=sys.stderr)
    ForkedTraining(train_run).finish()


def compare(killed: RunFolder, uninterrupted: RunFolder) -> None:
    """Raises AssertionError unless both runs ended the same."""
    from tests.training.tiny_method import reproducible_outcome

    (checkpoint, lines), (expected_checkpoint, expected_lines) = map(reproducible_outcome, (killed, uninterrupted))
    if checkpoint != expected_checkpoint:
        raise AssertionError(f"the last checkpoints differ: {checkpoint} and {expected_checkpoint}")
    for line, expected_line in zip(lines, expected_lines, strict=True):
        if line != expected_line:
            raise AssertionError(f"the metrics differ: {line} and {expected_line}")


def drill_tiny_method(num_kills: int, folder: Path, *, seed: int = 0) -> KillCounts:
    """The drill on the tiny method."""
    counts = KillCounts()
    killed = create_tiny_run(folder / "killed")
    train_run = partial(train_tiny_run, killed.folder)
    kill_repeatedly(killed, num_kills, train_run, random.Random(seed), max_steps=30, start_s=0.3, counts=counts)
    uninterrupted = create_tiny_run(folder / "uninterrupted")
    shutil.copytree(killed.folder / "rollouts", uninterrupted.folder / "rollouts")
    ForkedTraining(partial(train_tiny_run, uninterrupted.folder)).finish()
    compare(RunFolder.open(killed.folder), uninterrupted)
    return counts


def create_dpo_run(data_dir: Path, name: str, steps: int) -> RunFolder:
    """DPO on the default model, which the data folder must hold, with generated pairs."""
    pairs = [
        PreferencePair(
            str(number),
            ({"role": "user", "content": f"Name {number} animals."},),
            f"{number} cats.",
            f"No: {number}.",
            q=0.9,
            weight=1.0,
        )
        for number in range(2, 26)
    ]
    lessons = freeze_lesson_set(pairs, data_dir / "lessons")
    setup = RunSetup(model=MODEL, rank=4, lessons=lessons.hash)
    config = {"lessons_per_step": 2, "steps": steps, "validation": 0.1}
    options = {"validate_every": 2, "checkpoint_s": 3.0}
    stores = ArtefactStores.from_data_dir(data_dir)
    return create_run(data_dir / "runs" / name, "dpo", config, setup, stores, options=options, threads=1)


def resume_from_command_line(data_dir: Path, run_id: str) -> None:
    from yearling.cli.main import app

    app(["train", "resume", run_id, "--data-dir", str(data_dir)], standalone_mode=False)


def drill_default_model(num_kills: int, data_dir: Path, *, seed: int = 0) -> KillCounts:
    """The drill on the command line itself. Both runs must also publish the same adapter."""
    counts = KillCounts()
    steps = 3 * num_kills + 2
    killed, uninterrupted = (create_dpo_run(data_dir, name, steps) for name in ("killed", "uninterrupted"))
    train_run = partial(resume_from_command_line, data_dir, killed.id)
    kill_repeatedly(killed, num_kills, train_run, random.Random(seed), max_steps=3, start_s=5.0, counts=counts)
    ForkedTraining(partial(resume_from_command_line, data_dir, uninterrupted.id)).finish()
    compare(killed, uninterrupted)
    published = AdapterLibrary(data_dir / "adapters").list()
    if len(published) != 1:
        raise AssertionError(f"the two runs published {len(published)} different adapters")
    print(f"both published {published[0].sha256}", file=sys.stderr)
    return counts


def _checkpoint_step(run: RunFolder) -> int:
    checkpoints = run.checkpoints.all()
    return checkpoints[-1].step if checkpoints else 0


def _partial_checkpoints(run: RunFolder) -> set[str]:
    return {path.name for path in run.checkpoints.folder.glob(".new-*")}


def _writes_checkpoint(run: RunFolder, partial_before: set[str]) -> bool:
    """Whether there is a partial checkpoint that no earlier kill left."""
    return bool(_partial_checkpoints(run) - partial_before)


def _has_reached(run: RunFolder, pid: int, step: int) -> bool:
    """Whether that process has reached that step."""
    status = run.read_status()
    return bool(status.get("pid") == pid and status["step"] >= step)


def _wait_until(condition: Callable[[], bool], attempt: ForkedTraining) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if attempt.has_ended():
            raise AssertionError("the run ended by itself")
        if time.monotonic() > deadline:
            attempt.kill()
            raise AssertionError(f"nothing happened for {START_TIMEOUT_S:g} seconds")
        time.sleep(0.003)


def import_everything() -> None:
    """Import what an attempt needs, so that forks start at once."""
    for name in (
        "torch",
        "torch.optim",
        "torch._dynamo",
        "yearling.cli.train",
        "yearling.training.methods.dpo",
        "tests.training.tiny_method",
    ):
        importlib.import_module(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kills", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--default-model", action="store_true", help="DPO on the default model instead of a tiny network")
    parser.add_argument("--models", type=Path, help="Folder with the default model; Yearling's own by default")
    arguments = parser.parse_args()
    import_everything()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.default_model:
            (Path(folder) / "models").mkdir()
            model = ModelLibrary(arguments.models or load_settings().models_dir).get(MODEL)
            (Path(folder) / "models" / MODEL).symlink_to(model.folder.absolute())
            counts = drill_default_model(arguments.kills, Path(folder), seed=arguments.seed)
        else:
            counts = drill_tiny_method(arguments.kills, Path(folder), seed=arguments.seed)
    print(
        f"{counts.kills} kills, {counts.in_checkpoint} of them while a checkpoint was being written, "
        f"{counts.repeated_steps} steps repeated: the run ended bit-equal to the uninterrupted one"
    )


if __name__ == "__main__":
    main()
