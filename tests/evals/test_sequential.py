"""The canary's sequential test: exact probabilities against brute force, and single canaries against many at once."""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.gates.sequential import false_stop_probability, find_stopping_pairs
from yearling.evals.sequential import alpha_spent, run_canary_test, stopping_thresholds


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
