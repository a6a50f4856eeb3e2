"""Measures the time and memory of a fit and of a full run, beside a textbook alternating least squares without loops.

Every measurement runs in its own process, so that memory peaks do not mix. Times are processor seconds. To run one measurement
from the repository root: `python -m benchmarks.consensus.speed pipeline 100000`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.consensus.simulation import START_UTC
from yearling.feedback.consensus import run_consensus
from yearling.feedback.events import FeedbackEvent, Rating
from yearling.feedback.exact_arithmetic import Floats
from yearling.feedback.rater_model import PAPER_FIT, PREDICTION_FIT, FitParameters, SparseRatings, fit_rater_model

ROOT = Path(__file__).parents[2]
"""The repository root, from which `benchmarks` can be imported."""

NUM_RATERS = 20_000
NUM_ITEMS = 10_000


def synthetic_ratings(num_ratings: int) -> SparseRatings:
    """Return `num_ratings` ratings by two camps, at most one for each (rater, item)."""
    generator = np.random.default_rng(0)
    scale = np.sqrt(num_ratings / 1_000_000)
    num_raters, num_items = int(NUM_RATERS * scale), int(NUM_ITEMS * scale)
    keys = np.unique(generator.integers(0, num_raters * num_items, int(num_ratings * 1.01)))
    keys = generator.permutation(keys)[:num_ratings]
    raters, items = (keys // num_items).astype(np.int32), (keys % num_items).astype(np.int32)
    camp = generator.choice([-1.0, 1.0], num_raters)
    quality, slant = generator.normal(0.55, 0.2, num_items), generator.normal(0.0, 0.25, num_items)
    chance = quality[items] + camp[raters] * slant[items]
    return SparseRatings(raters, items, (generator.random(len(keys)) < chance).astype(np.float64), num_raters, num_items)


def fit_plain_als(ratings: SparseRatings, parameters: FitParameters = PAPER_FIT) -> Floats:
    """Return (N,) item intercepts by the textbook method: gathers and bincounts over all ratings in each half step."""
    u, n, r = ratings.raters, ratings.items, ratings.values
    num_raters, num_items = ratings.num_raters, ratings.num_items
    mu = float(r.mean())
    iu, i_n, fu = np.zeros(num_raters), np.zeros(num_items), np.zeros(num_raters)
    fn = np.random.default_rng(parameters.seed).normal(0.0, 0.3, num_items)

    def solve_half_step(
        rows: np.ndarray, cols: np.ndarray, size: int, bias: Floats, f: Floats, penalty: float
    ) -> tuple[Floats, Floats]:
        g, y = f[cols], r - mu - bias[cols]
        a11 = np.bincount(rows, minlength=size) + penalty
        a12, a22 = np.bincount(rows, g, size), np.bincount(rows, g * g, size) + parameters.factor_penalty
        b1, b2 = np.bincount(rows, y, size), np.bincount(rows, y * g, size)
        det = a11 * a22 - a12 * a12
        return (a22 * b1 - a12 * b2) / det, (a11 * b2 - a12 * b1) / det

    for _ in range(parameters.rounds + parameters.start_rounds):
        iu, fu = solve_half_step(u, n, num_raters, i_n, fn, parameters.rater_penalty)
        i_n, fn = solve_half_step(n, u, num_items, iu, fu, parameters.item_penalty)
        mu = float(np.mean(r - iu[u] - i_n[n] - fu[u] * fn[n]))
    return i_n


def ratings_to_events(ratings: SparseRatings) -> list[FeedbackEvent]:
    """Return the same ratings as events, a second apart."""
    return [
        Rating(id=f"e{k:08d}", created_utc=START_UTC + timedelta(seconds=k), actor=f"u{u}", item=f"i{n}", value=v)
        for k, (u, n, v) in enumerate(zip(ratings.raters.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True))
    ]


def measure_workload(workload: str, num_ratings: int) -> dict[str, float | str]:
    """Measure processor seconds and peak memory of `plain`, `ours`, `prediction` or `pipeline` in this process."""
    fit_rater_model(synthetic_ratings(1_000), PAPER_FIT)  # loads what is imported late, so that it does not count
    ratings = synthetic_ratings(num_ratings)
    events = ratings_to_events(ratings) if workload == "pipeline" else []
    workloads: dict[str, Callable[[], object]] = {
        "plain": lambda: fit_plain_als(ratings),
        "ours": lambda: fit_rater_model(ratings, PAPER_FIT),
        "prediction": lambda: fit_rater_model(ratings, PREDICTION_FIT),
        "pipeline": lambda: run_consensus(events).snapshot.hash,
    }
    before_mib = _peak_mib()
    started_s = time.process_time()
    result = workloads[workload]()
    seconds = time.process_time() - started_s
    peak_mib = _peak_mib()
    return {
        "what": workload,
        "ratings": num_ratings,
        "seconds": seconds,
        "peak_mib": peak_mib,
        "before_mib": before_mib,
        "hash": result if isinstance(result, str) else "",
    }


def _peak_mib() -> float:
    """Return the peak resident memory of this program. `getrusage` would include that of the parent process."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def measure_in_subprocess(workload: str, num_ratings: int) -> dict[str, float | str]:
    """Run `measure_workload` in a new interpreter with one thread."""
    command = [sys.executable, "-m", "benchmarks.consensus.speed", workload, str(num_ratings)]
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    completed = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **threads}, cwd=ROOT)
    result: dict[str, float | str] = json.loads(completed.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(measure_workload(sys.argv[1], int(sys.argv[2]))))
