"""Paired tests and intervals. Pure functions of numbers: they are independent of exams and models.

Every result is exact or seeded, so the same scores give the same verdict on every machine. A one-sided p-value tests "the
challenger is better than the champion". `wins` counts the pairs that only the challenger passes, `losses` those that only the
champion passes.

SciPy computes what it has: the binomial test and its intervals, the t-test, the bootstrap, ranks. Written here is what it lacks
(Tango's test, Holm's correction, sample sizes for paired pass/fail), and the sign-flip test: `scipy.stats.permutation_test` draws
other random flips, which would change the p-values of recorded gates. SciPy is imported inside the functions, since loading it
takes longer than most commands.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
FloatArray = NDArray[np.float64]

_MAX_EXACT_FLIPS = 14
"""Up to this many non-zero differences the sign-flip test enumerates every flip."""

_BOOTSTRAP_BATCH = 250
"""Resamples that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan, math.nan)


def mcnemar_test(wins: int, losses: int) -> float:
    """Exact one-sided McNemar test: P(at least `wins` wins | each discordant pair is a win with probability ½).

    Returns 1 when no pair is a win. McNemar (1947), Psychometrika 12, with the binomial instead of the chi-squared distribution.
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue) if wins else 1.0


def permutation_test(differences: Sequence[float] | FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """One-sided sign-flip test that the mean difference is above 0. Each number is one independent unit.

    Enumerates all flips where there are few, otherwise draws `resamples` flips. The observed signs count as one of the draws,
    so p is never 0 (Phipson and Smyth 2010).
    """
    x = np.asarray(differences, dtype=np.float64)
    x = x[x != 0]
    if not len(x):
        return 1.0
    observed = x.sum() - 1e-9 * np.abs(x).sum()
    if len(x) <= _MAX_EXACT_FLIPS:
        bits = (np.arange(2 ** len(x))[:, None] >> np.arange(len(x))) & 1
        return float((((2 * bits - 1) @ x) >= observed).mean())
    rng = np.random.default_rng(seed)
    at_least_observed = 0
    for start in range(0, resamples, 1000):
        signs = rng.integers(0, 2, size=(min(1000, resamples - start), len(x))) * 2 - 1
        at_least_observed += int((signs @ x >= observed).sum())
    return (at_least_observed + 1) / (resamples + 1)


def sum_by_cluster(values: Sequence[float], clusters: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """(sum, count) of the values of each cluster, in the order of first appearance: what clustered intervals resample."""
    positions = {cluster: position for position, cluster in enumerate(dict.fromkeys(clusters))}
    index = np.array([positions[cluster] for cluster in clusters], dtype=np.intp)
    sums: FloatArray = np.bincount(index, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def bootstrap_interval(
    statistic: Callable[..., float | FloatArray],
    *samples: FloatArray,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
    vectorized: bool = False,
) -> Interval:
    """`statistic(*samples)` with a percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    The samples are paired, so each resample takes the same positions of all of them. A vectorized statistic takes `axis`.
    Resamples on which the statistic is NaN are left out; where it is NaN on the samples themselves, so is the interval.
    """
    value = float(statistic(*samples)) if len(samples[0]) else math.nan
    if math.isnan(value):
        return UNDEFINED
    if len(samples[0]) == 1:
        return Interval(value, value, value)
    from scipy.stats import DegenerateDataWarning, bootstrap

    batch = max(1, min(_BOOTSTRAP_BATCH, int(2e7 // len(samples[0]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # about an interval that is not used: NaNs are left out below
        distribution = bootstrap(
            samples, statistic, paired=True, vectorized=vectorized, n_resamples=resamples, batch=batch, method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution  # fmt: skip
    defined = distribution[~np.isnan(distribution)]
    if not len(defined):
        return Interval(value, math.nan, math.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def bootstrap_ratio_interval(
    numerators: Sequence[float] | FloatArray,
    denominators: Sequence[float] | FloatArray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Ratio of sums with a percentile bootstrap interval over units; undefined where the denominators add up to 0.

    With the sums and counts of clusters as units this is a mean clustered by them. Of paired differences it is the paired
    bootstrap.
    """

    def ratio(top: FloatArray, bottom: FloatArray, axis: int = -1) -> FloatArray:
        below = bottom.sum(axis=axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(below > 0, top.sum(axis=axis) / below, np.nan)

    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    return bootstrap_interval(ratio, top, bottom, confidence=confidence, seed=seed, resamples=resamples, vectorized=True)


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927)."""
    return _proportion_interval(successes, n, confidence, "wilson")


def clopper_pearson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson 1934). It is never too narrow, also for small n and rare failures."""
    return _proportion_interval(successes, n, confidence, "exact")


