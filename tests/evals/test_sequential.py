"""The canary's test: exact chances against brute force, and pairs followed one by one."""

from __future__ import annotations

import itertools

import numpy as np

from yearling.evals.sequential import (
    alpha_spent,
    false_stop_probability,
    find_stopping_pairs,
    run_canary_test,
    stopping_thresholds,
)


def test_the_chance_of_a_false_stop_is_what_counting_every_walk_gives() -> None:
    limits = stopping_thresholds(0.05, 12)
    stopped = 0
    for walk in itertools.product((0, 1), repeat=12):
        counts = itertools.accumulate(walk)
        stopped += any(count >= limits[d] for d, count in enumerate(counts, start=1))
    assert np.isclose(false_stop_probability(0.05, 12), stopped / 2**12)
    assert stopped / 2**12 <= alpha_spent(12, 0.05)


def test_it_never_spends_more_than_allowed() -> None:
    assert 0.045 < false_stop_probability(0.05) <= 0.05
    assert false_stop_probability(0.01) <= 0.01
    assert false_stop_probability(0.05, rate=0.758) > 0.99


def test_pairs_one_by_one_and_all_at_once_agree() -> None:
    rng = np.random.default_rng(3)
    old, new = rng.random((50, 800)) < 0.02, rng.random((50, 800)) < 0.05
    at_once = find_stopping_pairs(old, new)
    assert {bool(stop) for stop in at_once} == {True, False} or at_once.all()
    for row in range(50):
        look = run_canary_test(list(old[row]), list(new[row]))
        assert (look.stopped_at_pair or 0) == at_once[row]


def test_flags_of_the_champion_do_not_stop_the_challenger() -> None:
    assert run_canary_test([True] * 100, [False] * 100).decision == "go on"
    look = run_canary_test([False] * 100, [True] * 100)
    assert look.decision == "stop"
    assert look.stopped_at_pair is not None
    assert look.stopped_at_pair < 10
