"""Paired tests and intervals: pure functions of numbers, which know neither exams nor models.

Everything is exact or seeded, so that the same results give the same verdict on every machine. One-sided p-values speak for "the
second (challenger) is better than the first (champion)"; `wins` counts the pairs that only the challenger got right, `losses`
those that only the champion did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with what it may lie between."""

    value: float
    low: float
    high: float


def mcnemar_test(wins: int, losses: int) -> float:
    """P(at least so many wins | a discordant pair falls either way with equal chance): the exact one-sided McNemar test.

    1 when no pair is discordant. McNemar (1947), Psychometrika 12, with the binomial instead of the chi-squared distribution.
    """
    from scipy.special import bdtrc

    return float(bdtrc(wins - 1, wins + losses, 0.5)) if wins else 1.0


def permutation_test(differences: Sequence[float] | FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """One-sided sign-flip test that the mean difference is above 0; each number is one independent unit.

    All 2^n flips up to n = 14, else `resamples` drawn ones; the observed one counts as one of them, so p is never 0
    (Phipson and Smyth 2010).
    """
    x = np.asarray(differences, dtype=np.float64)
    x = x[x != 0]
    if not len(x):
        return 1.0
    observed = x.sum() - 1e-9 * np.abs(x).sum()
    if len(x) <= 14:
        bits = (np.arange(2 ** len(x))[:, None] >> np.arange(len(x))) & 1
        return float((((2 * bits - 1) @ x) >= observed).mean())
    rng = np.random.default_rng(seed)
    above = 0
    for start in range(0, resamples, 1000):
        signs = rng.integers(0, 2, size=(min(1000, resamples - start), len(x))) * 2 - 1
        above += int((signs @ x >= observed).sum())
    return (above + 1) / (resamples + 1)


def sum_by_cluster(values: Sequence[float], clusters: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """(sum, count) per unit, in the order of first appearance: what clustered intervals resample."""
    place = {unit: at for at, unit in enumerate(dict.fromkeys(clusters))}
    index = np.array([place[unit] for unit in clusters], dtype=np.intp)
    sums: FloatArray = np.bincount(index, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def bootstrap_ratio_interval(
    numerators: Sequence[float] | FloatArray,
    denominators: Sequence[float] | FloatArray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Ratio of sums with a percentile bootstrap interval over units (Efron and Tibshirani 1993, chapter 13).

    With sums and counts per unit this is a mean clustered by unit; of paired differences, the paired bootstrap.
    """
    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    total = bottom.sum()
    if not len(top) or total == 0:
        return Interval(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    rounds = max(1, min(resamples, int(2e7 // len(top)), 250))
    ratios = []
    for start in range(0, resamples, rounds):
        drawn = rng.integers(0, len(top), size=(min(rounds, resamples - start), len(top)))
        below = bottom[drawn].sum(axis=1)
        ratios.append(top[drawn].sum(axis=1)[below > 0] / below[below > 0])
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(ratios), [tail, 1 - tail])
    return Interval(float(top.sum() / total), float(low), float(high))


def wilson_interval(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927)."""
    from scipy.special import ndtri

    if n == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = float(ndtri(0.5 + confidence / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))


def clopper_pearson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson 1934): never too narrow, for small n and rare failures."""
    from scipy.special import betaincinv

    if n == 0:
        return Interval(math.nan, 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(successes / n, low, high)


def holm_adjust(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of several tests: rejecting those up to α keeps the chance of any false one at α (Holm 1979)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = highest
    return adjusted


def tango_test(wins: int, losses: int, n: int, margin: float) -> float:
    """One-sided p-value against "the challenger is worse by `margin` or more", for paired pass/fail.

    The score test of Tango (1998), Statistics in Medicine 17, equation 7: the variance is that of the likeliest rates under
    the hypothesis, so that it holds its level where the plain normal test does not.
    """
    from scipy.special import ndtr

    if n == 0:
        return 1.0
    # q, the likeliest rate of losses when the rate of wins is q − margin: the larger root of a q² + b q + c.
    a, b, c = 2.0 * n, -(wins + losses) - margin * (2 * n + losses - wins), losses * margin * (1 + margin)
    q = (-b + math.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
    variance = n * (2 * q - margin * (margin + 1))
    if variance <= 0:
        return 0.0 if wins - losses + n * margin > 0 else 1.0
    return float(ndtr(-(wins - losses + n * margin) / math.sqrt(variance)))


def t_test(differences: Sequence[float] | FloatArray, margin: float = 0.0) -> float:
    """One-sided p-value against "the mean difference is −margin or less"; each number is one independent unit."""
    from scipy.special import stdtr

    x = np.asarray(differences, dtype=np.float64)
    if len(x) < 2:
        return 1.0
    spread = float(x.std(ddof=1)) / math.sqrt(len(x))
    above = float(x.mean()) + margin
    if spread == 0:
        return 0.0 if above > 0 else 1.0
    return float(stdtr(len(x) - 1, -above / spread))


def minimum_detectable_effect(n: int, variance: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that n pairs show with that power (one-sided); `variance` is of one pair's difference.

    For pass/fail the variance is the share of discordant pairs, less the squared effect, which is left out here.
    """
    from scipy.special import ndtri

    return math.nan if n == 0 else float(ndtri(1 - alpha) + ndtri(power)) * math.sqrt(max(variance, 1.0 / n) / n)


def required_pairs(effect: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs that show a true difference of `effect` when that share of pairs is discordant (Connor 1987)."""
    from scipy.special import ndtri

    root = math.sqrt(discordant - effect * effect)
    return math.ceil(((float(ndtri(1 - alpha)) * math.sqrt(discordant) + float(ndtri(power)) * root) / effect) ** 2)


def spearman_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation, ties sharing their mean rank; NaN when either is constant."""
    a, b = mean_ranks(first), mean_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm else math.nan


def mean_ranks(values: Sequence[float]) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = ((last - (counts - 1) / 2)[inverse]).astype(np.float64)
    return ranks
