"""Measures of stated confidence: expected calibration error, Brier score and AUROC. Pure functions of numbers.

`confidence` holds numbers from 0 to 1 and `correct` holds 0 or 1; both are arrays of the same length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from yearling.evals.statistics import FloatArray, Interval, bootstrap_interval, mean_ranks

BINS = 10


def brier_score(confidence: FloatArray, correct: FloatArray) -> float:
    """Mean squared distance of confidence and outcome (Brier 1950). 0 is best; always stating 50 % gives 0.25."""
    return float(np.mean((confidence - correct) ** 2))


def expected_calibration_error(confidence: FloatArray, correct: FloatArray) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, weighted by their share of answers.

    A confidence on an edge belongs to the bin above it, 1 to the last bin (Naeini et al. 2015; Guo et al. 2017).
    """
    index = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    gaps = np.bincount(index, weights=confidence - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / counts.sum())


def auroc(confidence: FloatArray, correct: FloatArray) -> float:
    """Probability that a correct answer carries more confidence than a wrong one, ties counting half.

    NaN when all answers are correct or all are wrong. This is the Mann–Whitney U statistic over its maximum, computed from ranks:
    `scipy.stats.mannwhitneyu` adds a p-value, which makes the bootstrap several times slower.
    """
    num_correct, num_wrong = int(correct.sum()), int(len(correct) - correct.sum())
    if not num_correct or not num_wrong:
        return math.nan
    rank_sum = mean_ranks(confidence)[correct == 1].sum()
    return float((rank_sum - num_correct * (num_correct + 1) / 2) / (num_correct * num_wrong))


def bootstrap_metric_interval(
    metric: Callable[[FloatArray, FloatArray], float],
    confidence: Sequence[float],
    correct: Sequence[bool],
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """One of the metrics above with a percentile bootstrap interval; resamples on which it is undefined are left out."""
    x, y = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    return bootstrap_interval(metric, x, y, confidence=confidence_level, seed=seed, resamples=resamples)
