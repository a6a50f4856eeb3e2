"""Crash drill of training: kill -9 a run at random moments, resume it each time, and find it equal to an undisturbed one.

    python -m tests.training.drill 20                   a tiny network
    python -m tests.training.drill 20 --default-model   DPO on the default model

Every third kill waits until a checkpoint is being written. The engine that deals the tiny method its rollouts draws differently
each time; the undisturbed run is given the draws that the disturbed one recorded. Equal means: the same bytes in the last
checkpoint, and the same lines of metrics apart from times.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yearling.training import Run, train

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
TINY_STEPS = 400
BALLAST = 500_000


@dataclass
class Tally:
    """How the kills fell."""

    kills: int = 0
    in_checkpoint: int = 0
    """Kills that left a half-written checkpoint."""
    steps_repeated: int = 0


def train_tiny(folder: Path) -> None:
    from tests.training.tiny import TinyMethod

    run = Run.open(folder)
    train(TinyMethod(run, total_steps=TINY_STEPS, pause_s=0.005, ballast=BALLAST), run)


def create_tiny(folder: Path) -> Run:
    options = {"validate_every": 10, "checkpoint_s": 0.2}
    return Run.create(folder, {}, method="tiny", seed=1, total_steps=TINY_STEPS, options=options, threads=1)


def disturb(run: Run, rounds: int, command: list[str], rng: random.Random, *, longest_s: float, tally: Tally) -> None:
    """Kill the run `rounds` times and let the last try finish. Raises AssertionError when it ended before all kills."""
    for number in range(rounds):
        before = _touched(run)
        process = subprocess.Popen(command, cwd=ROOT)
        if number % 3 == 2:
            _wait(process, lambda: any(run.checkpoints.folder.glob(".new-*")))
        else:
            if number % 5:  # every fifth kill may hit the start
                _wait(process, partial(_moved, run, before))
            time.sleep(rng.uniform(0, longest_s))
        if process.poll() is not None:
            raise AssertionError(f"the run ended by itself with {process.returncode} before kill {number}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        reached = _last_step(run)
        there = run.checkpoints.all()
        tally.kills += 1
        tally.in_checkpoint += any(run.checkpoints.folder.glob(".new-*"))
        tally.steps_repeated += reached - (there[-1].step if there else 0)
        print(f"kill {number}: at step {reached}, newest checkpoint {there[-1].step if there else 'none'}", file=sys.stderr)
    subprocess.run(command, cwd=ROOT, check=True)


def compare(disturbed: Run, undisturbed: Run) -> None:
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
    command = [sys.executable, "-m", "tests.training.drill", "--train", str(disturbed.folder)]
    disturb(disturbed, rounds, command, random.Random(seed), longest_s=0.4, tally=tally)
    undisturbed = create_tiny(folder / "undisturbed")
    shutil.copytree(disturbed.folder / "rollouts", undisturbed.folder / "rollouts")
    train_tiny(undisturbed.folder)
    compare(Run.open(disturbed.folder), undisturbed)
    return tally


def _moved(run: Run, before: int) -> bool:
    return _touched(run) > before


def _touched(run: Run) -> int:
    """When the metrics were last written, in nanoseconds; 0 while there are none."""
    path = run.folder / "metrics.jsonl"
    return path.stat().st_mtime_ns if path.is_file() else 0


def _last_step(run: Run) -> int:
    lines = run.read_metrics()
    return int(lines[-1]["step"]) if lines else 0


def _wait(process: subprocess.Popen[bytes], happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not happened():
        if process.poll() is not None:
            raise AssertionError(f"the run ended by itself with {process.returncode}")
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError("nothing happened for two minutes")
        time.sleep(0.001)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rounds", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train_tiny(arguments.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        tally = drill(arguments.rounds, Path(folder), seed=arguments.seed)
    print(
        f"{tally.kills} kills, {tally.in_checkpoint} of them while a checkpoint was being written, {tally.steps_repeated} steps "
        "made again: the run ended bit-equal to the undisturbed one"
    )


if __name__ == "__main__":
    main()
