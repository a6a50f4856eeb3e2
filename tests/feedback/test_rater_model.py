"""The rater model, compared with its definition computed slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.consensus.simulation import Population, plant_truth
from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Floats, Ints
from yearling.feedback.rater_model import (
    PAPER_FIT,
    PREDICTION_FIT,
    FitParameters,
    RaterModel,
    SparseRatings,
    _normal_equation_terms,
    fit_rater_model,
    solve_rows,
)


def planted_ratings(seed: int = 0, num_raters: int = 40, num_items: int = 30, density: float = 0.6) -> SparseRatings:
    world = plant_truth(Population(num_raters=num_raters, num_items=num_items, seed=seed))
    generator = np.random.default_rng(seed)
    u, n = np.nonzero(generator.random((num_raters, num_items)) < density)
    values = (generator.random(len(u)) < world.approval[world.camp[u], n]).astype(float)
    return SparseRatings(u.astype(np.int32), n.astype(np.int32), values, num_raters, num_items)


def loss(ratings: SparseRatings, m: RaterModel, p: FitParameters) -> float:
    total = 0.0
    for u, n, r in zip(ratings.raters, ratings.items, ratings.values, strict=True):
        guess = m.level + m.rater_bias[u] + m.item_bias[n] + float(m.rater_factors[u] @ m.item_factors[n])
        total += (r - guess) ** 2
    total += p.rater_penalty * float(m.rater_bias @ m.rater_bias) + p.item_penalty * float(m.item_bias @ m.item_bias)
    return total + p.factor_penalty * float((m.rater_factors**2).sum() + (m.item_factors**2).sum())


@pytest.mark.parametrize("p", [PAPER_FIT, PREDICTION_FIT, replace(PAPER_FIT, factors=0)], ids=["paper", "prediction", "biases"])
def test_converged_fit_is_a_local_minimum(p: FitParameters) -> None:
    ratings = planted_ratings()
    p = replace(p, rounds=400, bias_rounds=60)
    m = fit_rater_model(ratings, p)
    best = loss(ratings, m, p)
    generator = np.random.default_rng(0)
    for name in ("rater_bias", "item_bias", "rater_factors", "item_factors"):
        for _ in range(5):
            step = 1e-3 * generator.standard_normal(getattr(m, name).shape)
            assert loss(ratings, replace(m, **{name: getattr(m, name) + step}), p) >= best - 1e-6


def test_order_of_ratings_changes_no_bit() -> None:
    ratings = planted_ratings()
    order = np.random.default_rng(1).permutation(ratings.size)
    shuffled = SparseRatings(
        ratings.raters[order], ratings.items[order], ratings.values[order], ratings.num_raters, ratings.num_items
    )
    for p in (PAPER_FIT, PREDICTION_FIT):
        a, b = fit_rater_model(ratings, p), fit_rater_model(shuffled, p)
        assert a.level == b.level
        for name in ("rater_bias", "item_bias", "rater_factors", "item_factors"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()


def test_fit_finds_planted_camps() -> None:
    world = plant_truth(Population(num_raters=60, num_items=60, seed=3))
    generator = np.random.default_rng(3)
    u, n = np.nonzero(generator.random((60, 60)) < 0.6)
    values = (generator.random(len(u)) < world.approval[world.camp[u], n]).astype(float)
    m = fit_rater_model(SparseRatings(u.astype(np.int32), n.astype(np.int32), values, 60, 60), PAPER_FIT)
    same = float(np.mean((m.rater_factors[:, 0] > 0) == (world.camp == 0)))
    assert max(same, 1.0 - same) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_deterministic_start_is_as_good_as_random_starts(seed: int) -> None:
    ratings = planted_ratings(seed, density=0.25)
    p = replace(PAPER_FIT, rounds=150)
    our_loss = loss(ratings, fit_rater_model(ratings, p), p)
    # One round of power iteration hardly changes a random start.
    random_losses = [loss(ratings, fit_rater_model(ratings, replace(p, seed=s, start_rounds=1)), p) for s in range(1, 6)]
    assert our_loss <= min(random_losses) * 1.01


def solve_item(model: RaterModel, raters: Ints, values: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the (bias, factors (K,)) of one item with the rater side frozen."""
    p = model.parameters
    terms = _normal_equation_terms(model.rater_bias[raters], model.rater_factors[raters])
    sums = np.array([[float(np.sum(weights * column)) for column in terms.T]])
    f = model.rater_factors[raters]
    products = np.array([[float(np.sum(weights * values * f[:, k])) for k in range(p.factors)]]).reshape(1, p.factors)
    weight, value = np.array([float(np.sum(weights))]), np.array([float(np.sum(weights * values))])
    bias, factors = solve_rows(weight, value, sums, products, model.level, p.item_penalty, p)
    return float(bias[0]), factors[0]


def test_the_last_step_of_the_fit_solves_every_item_alone() -> None:
    ratings = planted_ratings()
    for p in (PAPER_FIT, PREDICTION_FIT):
        m = fit_rater_model(ratings, p)
        # Fixing the signs after the last step changes both sides together, so equality is exact.
        for item in range(0, ratings.num_items, 7):
            mine = ratings.items == item
            raters = ratings.raters[mine].astype(np.int64)
            bias, factors = solve_item(m, raters, ratings.values[mine], np.ones(len(raters)))
            assert bias == m.item_bias[item]
            assert factors.tolist() == m.item_factors[item].tolist()


def test_half_weights_equal_doubled_penalties() -> None:
    ratings = planted_ratings()
    halved = SparseRatings(
        ratings.raters, ratings.items, ratings.values, ratings.num_raters, ratings.num_items, np.full(ratings.size, 0.5)
    )
    p = replace(PAPER_FIT, rater_penalty=0.5, item_penalty=0.5, factor_penalty=0.25)
    doubled = replace(p, rater_penalty=1.0, item_penalty=1.0, factor_penalty=0.5)
    np.testing.assert_allclose(fit_rater_model(halved, p).item_bias, fit_rater_model(ratings, doubled).item_bias, atol=2e-3)


def test_ratings_outside_the_grid_are_rejected() -> None:
    index = np.zeros(1, dtype=np.int32)
    with pytest.raises(BadInput, match="1/8"):
        SparseRatings(index, index, np.array([0.3]), 1, 1)
    with pytest.raises(BadInput, match="between 0 and 1"):
        SparseRatings(index, index, np.array([2.0]), 1, 1)


def test_fit_without_ratings_predicts_one_half() -> None:
    nothing = np.zeros(0, dtype=np.int32)
    m = fit_rater_model(SparseRatings(nothing, nothing, np.zeros(0), 0, 3), PREDICTION_FIT)
    assert m.level == 0.5
    assert m.predict_item_means(np.zeros(0, dtype=np.bool_)).tolist() == [0.5, 0.5, 0.5]
