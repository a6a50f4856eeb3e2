"""Tests against closed forms, against slow definitions and against scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from yearling.evals import statistics as s


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (15, 5), (5, 15), (60, 41)])
def test_mcnemar_is_the_binomial_tail(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue if wins else 1.0
    assert s.mcnemar_test(wins, losses) == pytest.approx(expected)


def test_permutation_test_counts_every_flip() -> None:
    differences = [0.5, -0.25, 1.0, 0.0, 0.75]
    flips = [sum(sign * d for sign, d in zip(signs, differences, strict=True)) for signs in itertools.product((1, -1), repeat=5)]
    assert s.permutation_test(differences) == pytest.approx(np.mean([flip >= sum(differences) - 1e-12 for flip in flips]))


def test_permutation_test_agrees_with_mcnemar_on_pass_and_fail() -> None:
    differences = [1.0] * 30 + [-1.0] * 18 + [0.0] * 50
    assert s.permutation_test(differences, resamples=20_000) == pytest.approx(s.mcnemar_test(30, 18), abs=0.01)
    assert s.permutation_test(differences) == s.permutation_test(differences)


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    by_prompt = rng.normal(size=100)
    values = [float(value) for value in np.repeat(by_prompt, 10)]
    units = [f"prompt {i // 10}" for i in range(1000)]
    clustered = s.bootstrap_ratio_interval(*s.sum_by_cluster(values, units))
    alone = s.bootstrap_ratio_interval(*s.sum_by_cluster(values, [str(i) for i in range(1000)]))
    expected = 2 * 1.96 * by_prompt.std() / 10
    assert clustered.high - clustered.low == pytest.approx(expected, rel=0.1)
    assert clustered.high - clustered.low > 2.5 * (alone.high - alone.low)
    assert clustered.value == pytest.approx(np.mean(values))


def test_intervals_of_proportions_match_scipy() -> None:
    for successes, n in ((0, 10), (8, 10), (10, 10), (431, 541)):
        test = stats.binomtest(successes, n)
        for ours, theirs in ((s.wilson_interval(successes, n), "wilson"), (s.clopper_pearson_interval(successes, n), "exact")):
            low, high = test.proportion_ci(method=theirs)
            assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-9)


def test_holm_by_hand() -> None:
    assert s.holm_adjust({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


@pytest.mark.parametrize(
    ("wins", "losses", "n", "margin"), [(40, 60, 541, 0.04), (50, 50, 541, 0.04), (3, 5, 40, 0.1), (10, 2, 100, 0.05)]
)
def test_tango_uses_the_likeliest_rates_under_the_hypothesis(wins: int, losses: int, n: int, margin: float) -> None:
    def unlikelihood(q: float) -> float:
        rest = n - wins - losses
        return -(wins * math.log(q - margin) + losses * math.log(q) + rest * math.log(1 - 2 * q + margin))

    bounds = (margin + 1e-12, (1 + margin) / 2 - 1e-12)
    q = optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = n * (2 * q - margin - margin**2)
    expected = stats.norm.sf((wins - losses + n * margin) / math.sqrt(variance))
    assert s.tango_test(wins, losses, n, margin) == pytest.approx(expected, abs=1e-6)


def test_pairs_needed_are_those_of_the_specification() -> None:
    needed = [s.required_pairs(effect, 0.2) for effect in (0.02, 0.03, 0.05, 0.10)]
    assert needed == pytest.approx([3089, 1372, 493, 122], abs=1)
    assert s.minimum_detectable_effect(493, 0.2) == pytest.approx(0.05, abs=0.001)


def test_rank_correlation_and_t_test_match_scipy() -> None:
    a, b = [1.0, 2.0, 2.0, 5.0, 3.0], [3.0, 1.0, 4.0, 4.0, 9.0]
    assert s.spearman_correlation(a, b) == pytest.approx(stats.spearmanr(a, b)[0])
    expected = stats.ttest_1samp(a, 1.0, alternative="greater").pvalue
    assert s.t_test(a, margin=-1.0) == pytest.approx(expected)
    assert math.isnan(s.spearman_correlation([1.0, 1.0], [1.0, 2.0]))
