"""Who gets the challenger in a canary, and how many people may get it next. Pure functions: nothing is stored.

A person's bucket follows from the release and the person alone, so everybody sees the same model in every conversation, a higher
percentage only adds people, and other releases draw other people.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from yearling.release.gate_rules import CanaryRules

CANARY_STAGES = (1, 5, 25, 100)
"""Percentages of the people who get the challenger."""

_NUM_BUCKETS = 10_000


def is_in_canary(person_id: str, release: int, percent: float) -> bool:
    """Whether a person gets the challenger. Raises ValueError for a percentage outside 0 to 100."""
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentage is from 0 to 100, not {percent}")
    return canary_bucket(person_id, release) < percent * _NUM_BUCKETS / 100


def canary_bucket(person_id: str, release: int) -> int:
    """The person's bucket, from 0 to 9,999, for this release."""
    digest = hashlib.sha256(f"canary\n{release}\n{person_id}".encode("utf-8", "surrogatepass")).digest()
    # 2^64 is no multiple of the buckets, which moves a share by less than 1e-15.
    return int.from_bytes(digest[:8], "big") % _NUM_BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlan:
    """The stage that the answers so far permit. `sentence` says why it is no later one."""

    percent: int
    stage: int
    """Position in CANARY_STAGES."""
    expected_people: float
    """How many people are expected to get the challenger at this percentage."""
    is_live: bool
    """Whether somebody is expected to: otherwise only replayed conversations tell anything."""
    is_proven: bool
    """Whether the last stage is reached: the challenger may be promoted."""
    sentence: str


def plan_canary(num_people: int, detectable_rate: float, rules: CanaryRules | None = None) -> CanaryPlan:
    """The stage of a canary that nothing has stopped.

    `detectable_rate` is the lowest share of the challenger's bad answers that the pairs so far would have shown, with the power
    of the rules, against the champion's share in the rules; infinite for none.
    """
    rules = rules or CanaryRules()
    # A rate that cannot be compared (NaN) permits no further stage.
    stage = sum(1 for rate in rules.seen_rates if detectable_rate <= rate)
    percent = CANARY_STAGES[stage]
    expected = num_people * percent / 100
    is_proven = stage == len(rules.seen_rates)
    sentence = "" if is_proven else _why_no_later(percent, stage, rules)
    if expected < 1:
        replay = "nobody is expected to get the challenger, so replay of stored conversations carries the weight"
        small = f"This installation has {num_people} {'person' if num_people == 1 else 'people'}: at {percent} % {replay}."
        sentence = f"{small} {sentence}".rstrip()
    return CanaryPlan(
        percent=percent,
        stage=stage,
        expected_people=expected,
        is_live=expected >= 1,
        is_proven=is_proven,
        sentence=sentence,
    )


def _why_no_later(percent: int, stage: int, rules: CanaryRules) -> str:
    following, rate = CANARY_STAGES[stage + 1], rules.seen_rates[stage]
    against = f"{100 * rate:g} % of bad answers against {100 * rules.champion_rate:g} %"
    what = "Everybody may get it" if following == 100 else f"{following} % of the people may get it"
    return f"{what} once {against} would have been seen."
