from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.training.speed import TrainingContender, run_interleaved
from yearling.errors import Unavailable

WORKER = """
import json, sys, time
job = json.load(open(sys.argv[1]))
print("noise of a library")
print(json.dumps({"ready": True, "prepare_s": 2.5}), flush=True)
for number, line in enumerate(sys.stdin):
    with open(job["diary"], "a") as diary:
        diary.write(job["name"])
    if job.get("dies"):
        sys.exit("no memory left")
    print(json.dumps({"seconds": number + job["pace"], "cpu_s": 0.5}), flush=True)
print(json.dumps({"peak_bytes": 1000}), flush=True)
"""


def make_contender(folder: Path, name: str, pace: float, **options: object) -> TrainingContender:
    script = folder / "worker.py"
    script.write_text(WORKER)
    job = {"name": name, "pace": pace, "diary": str(folder / "diary"), **options}
    return TrainingContender(name, (sys.executable, str(script)), job)


def test_contenders_take_turns_and_another_one_begins_each_round(tmp_path: Path) -> None:
    contenders = [make_contender(tmp_path, "a", 4), make_contender(tmp_path, "b", 1)]
    slow, fast = run_interleaved(contenders, tokens=100, rounds=3, threads=1)
    assert (tmp_path / "diary").read_text() == "ab" + "ba" + "ab" + "ba"
    assert slow.seconds == (5.0, 6.0, 7.0)  # without the warm-up
    assert slow.cpu_seconds == (0.5, 0.5, 0.5)
    assert fast.tokens_per_s == pytest.approx(100 / 3)
    assert (slow.peak_bytes, slow.prepare_s) == (1000, 2.5)


def test_raises_unavailable_with_the_last_lines_of_a_contender_that_ends_early(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no memory left"):
        run_interleaved([make_contender(tmp_path, "a", 1, dies=True)], tokens=1, rounds=1, threads=1)
