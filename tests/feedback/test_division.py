"""The division test sees planted divisions, and none in shuffled ratings."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.consensus.cross_validation import cross_validated_gain
from benchmarks.consensus.metrics import permute_within_items
from benchmarks.consensus.simulation import Population, plant_truth
from yearling.feedback import division
from yearling.feedback.division import DivisionParameters, detect_division, shuffle_within_items
from yearling.feedback.rater_model import SparseRatings


def sample_ratings(p: Population) -> SparseRatings:
    world = plant_truth(p)
    generator = np.random.default_rng([p.seed, 9])
    u, n = np.nonzero(generator.random((p.num_raters, p.num_items)) < p.density)
    values = (generator.random(len(u)) < world.approval[world.camp[u], n]).astype(float)
    return SparseRatings(u.astype(np.int32), n.astype(np.int32), values, p.num_raters, p.num_items)


def false_alarms(sets: int) -> float:
    num_seen = 0
    for seed in range(sets):
        p = Population(num_raters=24 + seed % 40, num_items=20 + seed % 30, density=0.3 + 0.05 * (seed % 8), seed=seed)
        num_seen += detect_division(
            permute_within_items(sample_ratings(p), np.random.default_rng(seed)), DivisionParameters(seed=seed)
        ).seen
    return num_seen / sets


@pytest.mark.parametrize("seed", range(5))
def test_planted_division_is_seen(seed: int) -> None:
    ratings = sample_ratings(Population(num_raters=50, num_items=40, seed=seed))
    assert detect_division(ratings).seen
    assert cross_validated_gain(ratings) > 0.02


@pytest.mark.slow
def test_no_division_is_seen_in_permuted_ratings() -> None:
    assert false_alarms(12) == 0.0


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_false_alarm_rate_is_at_most_five_percent() -> None:
    assert false_alarms(1000) <= 0.05


def test_shuffling_keeps_the_ratings_of_each_item() -> None:
    ratings = sample_ratings(Population(num_raters=30, num_items=10, seed=1))
    shuffled = shuffle_within_items(ratings, 4)
    assert (shuffled.values != ratings.values).any()
    for item in range(10):
        assert sorted(shuffled.values[shuffled.items == item]) == sorted(ratings.values[ratings.items == item])


def test_dense_and_sparse_computation_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = sample_ratings(Population(num_raters=30, num_items=20, seed=3))
    dense = detect_division(ratings)
    monkeypatch.setattr(division, "_MAX_DENSE_CELLS", 0)
    assert detect_division(ratings) == dense


def test_strength_does_not_depend_on_the_order_of_ratings() -> None:
    ratings = sample_ratings(Population(num_raters=30, num_items=20, seed=1))
    order = np.random.default_rng(0).permutation(ratings.size)
    shuffled = SparseRatings(ratings.raters[order], ratings.items[order], ratings.values[order], 30, 20)
    assert detect_division(shuffled).strength == detect_division(ratings).strength


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_ratings_show_no_division(count: int) -> None:
    index = np.arange(count, dtype=np.int32)
    assert not detect_division(SparseRatings(index, index, np.ones(count), count, count)).seen
    assert cross_validated_gain(SparseRatings(index, index, np.ones(count), count, count)) == 0.0
