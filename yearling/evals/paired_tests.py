"""Paired tests of a challenger against a champion on one exam, from counts or from scores.

They say how likely a result is if the challenger is no better, no worse, or worse by a margin. What follows from that for a
release, rules decide (`yearling/release/gates.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yearling.errors import BadInput
from yearling.evals.statistics import (
    Interval,
    bootstrap_ratio_interval,
    mcnemar_test,
    minimum_detectable_effect,
    permutation_test,
    sum_by_cluster,
    t_test,
    tango_test,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTestLevels:
    """The levels of the tests. Raises BadInput for levels that no test can have.

    `alpha` bounds the probability of a false positive. `margin` is the loss, in score, that `p_tolerable` tests against. `power`
    is that of the smallest detectable effect that is reported.
    """

    alpha: float = 0.05
    power: float = 0.8
    margin: float = 0.04

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1 and 0 < self.margin < 1):
            raise BadInput("Paired tests need 0 < alpha < ½, alpha < power < 1 and 0 < margin < 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTestResult:
    """The paired tests of one exam. `p_tolerable` tests against "worse by the margin or more"."""

    n: int
    """Independent units: cases, or clusters of cases."""
    difference: float
    """Mean score of the challenger less that of the champion."""
    p_better: float
    p_worse: float
    p_tolerable: float
    detectable: float
    """The smallest true difference that this many pairs detect with the power of the levels."""
    wins: int
    losses: int
    test: str


def paired_test_from_counts(wins: int, losses: int, n: int, levels: PairedTestLevels | None = None) -> PairedTestResult:
    """Tests on n independent pass/fail pairs: only the challenger passes `wins` of them, only the champion `losses`."""
    levels = levels or PairedTestLevels()
    return PairedTestResult(
        n=n,
        difference=(wins - losses) / n,
        p_better=mcnemar_test(wins, losses),
        p_worse=mcnemar_test(losses, wins),
        p_tolerable=tango_test(wins, losses, n, levels.margin),
        detectable=minimum_detectable_effect(n, (wins + losses) / n, alpha=levels.alpha, power=levels.power),
        wins=wins,
        losses=losses,
        test="exact McNemar",
    )


def paired_test_from_scores(
    champion: Sequence[float],
    challenger: Sequence[float],
    clusters: Sequence[str],
    levels: PairedTestLevels | None = None,
    *,
    seed: int = 0,
) -> PairedTestResult:
    """Tests on paired scores, one per case and model; cases of one cluster count as one observation.

    Pass/fail scores of independent cases take the exact test. Everything else takes a permutation test and, against the margin, a
    t-test over clusters. Raises BadInput without pairs, or for sequences of different lengths.
    """
    levels = levels or PairedTestLevels()
    if not champion or not len(champion) == len(challenger) == len(clusters):
        raise BadInput("A comparison needs at least one pair of scores, and as many scores of one model as of the other.")
    differences = np.asarray(challenger, dtype=np.float64) - np.asarray(champion, dtype=np.float64)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    if len(set(clusters)) == len(clusters) and {*champion, *challenger} <= {0.0, 1.0}:
        return paired_test_from_counts(wins, losses, len(clusters), levels)
    sums, counts = sum_by_cluster(list(differences), clusters)
    # Weighted by the cases of each cluster, so that the mean over clusters is the reported difference.
    weighted = sums / counts.mean()
    return PairedTestResult(
        n=len(sums),
        difference=float(differences.mean()),
        p_better=permutation_test(weighted, seed=seed),
        p_worse=permutation_test(-weighted, seed=seed),
        p_tolerable=t_test(weighted, levels.margin),
        detectable=minimum_detectable_effect(len(sums), float(weighted.var()), alpha=levels.alpha, power=levels.power),
        wins=wins,
        losses=losses,
        test="permutation of units",
    )


def difference_interval(
    champion: Sequence[float], challenger: Sequence[float], clusters: Sequence[str], *, seed: int = 0
) -> Interval:
    """Mean of challenger less champion with a 95 % paired bootstrap interval, resampled by cluster."""
    differences = [new - old for old, new in zip(champion, challenger, strict=True)]
    return bootstrap_ratio_interval(*sum_by_cluster(differences, clusters), seed=seed)
