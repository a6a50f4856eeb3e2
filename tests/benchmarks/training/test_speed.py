from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.training.speed import TrainingContender, generate_pairs, run_interleaved
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


def contender(folder: Path, name: str, pace: float, **more: object) -> TrainingContender:
    script = folder / "worker.py"
    script.write_text(WORKER)
    return TrainingContender(
        name, (sys.executable, str(script)), {"name": name, "pace": pace, "diary": str(folder / "diary"), **more}
    )


def test_contenders_take_turns_and_another_one_begins_each_round(tmp_path: Path) -> None:
    slow, quick = run_interleaved([contender(tmp_path, "a", 4), contender(tmp_path, "b", 1)], tokens=100, rounds=3, threads=1)
    assert (tmp_path / "diary").read_text() == "ab" + "ba" + "ab" + "ba"
    assert slow.seconds == (5.0, 6.0, 7.0)  # the warm-up is left out
    assert slow.cpu_seconds == (0.5, 0.5, 0.5)
    assert quick.tokens_per_s == pytest.approx(100 / 3)
    assert (slow.peak_bytes, slow.prepare_s) == (1000, 2.5)


def test_a_contender_that_dies_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no memory left"):
        run_interleaved([contender(tmp_path, "a", 1, dies=True)], tokens=1, rounds=1, threads=1)


def test_the_pairs_have_about_200_tokens_a_sequence() -> None:
    pairs = generate_pairs(64, vocab_size=49152)
    lengths = [len(pair["prompt_ids"]) + len(pair[side]) for pair in pairs for side in ("chosen_ids", "rejected_ids")]
    assert 180 < sum(lengths) / len(lengths) < 220
    assert pairs == generate_pairs(64, vocab_size=49152)
    assert len({tuple(pair["prompt_ids"][:24]) for pair in pairs}) == 1
