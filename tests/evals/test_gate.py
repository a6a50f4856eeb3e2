"""What a gate allows, rejects and leaves open."""

from __future__ import annotations

import pytest

from benchmarks.gates.simulation import allow_probability, check_guarantees
from yearling.errors import BadInput
from yearling.evals.gate import GateRule, decide_gate, difference_interval, paired_test_from_counts, paired_test_from_scores

TARGET = paired_test_from_counts(90, 30, 541)
"""A clear improvement."""


def test_clear_gain_is_allowed_and_clear_loss_rejected() -> None:
    assert decide_gate({"a": paired_test_from_counts(70, 35, 541)}, {}).decision == "ALLOW"
    assert decide_gate({"a": paired_test_from_counts(35, 70, 541)}, {}).decision == "REJECT"


def test_no_difference_is_inconclusive_and_names_the_detectable_effect() -> None:
    result = decide_gate({"a": paired_test_from_counts(50, 52, 541)}, {})
    assert result.decision == "INCONCLUSIVE"
    assert "541 pairs can detect" in result.findings[0].why
    assert 0.03 < result.findings[0].paired.detectable < 0.06


@pytest.mark.parametrize(
    ("wins", "losses", "n", "decision"),
    [
        (50, 50, 541, "ALLOW"),
        (40, 67, 541, "REJECT"),
        (45, 58, 541, "INCONCLUSIVE"),
        (0, 0, 541, "ALLOW"),
        (2, 2, 20, "INCONCLUSIVE"),
    ],
)
def test_guard_must_be_shown_not_to_be_worse(wins: int, losses: int, n: int, decision: str) -> None:
    assert decide_gate({"target": TARGET}, {"guard": paired_test_from_counts(wins, losses, n)}).decision == decision


def test_several_targets_are_corrected_by_holm() -> None:
    targets = {"a": paired_test_from_counts(62, 44, 541)} | {f"b{i}": paired_test_from_counts(50, 50, 541) for i in range(3)}
    assert decide_gate({"a": targets["a"]}, {}).decision == "ALLOW"
    assert decide_gate(targets, {}).decision == "INCONCLUSIVE"


def test_cases_of_one_cluster_count_as_one_observation() -> None:
    champion, challenger = [0.0] * 24, [1.0] * 24
    independent = paired_test_from_scores(champion, challenger, [str(i) for i in range(24)])
    clustered = paired_test_from_scores(champion, challenger, [str(i // 4) for i in range(24)])
    assert independent.test == "exact McNemar"
    assert independent.p_better == pytest.approx(0.5**24)
    assert clustered.n == 6
    assert clustered.p_better == pytest.approx(0.5**6)
    assert difference_interval(champion, challenger, [str(i) for i in range(24)]).value == 1.0


def test_gate_without_a_target_and_impossible_levels_are_rejected() -> None:
    with pytest.raises(BadInput, match="target"):
        decide_gate({}, {"guard": paired_test_from_counts(5, 5, 100)})
    with pytest.raises(BadInput, match="alpha"):
        GateRule(alpha=0.9)
    with pytest.raises(BadInput, match="pair"):
        paired_test_from_scores([], [], [])


@pytest.mark.slow
def test_a_thousand_simulated_gates_keep_every_guarantee() -> None:
    broken = [line for line in check_guarantees() if not line.kept]
    assert broken == []


@pytest.mark.slow
def test_exact_probability_of_a_false_allow_stays_below_alpha_for_any_discordance() -> None:
    assert all(allow_probability(0.0, discordant=share) <= 0.05 for share in (0.05, 0.2, 0.5))
