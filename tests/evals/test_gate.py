"""What a gate lets through, and what it blocks."""

from __future__ import annotations

import pytest

from benchmarks.gates.simulation import allow_probability, check_guarantees
from yearling.errors import BadInput
from yearling.evals.gate import GateRule, decide_gate, difference_interval, paired_test_from_counts, paired_test_from_scores


def test_a_clear_gain_ships_and_a_clear_loss_is_rejected() -> None:
    assert decide_gate({"a": paired_test_from_counts(70, 35, 541)}, {}).decision == "ALLOW"
    assert decide_gate({"a": paired_test_from_counts(35, 70, 541)}, {}).decision == "REJECT"


def test_no_difference_is_inconclusive_and_says_what_could_be_seen() -> None:
    result = decide_gate({"a": paired_test_from_counts(50, 52, 541)}, {})
    assert result.decision == "INCONCLUSIVE"
    assert "541 pairs show" in result.findings[0].why
    assert 0.03 < result.findings[0].paired.detectable < 0.06


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [(50, 50, "ALLOW"), (40, 67, "REJECT"), (45, 58, "INCONCLUSIVE"), (0, 0, "ALLOW")],
)
def test_guards_must_be_shown_not_to_be_worse(wins: int, losses: int, expected: str) -> None:
    result = decide_gate({"target": paired_test_from_counts(90, 30, 541)}, {"guard": paired_test_from_counts(wins, losses, 541)})
    assert result.decision == expected


def test_a_guard_with_few_pairs_does_not_pass() -> None:
    assert (
        decide_gate({"target": paired_test_from_counts(90, 30, 541)}, {"guard": paired_test_from_counts(2, 2, 20)}).decision
        == "INCONCLUSIVE"
    )


def test_several_targets_are_corrected() -> None:
    targets = {"a": paired_test_from_counts(62, 44, 541)} | {f"b{i}": paired_test_from_counts(50, 50, 541) for i in range(3)}
    assert decide_gate({"a": targets["a"]}, {}).decision == "ALLOW"
    assert decide_gate(targets, {}).decision == "INCONCLUSIVE"


def test_twins_count_as_one_observation() -> None:
    champion, challenger = [0.0] * 24, [1.0] * 24
    alone = paired_test_from_scores(champion, challenger, [str(i) for i in range(24)])
    twins = paired_test_from_scores(champion, challenger, [str(i // 4) for i in range(24)])
    assert alone.test == "exact McNemar"
    assert alone.p_better == pytest.approx(0.5**24)
    assert twins.n == 6
    assert twins.p_better == pytest.approx(0.5**6)
    assert difference_interval(champion, challenger, [str(i) for i in range(24)]).value == 1.0


def test_a_gate_without_a_target_is_refused() -> None:
    with pytest.raises(BadInput):
        decide_gate({}, {"guard": paired_test_from_counts(5, 5, 100)})
    with pytest.raises(BadInput):
        GateRule(alpha=0.9)
    with pytest.raises(BadInput):
        paired_test_from_scores([], [], [])


@pytest.mark.slow
def test_a_thousand_simulated_gates_keep_every_promise() -> None:
    broken = [line for line in check_guarantees() if not line.kept]
    assert broken == []


def test_the_exact_chance_of_a_false_allow_stays_below_alpha_whatever_is_discordant() -> None:
    assert all(allow_probability(0.0, discordant=share) <= 0.05 for share in (0.05, 0.2, 0.5))
