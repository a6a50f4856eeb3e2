"""Who is in a canary, and how far it may go."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yearling.release import CANARY_STAGES, CanaryRules, is_in_canary, plan_canary
from yearling.release.gate_rules import default_rules_text, parse_rules

PEOPLE = [f"person {number}" for number in range(4000)]


@settings(max_examples=30)
@given(person=st.text(), release=st.integers(0, 10**6), low=st.integers(0, 100), high=st.integers(0, 100))
def test_raising_the_percentage_only_adds_people(person: str, release: int, low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert is_in_canary(person, release, low) <= is_in_canary(person, release, high)
    assert not is_in_canary(person, release, 0)
    assert is_in_canary(person, release, 100)


def test_shares_are_as_large_as_said_and_independent_between_releases() -> None:
    for percent in (1, 5, 25):
        share = sum(is_in_canary(person, 7, percent) for person in PEOPLE) / len(PEOPLE)
        assert share == pytest.approx(percent / 100, abs=4 * math.sqrt(percent / 100 / len(PEOPLE)))
    both = sum(is_in_canary(person, 7, 25) and is_in_canary(person, 8, 25) for person in PEOPLE) / len(PEOPLE)
    assert both == pytest.approx(0.25**2, abs=0.015)
    assert [is_in_canary("ann", 7, percent) for percent in range(101)] == sorted(is_in_canary("ann", 7, p) for p in range(101))


@pytest.mark.parametrize("percent", [-1, 101, math.nan, math.inf])
def test_percentages_outside_the_range_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percentage"):
        is_in_canary("ann", 1, percent)


@pytest.mark.parametrize(
    ("detectable", "percent"),
    [(math.inf, 1), (0.11, 1), (0.10, 5), (0.07, 5), (0.06, 25), (0.04, 25), (0.03, 100), (0.02, 100), (math.nan, 1)],
)
def test_stages_follow_what_would_have_been_seen(detectable: float, percent: int) -> None:
    plan = plan_canary(1000, detectable)
    assert (plan.percent, plan.percent in CANARY_STAGES) == (percent, True)
    assert plan.is_proven == (percent == 100) == (not plan.sentence)
    assert plan.expected_people == 10 * percent


def test_small_installation_says_that_replay_carries_the_weight() -> None:
    plan = plan_canary(5, math.inf)
    assert (plan.is_live, plan.expected_people) == (False, 0.05)
    assert plan.sentence == (
        "This installation has 5 people: at 1 % nobody is expected to get the challenger, so replay of stored conversations "
        "carries the weight. 5 % of the people may get it once 10 % of bad answers against 1 % would have been seen."
    )
    assert plan_canary(5, 0.05).is_live
    assert plan_canary(1, 0.02).is_proven
    assert "has 1 person:" in plan_canary(1, 0.05).sentence
    assert plan_canary(0, math.inf).percent == 1


def test_rules_of_the_quorum_move_the_stages() -> None:
    strict = CanaryRules(seen_rates=(0.05, 0.03, 0.02))
    assert [plan_canary(1000, rate, strict).percent for rate in (0.06, 0.05, 0.03, 0.02)] == [1, 5, 25, 100]
    assert parse_rules(default_rules_text()).canary == CanaryRules()
