"""The two-sided rule, rule dependencies, juries and the cap on flips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from yearling.errors import BadInput
from yearling.feedback.status_rules import (
    DECIDED_STATUSES,
    HELPFUL,
    NEEDS_MORE,
    NOT_HELPFUL,
    Evidence,
    StatusDecision,
    StatusParameters,
    StatusRule,
    cap_flips,
    choose_slate,
    decide_status,
    evaluate_rules,
    jury_verdict,
)

P = StatusParameters()
BARE = replace(P, doubt_prior=0.0, estimate_prior=0.0)


def evidence(*items: tuple[int, float, int, float], prediction: float = 0.5) -> Evidence:
    """Return the evidence of items, each given as (ratings, approval) of side 0 and of side 1."""
    table = np.array(items, dtype=float)
    counts, approvals = table[:, [0, 2]].T.astype(np.int64), table[:, [1, 3]].T
    return Evidence(counts, approvals, approvals.copy(), np.full(counts.shape, prediction))


def status_of(decision: Evidence, p: StatusParameters = P, **more: object) -> StatusDecision:
    rules = evaluate_rules(decision, p)
    options: dict[str, Any] = {"current_status": NEEDS_MORE, "age_s": 1e9, "jury_finding": "", **more}
    return decide_status(0, rules, rules, p=p, **options)


def test_status_needs_both_sides() -> None:
    assert status_of(evidence((10, 9, 10, 9))).status == HELPFUL
    assert status_of(evidence((10, 1, 10, 1))).status == NOT_HELPFUL
    assert status_of(evidence((200, 190, 10, 5))).status == NEEDS_MORE
    assert status_of(evidence((200, 190, 10, 1))).status == NEEDS_MORE


def test_quorum_is_five_in_total_and_two_on_each_side() -> None:
    assert status_of(evidence((3, 3, 1, 1), prediction=0.95)).reason == "no_quorum"
    assert status_of(evidence((2, 2, 2, 2), prediction=0.95)).reason == "no_quorum"
    assert status_of(evidence((3, 3, 2, 2), prediction=0.95)).status == HELPFUL


@pytest.mark.slow
def test_probability_rule_equals_the_lower_beta_bound() -> None:
    for total in range(5, 40, 3):
        for yes in range(total + 1):
            bound = stats.beta.ppf(0.2, yes + 0.5, total - yes + 0.5)
            holds = evaluate_rules(
                evidence((total, yes, total, yes)), replace(BARE, rules=(StatusRule(id="x", version=1, direction=1, doubt=0.2),))
            )
            assert bool(holds["x"][0]) == (bound >= 0.5)


def test_rule_for_disapproval_mirrors_the_rule_for_approval() -> None:
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 30, (2, 300))
    approvals: npt.NDArray[np.float64] = np.floor(generator.random((2, 300)) * (counts + 1))
    predictions = generator.uniform(0.05, 0.95, (2, 300))
    up = evaluate_rules(Evidence(counts, approvals, approvals, predictions), P)
    down = evaluate_rules(Evidence(counts, counts - approvals, counts - approvals, 1.0 - predictions), P)
    assert up["helpful"].any()
    assert up["helpful"].tolist() == down["not_helpful"].tolist()
    assert up["not_helpful"].tolist() == down["helpful"].tolist()
    assert not (up["helpful"] & up["not_helpful"]).any()


def test_spec_default_is_stricter() -> None:
    rules = evaluate_rules(evidence((9, 8, 9, 8), (60, 39, 60, 39), (60, 53, 60, 53), (28, 28, 4, 4), prediction=0.7), P)
    assert rules["helpful"].tolist() == [True, True, True, True]
    assert rules["spec_default"].tolist() == [False, False, True, False]


def test_rule_dependencies_must_be_listed_first() -> None:
    with pytest.raises(BadInput, match="not listed before"):
        evaluate_rules(evidence((5, 5, 5, 5)), replace(P, rules=tuple(reversed(P.rules))))


def test_status_that_rests_on_the_most_active_is_not_given() -> None:
    with_all, without = evaluate_rules(evidence((10, 9, 10, 9)), P), evaluate_rules(evidence((9, 8, 9, 4)), P)
    decision = decide_status(0, with_all, without, current_status=NEEDS_MORE, age_s=1e9, jury_finding="", p=P)
    assert (decision.status, decision.reason) == (NEEDS_MORE, "rests_on_most_active")


def test_jury_needs_eight_ratings_and_two_of_each_side() -> None:
    assert jury_verdict(np.array([4, 3]), np.array([4.0, 3.0]), P) == ""
    assert jury_verdict(np.array([7, 1]), np.array([7.0, 1.0]), P) == ""
    assert jury_verdict(np.array([6, 2]), np.array([5.0, 2.0]), P) == HELPFUL
    assert jury_verdict(np.array([4, 4]), np.array([0.0, 1.0]), P) == NOT_HELPFUL
    assert jury_verdict(np.array([4, 4]), np.array([4.0, 1.0]), P) == "split"


def test_jury_vetoes_and_upholds() -> None:
    approved, disputed = evidence((10, 9, 10, 9)), evidence((10, 9, 10, 2))
    assert status_of(approved, jury_finding="split") == StatusDecision(status=NEEDS_MORE, reason="jury_veto")
    assert status_of(approved, jury_finding=HELPFUL).status == HELPFUL
    assert status_of(disputed, jury_finding=HELPFUL).status == NEEDS_MORE, "a jury gives no status"
    assert status_of(disputed, current_status=HELPFUL).status == NEEDS_MORE
    assert status_of(disputed, current_status=HELPFUL, jury_finding=HELPFUL) == StatusDecision(
        status=HELPFUL, reason="jury_upholds"
    )


@pytest.mark.parametrize(("flips", "held"), [(3, False), (4, True)])
def test_flip_cap_fails_closed(flips: int, held: bool) -> None:
    old = [HELPFUL] * 10 + [NEEDS_MORE]
    new = [StatusDecision(status=NEEDS_MORE if k < flips else HELPFUL, reason="no_agreement") for k in range(11)]
    decisions, num_flips, allowed = cap_flips(old, new, 20, P)
    assert (num_flips, allowed) == (flips, 3)
    assert [d.status for d in decisions[:10]] == ([HELPFUL] * 10 if held else [d.status for d in new[:10]])
    assert decisions[10].status == HELPFUL, "a first status is no flip"
    assert {"held_by_flip_cap"} & {d.reason for d in decisions} == ({"held_by_flip_cap"} if held else set())


@pytest.mark.parametrize(("flips", "people", "held"), [(1, 1, False), (2, 1, True), (2, 2, False), (1, 0, False)])
def test_one_person_cannot_change_two_statuses(flips: int, people: int, held: bool) -> None:
    old = [HELPFUL] * 100
    new = [StatusDecision(status=NEEDS_MORE if k < flips else HELPFUL, reason="no_agreement") for k in range(100)]
    decisions, _, _ = cap_flips(old, new, people, P)
    assert ([d.status for d in decisions] == old) == held


def test_one_person_gives_one_first_status_only() -> None:
    old, new = [NEEDS_MORE] * 4, [StatusDecision(status=HELPFUL, reason="both_sides")] * 4
    decisions, flips, _ = cap_flips(old, new, 1, P)
    assert [d.reason for d in decisions] == ["both_sides", *["waits_for_others"] * 3]
    assert flips == 0
    assert cap_flips(old, new, 2, P)[0] == new
    turned = [StatusDecision(status=NEEDS_MORE, reason="no_agreement"), *new[1:]]
    decisions, _, _ = cap_flips([HELPFUL, *old[1:]], turned, 1, P)
    assert [d.status for d in decisions] == [NEEDS_MORE] * 4


def test_status_survives_one_rating_below_the_quorum() -> None:
    thin_evidence = evidence((3, 3, 1, 1), prediction=0.9)
    assert status_of(thin_evidence).reason == "no_quorum"
    assert status_of(thin_evidence, current_status=HELPFUL) == StatusDecision(status=HELPFUL, reason="kept")
    assert status_of(evidence((3, 3, 0, 0), prediction=0.9), current_status=HELPFUL).status == NEEDS_MORE


def test_flip_cap_grows_with_the_number_of_statuses() -> None:
    old = [HELPFUL] * 200
    new = [StatusDecision(status=NOT_HELPFUL if k < 10 else HELPFUL, reason="x") for k in range(200)]
    assert cap_flips(old, new, 50, P)[1:] == (10, 10)
    assert all(status in DECIDED_STATUSES for status in old)


def test_slate_starts_with_the_best_item_of_the_weaker_side() -> None:
    decision = evidence((30, 29, 30, 2), (30, 3, 30, 29), (30, 16, 30, 15), (30, 2, 30, 2))
    assert choose_slate(decision, P, max_items=3) == [2, 0, 1]
    assert choose_slate(evidence((1, 1, 1, 1)).for_item(0), P) == [0]
