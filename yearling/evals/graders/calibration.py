"""Is stated confidence worth anything? ECE, Brier score and AUROC, with bootstrap intervals. Pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.evals.statistics import Interval

FloatArray = NDArray[np.float64]
BINS = 10


def brier_score(confidence: FloatArray, correct: FloatArray) -> float:
    """Mean squared distance of confidence and outcome; 0 is best, 0.25 is what "50 %" always gets (Brier 1950)."""
    return float(np.mean((confidence - correct) ** 2))


def expected_calibration_error(confidence: FloatArray, correct: FloatArray) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over ten bins of equal width, by their share.

    A confidence on an edge belongs to the bin above it, 1 to the last (Naeini et al. 2015; Guo et al. 2017).
    """
    index = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    gaps = np.bincount(index, weights=confidence - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / counts.sum())


def auroc(confidence: FloatArray, correct: FloatArray) -> float:
    """Chance that a right answer carries more confidence than a wrong one, ties counting half; NaN when all are alike."""
    right, wrong = int(correct.sum()), int(len(correct) - correct.sum())
    if not right or not wrong:
        return math.nan
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[correct == 1].sum() - right * (right + 1) / 2) / (right * wrong))


def bootstrap_metric_interval(
    measure: Callable[[FloatArray, FloatArray], float],
    confidence: Sequence[float],
    correct: Sequence[bool],
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """The measure with a percentile bootstrap interval; draws on which it is undefined are left out."""
    x, y = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if not len(x):
        return Interval(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    drawn = [measure(x[i], y[i]) for i in rng.integers(0, len(x), size=(resamples, len(x)))]
    known = [value for value in drawn if not math.isnan(value)]
    low, high = np.quantile(known, [(1 - confidence_level) / 2, (1 + confidence_level) / 2]) if known else (math.nan, math.nan)
    return Interval(measure(x, y), float(low), float(high))
