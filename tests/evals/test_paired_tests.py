"""The paired tests behind gates, and the rates at which simulated gates are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gates.simulation import allow_probability, check_canaries, check_guarantees
from yearling.errors import BadInput
from yearling.evals.paired_tests import (
    PairedTestLevels,
    difference_interval,
    paired_test_from_counts,
    paired_test_from_scores,
)


def test_wins_and_losses_move_the_p_values() -> None:
    gain, loss = paired_test_from_counts(70, 35, 541), paired_test_from_counts(35, 70, 541)
    assert gain.p_better == loss.p_worse < 0.001
    assert gain.p_worse > 0.99
    assert loss.p_tolerable > 0.5 > gain.p_tolerable
    even = paired_test_from_counts(50, 52, 541)
    assert 0.03 < even.detectable < 0.06
    assert even.p_better > 0.5


def test_cases_of_one_cluster_count_as_one_observation() -> None:
    champion, challenger = [0.0] * 24, [1.0] * 24
    independent = paired_test_from_scores(champion, challenger, [str(i) for i in range(24)])
    clustered = paired_test_from_scores(champion, challenger, [str(i // 4) for i in range(24)])
    assert independent.test == "exact McNemar"
    assert independent.p_better == pytest.approx(0.5**24)
    assert clustered.n == 6
    assert clustered.p_better == pytest.approx(0.5**6)
    assert difference_interval(champion, challenger, [str(i) for i in range(24)]).value == 1.0


def test_impossible_levels_and_missing_pairs_are_rejected() -> None:
    with pytest.raises(BadInput, match="alpha"):
        PairedTestLevels(alpha=0.9)
    with pytest.raises(BadInput, match="pair"):
        paired_test_from_scores([], [], [])


@pytest.mark.drill
def test_two_thousand_simulated_gates_and_canaries_keep_every_guarantee() -> None:
    broken = [check for check in check_guarantees(gates=2000) if not check.kept]
    assert broken == []


@pytest.mark.slow
def test_three_hundred_simulated_canaries_keep_every_guarantee() -> None:
    checks = list(check_canaries(np.random.default_rng(2), 300))
    assert [check for check in checks if not check.kept] == []
    assert sum("≤" in check.promised for check in checks) == 7


@pytest.mark.slow
def test_exact_probability_of_a_false_allow_stays_below_alpha_for_any_discordance() -> None:
    assert all(allow_probability(0.0, discordant=share) <= 0.05 for share in (0.05, 0.2, 0.5))
