"""Strengths per side, and the labels and weights of pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from yearling.feedback.pairs import (
    ComparisonArrays,
    PairParameters,
    blend_odds,
    build_pair,
    fit_bradley_terry,
    pooled_strengths,
    side_strengths,
)

P = PairParameters()


def make_comparisons(rows: list[tuple[int, int, int]]) -> ComparisonArrays:
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return ComparisonArrays(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), np.ones(len(table)))


def test_gradient_vanishes_at_the_fitted_strengths() -> None:
    generator = np.random.default_rng(0)
    comparisons = make_comparisons([(0, *generator.choice(6, 2, replace=False).tolist()) for _ in range(80)])
    prior = generator.normal(size=6)
    theta = fit_bradley_terry(comparisons, prior, 0.5, 2000)
    gradient = -0.5 * (theta - prior)
    for _, winner, loser in zip(comparisons.raters, comparisons.winners, comparisons.losers, strict=True):
        miss = 1.0 - 1.0 / (1.0 + np.exp(theta[loser] - theta[winner]))
        gradient[winner] += miss
        gradient[loser] -= miss
    assert np.abs(gradient).max() < 1e-4


def test_strengths_without_comparisons_equal_the_prior() -> None:
    assert fit_bradley_terry(make_comparisons([]), np.array([1.0, -1.0]), 1.0, 50).tolist() == [1.0, -1.0]


def test_order_of_comparisons_changes_no_bit() -> None:
    generator = np.random.default_rng(1)
    rows = [(int(generator.integers(9)), *generator.choice(12, 2, replace=False).tolist()) for _ in range(300)]
    sides = (np.arange(9) % 2).astype(np.int8)
    predictions = generator.uniform(size=(2, 12))
    first = side_strengths(make_comparisons(rows), sides, predictions, P)
    generator.shuffle(rows)
    assert side_strengths(make_comparisons(rows), sides, predictions, P).tobytes() == first.tobytes()


def test_ties_bring_strengths_together() -> None:
    apart = fit_bradley_terry(make_comparisons([(0, 0, 1)] * 5), np.zeros(2), 0.5, 200)
    comparisons = replace(make_comparisons([(0, 0, 1)] * 5), wins=np.full(5, 0.5))
    assert apart[0] - apart[1] > 1.0
    assert fit_bradley_terry(comparisons, np.array([1.0, -1.0]), 0.5, 200)[0] < 0.6


@pytest.mark.parametrize("odds", [(2.0, 0.5), (0.5, 2.0), (-2.0, -0.5)])
def test_q_is_the_probability_of_the_weaker_side(odds: tuple[float, float]) -> None:
    pair = build_pair("a", "b", odds, 18)
    assert (pair.better, pair.worse) == (("a", "b") if odds[0] > 0 else ("b", "a"))
    assert pair.q == pytest.approx(1.0 / (1.0 + np.exp(-0.5)))
    assert pair.weight == 2.0 * pair.q - 1.0


def test_label_does_not_depend_on_the_order_of_answers() -> None:
    there, back = build_pair("a", "b", (0.3, 1.7), 9), build_pair("b", "a", (-0.3, -1.7), 9)
    assert there == back


def test_pair_that_cannot_train_has_a_reason() -> None:
    assert build_pair("a", "b", (1.0, -0.1), 18).reason == "people_are_divided"
    assert build_pair("a", "b", (0.0, 0.0), 2) == build_pair("a", "b", (0.0, 1.0), 2)
    assert (build_pair("a", "b", (0.0, 0.0), 2).reason, build_pair("a", "b", (1.0, 0.0), 2).weight) == ("nothing_decided", 0.0)


@pytest.mark.parametrize("voices", [1, 2, 3, 5, 12])
def test_pair_alone_gets_about_the_rule_of_succession(voices: int) -> None:
    strengths = pooled_strengths(make_comparisons([(k, 0, 1) for k in range(voices)]), 2, P)
    q = 1.0 / (1.0 + np.exp(strengths[1] - strengths[0]))
    assert q == pytest.approx((voices + 1) / (voices + 2), abs=0.03)


def test_sides_decide_as_far_as_a_division_is_visible() -> None:
    pooled, sides = np.array([1.0]), np.array([[2.0], [-1.0]])
    assert blend_odds(pooled, sides, 0.0).tolist() == [[1.0], [1.0]]
    assert blend_odds(pooled, sides, 1.0).tolist() == sides.tolist()
