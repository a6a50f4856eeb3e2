"""Crash drill of training: kill -9 a run at random moments, resume it each time, and find it equal to an undisturbed one.

    python -m tests.training.drill 20                   a tiny network
    python -m tests.training.drill 20 --default-model   DPO on the default model

Every third kill waits until a checkpoint is being written. The engine that deals the tiny method its rollouts draws differently
each time; the undisturbed run is given the draws that the disturbed one recorded. Equal means: the same bytes in the last
checkpoint, and the same lines of metrics apart from times.

A try is a fork of this process, which has imported everything and computed nothing: importing would take longer than training.
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
MODEL = "smollm2-135m-instruct"


@dataclass
class Tally:
    """How the kills fell."""

    kills: int = 0
    in_checkpoint: int = 0
    """Kills that left a half-written checkpoint."""
    steps_repeated: int = 0


def train_tiny(folder: Path) -> None:
    from tests.training.tiny import TinyMethod

    run = RunFolder.open(folder)
    train(TinyMethod(run, total_steps=TINY_STEPS, pause_s=0.005, ballast=BALLAST), run)


def create_tiny(folder: Path) -> RunFolder:
    options = {"validate_every": 10, "checkpoint_s": 0.2}
    return RunFolder.create(folder, {}, method="tiny", seed=1, total_steps=TINY_STEPS, options=options, threads=1)


class Try:
    """A process of its own that trains."""

    def __init__(self, train_it: Callable[[], object]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
                train_it()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def ended(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def finish(self) -> None:
        if os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]):
            raise AssertionError("the last try failed")


def _leave_with(parent: int) -> None:
    """A drill that is itself killed leaves no run behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def disturb(
    run: RunFolder,
    rounds: int,
    train_it: Callable[[], object],
    rng: random.Random,
    *,
    most_steps: int,
    start_s: float,
    tally: Tally,
) -> None:
    """Kill the run `rounds` times and let the last try finish. Raises AssertionError when it ended before all kills.

    A kill comes at a random moment within the first `most_steps` steps of a try, so that a busy machine changes nothing."""
    for number in range(rounds):
        begun, halves = _checkpoint(run), _halves(run)
        attempt = Try(train_it)
        if number % 3 == 2:
            _wait(attempt, partial(_writes_checkpoint, run, halves))
        elif number % 5:
            _wait(attempt, partial(_reached, run, attempt.pid, begun + rng.randint(1, most_steps)))
            time.sleep(rng.uniform(0, 0.05))
        else:  # every fifth kill may hit the start
            time.sleep(rng.uniform(0, start_s))
        if attempt.ended():
            raise AssertionError(f"the run ended by itself before kill {number}")
        attempt.kill()
        lines = run.read_metrics()
        reached, saved = int(lines[-1]["step"]) if lines else 0, _checkpoint(run)
        tally.kills += 1
        tally.in_checkpoint += _writes_checkpoint(run, halves)
        tally.steps_repeated += reached - saved
        print(f"kill {number}: at step {reached}, newest checkpoint {saved}", file=sys.stderr)
    Try(train_it).finish()


def compare(disturbed: RunFolder, undisturbed: RunFolder) -> None:
    """Raises AssertionError unless both ended the same."""
    from tests.training.tiny import outcome_bytes

    ours, theirs = outcome_bytes(disturbed), outcome_bytes(undisturbed)
    if ours[0] != theirs[0]:
        raise AssertionError(f"the last checkpoints differ: {ours[0]} and {theirs[0]}")
    for one, other in zip(ours[1], theirs[1], strict=True):
        if one != other:
            raise AssertionError(f"the metrics differ: {one} and {other}")


def drill(rounds: int, folder: Path, *, seed: int = 0) -> Tally:
    """The drill on the tiny method."""
    tally = Tally()
    disturbed = create_tiny(folder / "disturbed")
    train_it = partial(train_tiny, disturbed.folder)
    disturb(disturbed, rounds, train_it, random.Random(seed), most_steps=30, start_s=0.3, tally=tally)
    undisturbed = create_tiny(folder / "undisturbed")
    shutil.copytree(disturbed.folder / "rollouts", undisturbed.folder / "rollouts")
    Try(partial(train_tiny, undisturbed.folder)).finish()
    compare(RunFolder.open(disturbed.folder), undisturbed)
    return tally


