"""The status rule, rule dependencies, juries and the limit on flips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Mask
from yearling.feedback.item_labels import Crowd, ItemEvidence, ItemLabels, LabelParameters, label_items
from yearling.feedback.status_rules import (
    HELPFUL,
    NEEDS_MORE,
    NOT_HELPFUL,
    StatusDecision,
    StatusHistory,
    StatusParameters,
    StatusRule,
    choose_slate,
    decide_status,
    evaluate_rules,
    flips_allowed,
    jury_verdict,
    limit_first_statuses,
    limit_flips,
)

P = StatusParameters()
MANY = 100.0
"""So many people that the quorum is its largest."""


@dataclass(frozen=True)
class Judged:
    """Items with their labels."""

    labels: ItemLabels
    evidence: ItemEvidence
    crowd: Crowd

    def rules(self, p: StatusParameters = P) -> dict[str, Mask]:
        return evaluate_rules(self.labels, self.evidence, self.crowd, p)


def judged(*items: tuple[int, float, int, float], degree: float = 0.9, num_people: float = MANY) -> Judged:
    """Return items, each given as (ratings, approval) of side 0 and of side 1."""
    table = np.array(items, dtype=float)
    counts, approvals = table[:, [0, 2]].T, table[:, [1, 3]].T
    totals = counts.sum(axis=0)
    evidence = ItemEvidence(totals.astype(np.int64), approvals.sum(axis=0), counts, counts, approvals)
    crowd = Crowd(num_people=num_people, level=0.5, degree=degree)
    return Judged(label_items(evidence, crowd, LabelParameters()), evidence, crowd)


def history(**more: Any) -> StatusHistory:
    return StatusHistory(**{"current_status": NEEDS_MORE, "age_s": 1e9, **more})


def status_of(items: Judged, p: StatusParameters = P, **more: Any) -> StatusDecision:
    rules = items.rules(p)
    return decide_status(0, rules, rules, history(**more), p)


def test_visible_sides_must_both_agree() -> None:
    assert status_of(judged((10, 9, 10, 9))).status == HELPFUL
    assert status_of(judged((10, 1, 10, 1))).status == NOT_HELPFUL
    assert status_of(judged((200, 190, 10, 5))).status == NEEDS_MORE
    assert status_of(judged((200, 190, 10, 1))).status == NEEDS_MORE


def test_without_a_visible_division_everybody_together_decides() -> None:
    assert status_of(judged((3, 3, 0, 0), degree=0.0, num_people=3)) == StatusDecision(status=HELPFUL, reason="team_agrees")
    assert status_of(judged((9, 9, 1, 0), degree=0.0)).status == HELPFUL
    assert status_of(judged((10, 9, 10, 9)), two_sides=True).reason == "both_sides"


def test_status_by_two_sides_needs_ratings_of_both() -> None:
    silent = judged((40, 40, 1, 1))
    assert status_of(silent).reason == "no_quorum"
    assert status_of(silent, has_enough_ratings=True).reason == "other_side_missing"
    assert status_of(judged((40, 40, 2, 2))).status == HELPFUL
    assert status_of(judged((40, 40, 1, 1), degree=0.4)).status == HELPFUL, "the sides do not decide there"


@pytest.mark.parametrize(("people", "quorum"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 3), (8, 4), (10, 5), (500, 5)])
def test_quorum_is_half_of_the_people_from_two_to_five(people: int, quorum: int) -> None:
    below, enough = (judged((n, n, 0, 0), degree=0.0, num_people=people) for n in (quorum - 1, quorum))
    assert status_of(below).reason == "no_quorum"
    assert status_of(enough).status == HELPFUL


@pytest.mark.slow
def test_probability_rule_equals_the_lower_beta_bound() -> None:
    for total in range(5, 40, 3):
        for yes in range(total + 1):
            # With a level of one half, the estimate of everybody together is worth two ratings more than were given.
            bound = stats.beta.ppf(0.2, yes + 1.0, total - yes + 1.0)
            rule = StatusRule(id="x", version=1, direction=1, doubt=0.2)
            holds = judged((total, yes, 0, 0), degree=0.0).rules(replace(P, rules=(rule,)))
            assert bool(holds["x"][0]) == (bound >= 0.5)


def test_rule_for_disapproval_mirrors_the_rule_for_approval() -> None:
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 30, (300, 2))
    approvals: npt.NDArray[np.float64] = np.floor(generator.random((300, 2)) * (counts + 1))
    rows = [np.column_stack([counts[:, 0], a[:, 0], counts[:, 1], a[:, 1]]) for a in (approvals, counts - approvals)]
    up, down = (judged(*row.tolist()).rules() for row in rows)
    assert up["helpful"].any()
    assert up["helpful"].tolist() == down["not_helpful"].tolist()
    assert up["not_helpful"].tolist() == down["helpful"].tolist()
    assert not (up["helpful"] & up["not_helpful"]).any()


def test_spec_default_is_stricter() -> None:
    rules = judged((9, 8, 9, 8), (60, 40, 60, 40), (60, 53, 60, 53)).rules()
    assert rules["helpful"].tolist() == [True, True, True]
    assert rules["spec_default"].tolist() == [False, False, True]


def test_rule_dependencies_must_be_listed_first() -> None:
    with pytest.raises(BadInput, match="not listed before"):
        judged((5, 5, 5, 5)).rules(replace(P, rules=tuple(reversed(P.rules))))


def test_status_that_rests_on_the_most_active_is_not_given() -> None:
    with_all, without = judged((10, 9, 10, 9)).rules(), judged((9, 8, 9, 4)).rules()
    decision = decide_status(0, with_all, without, history(), P)
    assert (decision.status, decision.reason) == (NEEDS_MORE, "rests_on_most_active")


def test_jury_needs_eight_ratings_and_two_of_each_side() -> None:
    assert jury_verdict(np.array([4, 3]), np.array([4.0, 3.0]), P) == ""
    assert jury_verdict(np.array([7, 1]), np.array([7.0, 1.0]), P) == ""
    assert jury_verdict(np.array([6, 2]), np.array([5.0, 2.0]), P) == HELPFUL
    assert jury_verdict(np.array([4, 4]), np.array([0.0, 1.0]), P) == NOT_HELPFUL
    assert jury_verdict(np.array([4, 4]), np.array([4.0, 1.0]), P) == "split"


def test_jury_vetoes_and_upholds() -> None:
    approved, disputed = judged((10, 9, 10, 9)), judged((10, 9, 10, 1))
    assert status_of(approved, jury_finding="split") == StatusDecision(status=NEEDS_MORE, reason="jury_veto")
    assert status_of(approved, jury_finding=HELPFUL).status == HELPFUL
    assert status_of(disputed, jury_finding=HELPFUL).status == NEEDS_MORE, "a jury gives no status"
    assert status_of(disputed, current_status=HELPFUL).status == NEEDS_MORE
    assert status_of(disputed, current_status=HELPFUL, jury_finding=HELPFUL) == StatusDecision(
        status=HELPFUL, reason="jury_upholds"
    )


def run_limit(
    old: list[str], new: list[StatusDecision], movers: list[set[str]], *, people: int = 20, without: str = HELPFUL
) -> tuple[list[StatusDecision], int, int]:
    """Limit flips; without the people who moved too many of them, every item would have the status `without`."""
    allowed = flips_allowed(old, people, P)
    decided = StatusDecision(status=without, reason="kept")
    return limit_flips(old, new, [frozenset(one) for one in movers], allowed, lambda number, people: decided)


@pytest.mark.parametrize(("flips", "held"), [(3, 0), (4, 4)])
def test_flips_that_only_the_refit_wants_are_held_together(flips: int, held: int) -> None:
    old = [HELPFUL] * 10 + [NEEDS_MORE]
    new = [StatusDecision(status=NEEDS_MORE if k < flips else HELPFUL, reason="no_agreement") for k in range(11)]
    decisions, num_flips, num_held = run_limit(old, new, [set()] * 11)
    assert (num_flips, num_held) == (flips, held)
    assert [d.status for d in decisions[:10]] == ([HELPFUL] * 10 if held else [d.status for d in new[:10]])
    assert decisions[10].status == HELPFUL, "a first status is no flip"
    assert {"held_by_flip_cap"} & {d.reason for d in decisions} == ({"held_by_flip_cap"} if held else set())


def test_only_flips_that_rest_on_people_who_moved_too_many_are_held() -> None:
    """Honest flips pass while somebody turns on everything."""
    old = [HELPFUL] * 40
    new = [StatusDecision(status=NEEDS_MORE, reason="no_agreement")] * 30 + [StatusDecision(status=HELPFUL, reason="kept")] * 10
    movers = [{"attacker"}] * 24 + [{f"honest{k}"} for k in range(6)] + [set[str]()] * 10
    decisions, num_flips, num_held = run_limit(old, new, movers)
    assert (num_flips, num_held) == (30, 24)
    assert [d.status for d in decisions[24:30]] == [NEEDS_MORE] * 6
    passed, _, num_held = run_limit(old, new, movers, without=NEEDS_MORE)
    assert (num_held, passed) == (0, new), "flips that happen without them as well pass"


@pytest.mark.parametrize(("flips", "people", "held"), [(1, 1, False), (2, 1, True), (2, 2, False), (1, 0, False)])
def test_one_person_cannot_change_two_statuses(flips: int, people: int, held: bool) -> None:
    old = [HELPFUL] * 100
    new = [StatusDecision(status=NEEDS_MORE if k < flips else HELPFUL, reason="no_agreement") for k in range(100)]
    for movers in ([{"somebody"}] * 100, [set[str]()] * 100):
        decisions, _, _ = run_limit(old, new, movers, people=people)
        assert ([d.status for d in decisions] == old) == held


def test_one_unknown_person_gives_one_first_status_only() -> None:
    old, new = [NEEDS_MORE] * 4, [StatusDecision(status=HELPFUL, reason="both_sides")] * 4
    assert [d.reason for d in limit_first_statuses(old, new)] == ["both_sides", *["waits_for_others"] * 3]
    turned = [StatusDecision(status=NEEDS_MORE, reason="no_agreement"), *new[1:]]
    assert [d.status for d in limit_first_statuses([HELPFUL, *old[1:]], turned)] == [NEEDS_MORE] * 4


def test_status_whose_supporters_withdrew_must_be_gained_again() -> None:
    """Kept by inertia, it would outlive the votes that carried it."""
    thin = judged((5, 3, 5, 3))
    assert status_of(thin).status == NEEDS_MORE
    assert status_of(thin, current_status=HELPFUL).reason == "kept"
    assert status_of(thin, current_status=HELPFUL, is_weakened=True).status == NEEDS_MORE
    assert status_of(judged((9, 9, 9, 9)), current_status=HELPFUL, is_weakened=True).status == HELPFUL


def test_status_survives_one_rating_below_the_quorum() -> None:
    thin = judged((3, 3, 1, 1), degree=0.0)
    assert status_of(thin).reason == "no_quorum"
    assert status_of(thin, current_status=HELPFUL) == StatusDecision(status=HELPFUL, reason="kept")
    assert status_of(judged((3, 3, 0, 0), degree=0.0), current_status=HELPFUL).status == NEEDS_MORE


def test_limit_on_flips_grows_with_the_number_of_statuses() -> None:
    assert flips_allowed([HELPFUL] * 200, 50, P) == 10
    assert flips_allowed([HELPFUL] * 20 + [NEEDS_MORE] * 500, 50, P) == 3


def test_slate_starts_with_the_best_item_of_the_weaker_side() -> None:
    items = judged((30, 29, 30, 2), (30, 3, 30, 29), (30, 16, 30, 15), (30, 2, 30, 2))
    assert choose_slate(items.labels.estimates, max_items=3) == [2, 0, 1]
    assert choose_slate(np.zeros((2, 0))) == []
