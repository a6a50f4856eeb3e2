"""Crash drill of the cycle: kill -9 at random moments, go on after each kill, and compare with an uninterrupted cycle.

    python -m tests.loop.cycle.drill 30

Each cycle is killed several times before it may end. It must end with the same decisions and artefact hashes as the uninterrupted
one, and nothing may be there twice. An attempt is a fork of this process, which has imported everything and computed nothing.
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
import time
from functools import partial
from pathlib import Path

from tests.loop.cycle.tiny_cycle import CYCLE_ID, Decisions, prepare, read_decisions, run_tiny_cycle, without_audit
from tests.training.drill import ForkedTraining
from yearling.config import Settings
from yearling.loop import CycleFolder

KILLS_PER_CYCLE = 5


def open_settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, model="tiny", engine="torch")


def run_to_end(data_dir: Path) -> float:
    """Run an uninterrupted attempt. Returns its seconds."""
    started = time.monotonic()
    ForkedTraining(partial(run_tiny_cycle, open_settings(data_dir))).finish()
    return time.monotonic() - started


def kill_cycle(data_dir: Path, kills: int, rng: random.Random, *, duration_s: float) -> list[str]:
    """Kill a cycle at random moments, then let it end. Returns the steps in which it was killed."""
    steps: list[str] = []
    folder = CycleFolder(data_dir / "cycles" / CYCLE_ID)
    while len(steps) < kills and folder.read_end() is None:
        attempt = ForkedTraining(partial(run_tiny_cycle, open_settings(data_dir)))
        time.sleep(rng.uniform(0, duration_s / max(1, kills // 2)))
        if attempt.has_ended():
            break
        os.kill(attempt.pid, signal.SIGKILL)
        os.waitpid(attempt.pid, 0)
        done = [record.name for record in folder.steps()] if (folder.path / "cycle.json").exists() else []
        steps.append(done[-1] if done else "start")
    run_to_end(data_dir)
    return steps


def compare(killed: Decisions, expected: Decisions) -> None:
    """Raises AssertionError unless both cycles decided and made the same, once."""
    if without_audit(killed) != without_audit(expected):
        raise AssertionError(f"the killed cycle differs:\n{killed}\n{expected}")


def drill(kills: int, folder: Path, *, seed: int) -> dict[str, int]:
    """Kill cycles until there were enough kills. Returns how many came after each step."""
    prepare(folder / "prepared")
    shutil.copytree(folder / "prepared", folder / "uninterrupted")
    duration_s = run_to_end(folder / "uninterrupted")
    expected = read_decisions(open_settings(folder / "uninterrupted"))
    if expected.outcome != "promoted":
        raise AssertionError(f"the uninterrupted cycle ended with {expected}")
    rng, counts, number = random.Random(seed), dict[str, int](), 0
    while sum(counts.values()) < kills:
        number += 1
        data_dir = folder / f"killed-{number}"
        shutil.copytree(folder / "prepared", data_dir)
        wanted = min(KILLS_PER_CYCLE, kills - sum(counts.values()))
        steps = kill_cycle(data_dir, wanted, rng, duration_s=duration_s)
        compare(read_decisions(open_settings(data_dir)), expected)
        for step in steps:
            counts[step] = counts.get(step, 0) + 1
        print(f"cycle {number}: killed after {', '.join(steps) or 'nothing'}; equal", file=sys.stderr, flush=True)
        shutil.rmtree(data_dir)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kills", type=int, nargs="?", default=30)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    arguments = parser.parse_args()
    for name in ("torch", "torch.optim", "torch._dynamo", "yearling.training.methods.sft", "yearling.api", "tuf.api.metadata"):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        counts = drill(arguments.kills, Path(folder), seed=arguments.seed)
    shown = ", ".join(f"{count} after {step}" for step, count in sorted(counts.items()))
    print(f"{sum(counts.values())} kills ({shown}): every cycle ended with the decisions and hashes of the uninterrupted one")


if __name__ == "__main__":
    main()
