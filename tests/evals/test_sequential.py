"""The canary's sequential test: exact probabilities against brute force, and single canaries against many at once."""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.gates.sequential import false_stop_probability, find_stopping_pairs
from yearling.evals.sequential import (
    alpha_spent,
    detection_probability,
    find_stop,
    run_canary_test,
    smallest_detectable_rate,
    stopping_thresholds,
)


def test_false_stop_probability_equals_the_count_of_all_walks() -> None:
    thresholds = stopping_thresholds(0.05, 12)
    num_stopped = 0
    for walk in itertools.product((0, 1), repeat=12):
        counts = itertools.accumulate(walk)
        num_stopped += any(count >= thresholds[d] for d, count in enumerate(counts, start=1))
    assert np.isclose(false_stop_probability(0.05, 12), num_stopped / 2**12)
    assert num_stopped / 2**12 <= alpha_spent(12, 0.05)


def test_never_spends_more_than_alpha() -> None:
    assert 0.045 < false_stop_probability(0.05) <= 0.05
    assert false_stop_probability(0.01) <= 0.01
    assert false_stop_probability(0.05, rate=0.758) > 0.99


def test_single_canaries_stop_where_the_vectorised_search_says() -> None:
    rng = np.random.default_rng(3)
    champion, challenger = rng.random((50, 800)) < 0.02, rng.random((50, 800)) < 0.05
    stopping_pairs = find_stopping_pairs(champion, challenger)
    assert {bool(pair) for pair in stopping_pairs} == {True, False} or stopping_pairs.all()
    for row in range(50):
        result = run_canary_test(list(champion[row]), list(challenger[row]))
        assert (result.stopped_at_pair or 0) == stopping_pairs[row]


def test_only_flags_of_the_challenger_stop_the_canary() -> None:
    assert run_canary_test([True] * 100, [False] * 100).decision == "continue"
    result = run_canary_test([False] * 100, [True] * 100)
    assert result.decision == "stop"
    assert result.stopped_at_pair is not None
    assert result.stopped_at_pair < 10


def test_find_stop_equals_the_test_on_pairs() -> None:
    rng = np.random.default_rng(5)
    stops = set()
    for _ in range(50):
        events = [bool(flag) for flag in rng.random(60) < 0.7]
        result = run_canary_test([not flag for flag in events], events)
        assert find_stop(events) == result.stopped_at_pair
        stops.add(find_stop(events) is None)
    assert stops == {True, False}
    assert find_stop([]) is None


def test_detection_probability_is_that_of_simulated_canaries() -> None:
    rng = np.random.default_rng(6)
    champion, challenger = rng.random((2000, 300)) < 0.01, rng.random((2000, 300)) < 0.06
    simulated = float((find_stopping_pairs(champion, challenger, alpha=0.02) > 0).mean())
    exact = detection_probability(300, 0.01, 0.06, alpha=0.02)
    assert abs(simulated - exact) < 0.03
    assert detection_probability(0, 0.01, 0.06) == detection_probability(100, 0.0, 0.0) == 0.0
    assert detection_probability(2000, 0.01, 0.01) < 0.05


def test_smallest_detectable_rate_is_the_first_that_reaches_the_power() -> None:
    rate = smallest_detectable_rate(300, 0.01, alpha=0.02)
    assert rate == 0.06
    assert detection_probability(300, 0.01, rate - 0.01, alpha=0.02) < 0.8 <= detection_probability(300, 0.01, rate, alpha=0.02)
    assert smallest_detectable_rate(3, 0.01) == float("inf")
