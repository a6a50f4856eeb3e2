"""Tests and intervals against closed forms, slow definitions and SciPy, and against the numbers that recorded runs have."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from yearling.evals.extreme_values import forecast_worst_case
from yearling.evals.graders.calibration import auroc, bootstrap_metric_interval, brier_score, expected_calibration_error
from yearling.evals.preference_correlation import correlate_with_preference
from yearling.evals.statistics import (
    FloatArray,
    Interval,
    bootstrap_ratio_interval,
    clopper_pearson_interval,
    holm_adjust,
    mcnemar_test,
    minimum_detectable_effect,
    permutation_test,
    required_pairs,
    spearman_correlation,
    sum_by_cluster,
    t_test,
    tango_test,
    wilson_interval,
)


def assert_interval(interval: Interval, value: float, low: float, high: float) -> None:
    assert (interval.value, interval.low, interval.high) == pytest.approx((value, low, high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (0, 0, 1.0),
        (5, 0, 0.03125),
        (15, 5, 0.020694732666015625),
        (5, 15, 0.9940910339355469),
        (60, 41, 0.036378503438762116),
        (300, 260, 0.049627935028683075),
    ],
)
def test_mcnemar_is_the_binomial_tail(wins: int, losses: int, p: float) -> None:
    assert mcnemar_test(wins, losses) == pytest.approx(p, rel=1e-9)
    assert mcnemar_test(wins, losses) == pytest.approx(
        sum(math.comb(wins + losses, k) for k in range(wins, wins + losses + 1)) / 2 ** (wins + losses)
    )


def test_permutation_test_counts_every_flip() -> None:
    differences = [0.5, -0.25, 1.0, 0.0, 0.75]
    flips = [sum(sign * d for sign, d in zip(signs, differences, strict=True)) for signs in itertools.product((1, -1), repeat=5)]
    assert permutation_test(differences) == pytest.approx(np.mean([flip >= sum(differences) - 1e-12 for flip in flips]))


def test_permutation_test_agrees_with_mcnemar_on_pass_fail_scores() -> None:
    differences = [1.0] * 30 + [-1.0] * 18 + [0.0] * 50
    assert permutation_test(differences, resamples=20_000) == pytest.approx(mcnemar_test(30, 18), abs=0.01)
    assert permutation_test(differences) == permutation_test(differences)


def test_clustering_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    by_prompt = rng.normal(size=100)
    values = [float(value) for value in np.repeat(by_prompt, 10)]
    clusters = [f"prompt {i // 10}" for i in range(1000)]
    clustered = bootstrap_ratio_interval(*sum_by_cluster(values, clusters))
    independent = bootstrap_ratio_interval(*sum_by_cluster(values, [str(i) for i in range(1000)]))
    expected = 2 * 1.96 * by_prompt.std() / 10
    assert clustered.high - clustered.low == pytest.approx(expected, rel=0.1)
    assert clustered.high - clustered.low > 2.5 * (independent.high - independent.low)
    assert clustered.value == pytest.approx(np.mean(values))


def test_holm_by_hand() -> None:
    assert holm_adjust({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


@pytest.mark.parametrize(
    ("wins", "losses", "n", "margin"), [(40, 60, 541, 0.04), (50, 50, 541, 0.04), (3, 5, 40, 0.1), (10, 2, 100, 0.05)]
)
def test_tango_uses_the_likeliest_rates_under_the_hypothesis(wins: int, losses: int, n: int, margin: float) -> None:
    def negative_log_likelihood(q: float) -> float:
        concordant = n - wins - losses
        return -(wins * math.log(q - margin) + losses * math.log(q) + concordant * math.log(1 - 2 * q + margin))

    bounds = (margin + 1e-12, (1 + margin) / 2 - 1e-12)
    q = optimize.minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = n * (2 * q - margin - margin**2)
    expected = stats.norm.sf((wins - losses + n * margin) / math.sqrt(variance))
    assert tango_test(wins, losses, n, margin) == pytest.approx(expected, abs=1e-6)


def test_required_pairs_are_those_of_the_specification() -> None:
    pairs = [required_pairs(effect, 0.2) for effect in (0.02, 0.03, 0.05, 0.10)]
    assert pairs == pytest.approx([3089, 1372, 493, 122], abs=1)
    assert minimum_detectable_effect(493, 0.2) == pytest.approx(0.05, abs=0.001)


def test_spearman_matches_scipy_along_each_row_and_is_undefined_for_constants() -> None:
    a, b = [1.0, 2.0, 2.0, 5.0, 3.0], [3.0, 1.0, 4.0, 4.0, 9.0]
    assert float(spearman_correlation(a, b)) == pytest.approx(stats.spearmanr(a, b).statistic)
    rows = spearman_correlation(np.array([a, b, [1.0] * 5]), np.array([b, b, a]))
    assert rows[:2] == pytest.approx([stats.spearmanr(a, b).statistic, 1.0])
    assert math.isnan(rows[2])


def test_t_test_of_identical_differences_decides_without_doubt() -> None:
    assert (t_test([0.5, 0.5], 0.1), t_test([-0.5, -0.5], 0.1), t_test([0.5])) == (0.0, 1.0, 1.0)


class TestRecordedNumbers:
    """Numbers that the versions before SciPy's functions gave for these inputs: new runs compare with recorded ones."""

    @pytest.fixture
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(11)

    @pytest.fixture
    def x(self, rng: np.random.Generator) -> FloatArray:
        return np.round(rng.normal(0.05, 0.4, size=60), 3)

    @pytest.fixture
    def y(self, rng: np.random.Generator, x: FloatArray) -> FloatArray:
        return np.round(rng.normal(0.02, 0.4, size=60), 3)

    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [
            (0, 10, 0.0, 0.3084971078187607),
            (8, 10, 0.4439045376923585, 0.9747892736731666),
            (10, 10, 0.6915028921812392, 1.0),
            (431, 541, 0.7602534289665284, 0.8298137313867208),
        ],
    )
    def test_clopper_pearson(self, successes: int, n: int, low: float, high: float) -> None:
        assert_interval(clopper_pearson_interval(successes, n), successes / n, low, high)

    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [
            (0, 10, 0.0, 0.2775327998628892),
            (8, 10, 0.4901624715366418, 0.9433178485456248),
            (10, 10, 0.7224672001371107, 1.0),
            (431, 541, 0.7607215694637552, 0.8284406442466374),
        ],
    )
    def test_wilson(self, successes: int, n: int, low: float, high: float) -> None:
        assert_interval(wilson_interval(successes, n), successes / n, low, high)

    def test_t_test(self, x: FloatArray) -> None:
        assert t_test(x, 0.04) == pytest.approx(0.07617134345889123)
        assert t_test(x[:12], -0.1) == pytest.approx(0.4228054032081202)

    def test_permutation_test(self, x: FloatArray) -> None:
        assert permutation_test(x) == pytest.approx(0.270972902709729)
        assert permutation_test(x[:10]) == 0.267578125

    def test_spearman(self, x: FloatArray, y: FloatArray) -> None:
        assert float(spearman_correlation(x, y)) == pytest.approx(0.37047431159520966)

    def test_bootstrap_ratio(self, rng: np.random.Generator, x: FloatArray, y: FloatArray) -> None:
        top, bottom = np.round(rng.random(200), 3), rng.integers(1, 4, size=200).astype(float)
        sparse = (rng.random(6) < 0.4).astype(float)
        assert_interval(bootstrap_ratio_interval(top, bottom), 0.24226302729528537, 0.21893496945675647, 0.2671793617282551)
        assert_interval(
            bootstrap_ratio_interval(top, bottom, confidence=0.9, seed=5, resamples=700),
            0.24226302729528537,
            0.22285635533874568,
            0.26275002596492136,
        )
        assert_interval(bootstrap_ratio_interval(top[:6], sparse), 1.3135, 0.5388, 3.243)  # some resamples have no denominator
        assert_interval(bootstrap_ratio_interval([0.3], [1.0]), 0.3, 0.3, 0.3)
        assert math.isnan(bootstrap_ratio_interval([0.3], [0.0]).low)

    def test_calibration_metrics(self, rng: np.random.Generator, x: FloatArray, y: FloatArray) -> None:
        rng.random(200), rng.integers(1, 4, size=200), rng.random(6)
        stated = np.round(rng.random(120), 2)
        correct = [bool(value) for value in rng.random(120) < stated]
        for metric, value, low, high in (
            (brier_score, 0.1822408333333333, 0.146060125, 0.22055745833333332),
            (expected_calibration_error, 0.07608333333333334, 0.07616250000000001, 0.18058958333333328),
            (auroc, 0.8061342592592593, 0.723194691621353, 0.8789115376608235),
        ):
            assert_interval(bootstrap_metric_interval(metric, list(stated), correct), value, low, high)
        few = bootstrap_metric_interval(auroc, list(stated[:4]), [True, False, True, True])
        assert_interval(few, 1.0, 1.0, 1.0)

    def test_worst_case_forecast(self, rng: np.random.Generator, x: FloatArray, y: FloatArray) -> None:
        rng.random(200), rng.integers(1, 4, size=200), rng.random(6), rng.random(120), rng.random(120)
        forecast = forecast_worst_case(list(np.round(rng.exponential(1.0, size=400), 4)), 10_000, resamples=100)
        assert (forecast.median, forecast.low, forecast.high) == pytest.approx(
            (11.335475604307877, 6.520719933701211, 19.481933564315884)
        )
        assert (forecast.tail.threshold, forecast.tail.fraction) == pytest.approx((2.21234, 0.1))
        assert (forecast.tail.shape, forecast.tail.scale) == pytest.approx((0.036301196460885254, 1.0958484112214242))

    def test_preference_correlation(self) -> None:
        scores = {"0": 0.06, "1": 0.44, "2": 0.38, "3": 0.87, "4": 0.07, "5": 0.2, "6": 0.94, "7": 0.02, "8": 0.26}
        preference = {"0": 0.1, "1": 0.4, "2": 0.2, "3": 0.3, "4": 0.6, "5": -0.3, "6": 0.8, "7": 0.2, "8": 0.4}
        result = correlate_with_preference("a", scores, preference)
        assert (result.correlation, result.low, result.high) == pytest.approx(
            (0.5126231421577709, -0.2422961406091012, 0.8948811421694971)
        )
        rounded = correlate_with_preference("a", scores, {model: float(round(score)) for model, score in scores.items()})
        assert (rounded.correlation, rounded.low, rounded.high) == pytest.approx(
            (0.724568837309472, 0.552344770738994, 0.8964214570007952)
        )
