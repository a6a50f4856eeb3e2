"""Does a gate measure what people want? Rank correlation of its scores with blinded, bridged preference, over checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from yearling.errors import BadInput
from yearling.evals.statistics import spearman

LEAST_CHECKPOINTS = 5
LEAST_CORRELATION = 0.3


@dataclass(frozen=True, slots=True)
class Usefulness:
    """One suite. A suite that people's preference does not follow loses its gating power."""

    suite: str
    checkpoints: int
    correlation: float
    low: float
    high: float
    may_gate: bool


def usefulness_of(suite: str, scores: Mapping[str, float], preference: Mapping[str, float], *, seed: int = 0) -> Usefulness:
    """Over the checkpoints (by model hash) that have both; 95 % bootstrap interval. Raises BadInput for fewer than five."""
    both = sorted(set(scores) & set(preference))
    if len(both) < LEAST_CHECKPOINTS:
        raise BadInput(
            f"The usefulness gap needs {LEAST_CHECKPOINTS} checkpoints with scores and preferences; there are {len(both)}."
        )
    x, y = np.array([scores[one] for one in both]), np.array([preference[one] for one in both])
    found = spearman(list(x), list(y))
    rng = np.random.default_rng(seed)
    drawn = [spearman(list(x[i]), list(y[i])) for i in rng.integers(0, len(both), size=(1000, len(both)))]
    known = [value for value in drawn if not math.isnan(value)]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (math.nan, math.nan)
    return Usefulness(suite, len(both), found, float(low), float(high), not math.isnan(found) and found >= LEAST_CORRELATION)