def _proportion_interval(successes: int, n: int, confidence: float, method: Literal["wilson", "exact"]) -> Interval:
    from scipy.stats import binomtest

    if n == 0:
        return Interval(math.nan, 0.0, 1.0)
    interval = binomtest(successes, n).proportion_ci(confidence, method=method)
    return Interval(successes / n, float(interval.low), float(interval.high))


def holm_adjust(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of several tests (Holm 1979).

    Rejecting those up to α keeps the probability of any false rejection at α.
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = highest
    return adjusted


def tango_test(wins: int, losses: int, n: int, margin: float) -> float:
    """One-sided p-value against "the challenger is worse by `margin` or more", for n pass/fail pairs.

    The score test of Tango (1998), Statistics in Medicine 17, equation 7. Its variance is that of the maximum-likelihood rates
    under the hypothesis, so it holds its level where the plain normal test does not.
    """
    from scipy.special import ndtr

    if n == 0:
        return 1.0
    # q is the likeliest rate of losses when the rate of wins is q − margin: the larger root of a q² + b q + c.
    a, b, c = 2.0 * n, -(wins + losses) - margin * (2 * n + losses - wins), losses * margin * (1 + margin)
    q = (-b + math.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
    variance = n * (2 * q - margin * (margin + 1))
    if variance <= 0:
        return 0.0 if wins - losses + n * margin > 0 else 1.0
    return float(ndtr(-(wins - losses + n * margin) / math.sqrt(variance)))


def t_test(differences: Sequence[float] | FloatArray, margin: float = 0.0) -> float:
    """One-sided p-value against "the mean difference is −margin or less". Each number is one independent unit.

    Identical differences decide without doubt (0 or 1), where the t statistic is undefined.
    """
    from scipy.stats import ttest_1samp

    x = np.asarray(differences, dtype=np.float64)
    if len(x) < 2:
        return 1.0
    if x.std() == 0:
        return 0.0 if float(x.mean()) + margin > 0 else 1.0
    return float(ttest_1samp(x, -margin, alternative="greater").pvalue)


def minimum_detectable_effect(n: int, variance: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that n pairs detect with that power (one-sided); NaN without pairs.

    `variance` is that of one pair's difference. For pass/fail this is the share of discordant pairs, less the squared effect,
    which is neglected here.
    """
    from scipy.special import ndtri

    return math.nan if n == 0 else float(ndtri(1 - alpha) + ndtri(power)) * math.sqrt(max(variance, 1.0 / n) / n)


def required_pairs(effect: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs that detect a true difference of `effect` when the share `discordant` of pairs is discordant (Connor 1987)."""
    from scipy.special import ndtri

    root = math.sqrt(discordant - effect * effect)
    return math.ceil(((float(ndtri(1 - alpha)) * math.sqrt(discordant) + float(ndtri(power)) * root) / effect) ** 2)


def spearman_correlation(first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray, axis: int = -1) -> FloatArray:
    """Spearman's rank correlation along `axis`, ties sharing their mean rank; NaN where either side is constant.

    `scipy.stats.spearmanr` takes one pair of samples at a time and computes a p-value too, which makes a bootstrap slow.
    """
    a, b = (_centred(mean_ranks(values, axis=axis), axis) for values in (first, second))
    norm = np.sqrt((a * a).sum(axis=axis) * (b * b).sum(axis=axis))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(norm > 0, (a * b).sum(axis=axis) / norm, np.nan)


def mean_ranks(values: Sequence[float] | FloatArray, axis: int = -1) -> FloatArray:
    """Ranks from 1 along `axis`; ties share their mean rank."""
    from scipy.stats import rankdata

    ranks: FloatArray = rankdata(values, axis=axis)
    return ranks


def _centred(values: FloatArray, axis: int) -> FloatArray:
    centred: FloatArray = values - values.mean(axis=axis, keepdims=True)
    return centred
