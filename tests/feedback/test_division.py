"""A division is seen where one is planted, and not where ratings are dealt at random."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.consensus.metrics import permute_within_items
from benchmarks.consensus.simulation import Population, plant_truth
from yearling.feedback import division
from yearling.feedback.division import DivisionParameters, cross_validated_gain, detect_division, shuffle_within_items
from yearling.feedback.rater_model import SparseRatings


def sampled(p: Population) -> SparseRatings:
    world = plant_truth(p)
    generator = np.random.default_rng([p.seed, 9])
    u, n = np.nonzero(generator.random((p.num_raters, p.num_items)) < p.density)
    values = (generator.random(len(u)) < world.approval[world.camp[u], n]).astype(float)
    return SparseRatings(u.astype(np.int32), n.astype(np.int32), values, p.num_raters, p.num_items)


def false_alarms(sets: int) -> float:
    seen = 0
    for seed in range(sets):
        p = Population(num_raters=24 + seed % 40, num_items=20 + seed % 30, density=0.3 + 0.05 * (seed % 8), seed=seed)
        seen += detect_division(permute_within_items(sampled(p), np.random.default_rng(seed)), DivisionParameters(seed=seed)).seen
    return seen / sets


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_division_is_seen(seed: int) -> None:
    ratings = sampled(Population(num_raters=50, num_items=40, seed=seed))
    assert detect_division(ratings).seen
    assert cross_validated_gain(ratings) > 0.02


@pytest.mark.slow
def test_no_division_is_seen_where_there_is_none() -> None:
    assert false_alarms(12) == 0.0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_false_alarms_are_at_most_five_in_a_hundred_of_a_thousand_permuted_sets() -> None:
    assert false_alarms(1000) <= 0.05


def test_dealing_keeps_each_items_ratings() -> None:
    ratings = sampled(Population(num_raters=30, num_items=10, seed=1))
    dealt = shuffle_within_items(ratings, 4)
    assert (dealt.values != ratings.values).any()
    for item in range(10):
        assert sorted(dealt.values[dealt.items == item]) == sorted(ratings.values[ratings.items == item])


def test_a_small_and_a_large_table_share_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = sampled(Population(num_raters=30, num_items=20, seed=3))
    dense = detect_division(ratings)
    monkeypatch.setattr(division, "_MAX_DENSE_CELLS", 0)
    assert detect_division(ratings) == dense


def test_order_of_ratings_within_a_rater_does_not_matter_for_the_strength() -> None:
    ratings = sampled(Population(num_raters=30, num_items=20, seed=1))
    order = np.random.default_rng(0).permutation(ratings.size)
    shuffled = SparseRatings(ratings.raters[order], ratings.items[order], ratings.values[order], 30, 20)
    assert detect_division(shuffled).strength == detect_division(ratings).strength


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_little_to_tell(count: int) -> None:
    index = np.arange(count, dtype=np.int32)
    assert not detect_division(SparseRatings(index, index, np.ones(count), count, count)).seen
    assert cross_validated_gain(SparseRatings(index, index, np.ones(count), count, count)) == 0.0