def create_dpo(data_dir: Path, name: str, steps: int) -> RunFolder:
    """DPO on the default model, which is in the data folder already, on pairs made up here."""
    places = ArtefactStores.from_data_dir(data_dir)
    pairs = [
        PreferencePair(str(number), ({"role": "user", "content": f"Name {number} animals."},), f"{number} cats.", f"No: {number}.", q=0.9,
             weight=1.0)
        for number in range(2, 26)
    ]  # fmt: skip
    lessons = freeze_lesson_set(pairs, data_dir / "lessons")
    setup = RunSetup(model=MODEL, rank=4, lessons=lessons.hash)
    config = {"lessons_per_step": 2, "steps": steps, "validation": 0.1}
    options = {"validate_every": 2, "checkpoint_s": 3.0}
    return create_run(data_dir / "runs" / name, "dpo", config, setup, places, options=options, threads=1)


def resume(data_dir: Path, run_id: str) -> None:
    from yearling.cli.main import app

    app(["train", "resume", run_id, "--data-dir", str(data_dir)], standalone_mode=False)


def drill_default_model(rounds: int, data_dir: Path, *, seed: int = 0) -> Tally:
    """The drill on the command line itself; the adapters that both runs publish are the same, too."""
    tally = Tally()
    steps = 3 * rounds + 2
    disturbed, undisturbed = (create_dpo(data_dir, name, steps) for name in ("disturbed", "undisturbed"))
    train_it = partial(resume, data_dir, disturbed.id)
    disturb(disturbed, rounds, train_it, random.Random(seed), most_steps=3, start_s=5.0, tally=tally)
    Try(partial(resume, data_dir, undisturbed.id)).finish()
    compare(disturbed, undisturbed)
    published = AdapterLibrary(data_dir / "adapters").list()
    if len(published) != 1:
        raise AssertionError(f"the two runs published {len(published)} different adapters")
    print(f"both published {published[0].sha256}", file=sys.stderr)
    return tally


def _checkpoint(run: RunFolder) -> int:
    there = run.checkpoints.all()
    return there[-1].step if there else 0


def _halves(run: RunFolder) -> set[str]:
    return {path.name for path in run.checkpoints.folder.glob(".new-*")}


def _writes_checkpoint(run: RunFolder, before: set[str]) -> bool:
    """Whether there is a half checkpoint that an earlier kill did not leave."""
    return bool(_halves(run) - before)


def _reached(run: RunFolder, pid: int, step: int) -> bool:
    status = run.read_status()
    return status.get("pid") == pid and status["step"] >= step


def _wait(attempt: Try, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not happened():
        if attempt.ended():
            raise AssertionError("the run ended by itself")
        if time.monotonic() > deadline:
            attempt.kill()
            raise AssertionError(f"nothing happened for {START_TIMEOUT_S:g} seconds")
        time.sleep(0.003)


def import_everything() -> None:
    """What a try needs, so that it starts in a moment."""
    for name in (
        "torch",
        "torch.optim",
        "torch._dynamo",
        "yearling.cli.train",
        "yearling.training.methods.dpo",
        "tests.training.tiny",
    ):
        importlib.import_module(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rounds", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--default-model", action="store_true", help="DPO on the default model instead of a tiny network")
    parser.add_argument("--models", type=Path, help="Where the default model is installed; by default where Yearling keeps it")
    arguments = parser.parse_args()
    import_everything()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.default_model:
            (Path(folder) / "models").mkdir()
            model = ModelLibrary(arguments.models or load_settings().models_dir).get(MODEL)
            (Path(folder) / "models" / MODEL).symlink_to(model.folder.absolute())
            tally = drill_default_model(arguments.rounds, Path(folder), seed=arguments.seed)
        else:
            tally = drill(arguments.rounds, Path(folder), seed=arguments.seed)
    print(
        f"{tally.kills} kills, {tally.in_checkpoint} of them while a checkpoint was being written, {tally.steps_repeated} steps "
        "made again: the run ended bit-equal to the undisturbed one"
    )


if __name__ == "__main__":
    main()
