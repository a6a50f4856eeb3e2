"""Whose feedback this is: how many people judge, how evenly, how often they agree, and how well they stand for all members.

The report names nobody. Where fewer than `MIN_PEOPLE` people judged, it says so and gives no figure beyond their number, and it
splits members into no group that is smaller. It computes no consensus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from yearling.feedback.rating.judgement_index import JudgementIndex, preference_for_first
from yearling.records import Person, role_rank

MIN_PEOPLE = 3
"""Figures about fewer people than this could say what a single one did."""

_NEW_AGE = timedelta(days=30)
_BUSIEST_SHARE = 10
"""The busiest one of so many people, and at least one, are compared with all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterSpread:
    """How evenly people judge. `effective_people` is (Σn)²/Σn²: as many people who judge equally often are as uneven as these."""

    num_busiest: int
    busiest_share: float
    effective_people: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterAgreement:
    """Of `num_pairs` times that two people judged the same, in which share they gave the same judgement."""

    num_pairs: int
    equal_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberGroup:
    """Some of the members, and how many of them have judged.

    `name` is `admin` for owners and maintainers, `member` for the others, `new` for accounts of the last 30 days, `old` for the
    others.
    """

    name: str
    members: int
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterReport:
    """Who judges. What could say what a single person did is None or empty.

    `judged` is the number of members who have judged. `outsiders` are people in the log without an open account that may judge:
    their accounts were deleted or closed, or their judgements were imported.
    """

    members: int
    judged: int | None
    outsiders: int
    judgements: int | None
    spread: RaterSpread | None
    agreement: RaterAgreement | None
    roles: tuple[MemberGroup, ...]
    ages: tuple[MemberGroup, ...]


def build_rater_report(
    judgements: JudgementIndex, people: Sequence[Person], pseudonym: Callable[[str], str], *, now: datetime
) -> RaterReport:
    """Report on the judgements of a log. Members are the people with an open account that may judge."""
    counts = judgements.num_judged_by_actor()
    members = [person for person in people if person.closed_utc is None and role_rank(person.role) >= role_rank("member")]
    judged_ids = {person.id for person in members if pseudonym(person.id) in counts}
    has_enough, has_enough_members = len(counts) >= MIN_PEOPLE, len(judged_ids) >= MIN_PEOPLE
    return RaterReport(
        members=len(members),
        judged=len(judged_ids) if has_enough_members else None,
        outsiders=len(counts) - len(judged_ids),
        judgements=sum(counts.values()) if has_enough else None,
        spread=_measure_spread(list(counts.values())) if has_enough else None,
        agreement=_measure_agreement(judgements) if has_enough else None,
        roles=_group(members, judged_ids, _role_group, ("admin", "member")) if has_enough_members else (),
        ages=_group(members, judged_ids, lambda person: "new" if now - person.created_utc < _NEW_AGE else "old", ("new", "old"))
        if has_enough_members
        else (),
    )


def _role_group(person: Person) -> str:
    return "member" if person.role == "member" else "admin"


def _measure_spread(counts: Sequence[int]) -> RaterSpread:
    num_busiest, total = max(1, len(counts) // _BUSIEST_SHARE), sum(counts)
    busiest = sum(sorted(counts, reverse=True)[:num_busiest])
    return RaterSpread(
        num_busiest=num_busiest,
        busiest_share=busiest / total,
        effective_people=total * total / sum(count * count for count in counts),
    )


def _measure_agreement(judgements: JudgementIndex) -> RaterAgreement | None:
    """Return how often two people agree, or None if fewer than `MIN_PEOPLE` have judged anything that another judged."""
    num_pairs = num_equal = 0
    people: set[str] = set()
    for subject in judgements.subjects():
        latest = judgements.latest(subject)
        if len(latest) < 2:
            continue
        people.update(latest)
        num_pairs += len(latest) * (len(latest) - 1) // 2
        num_equal += sum(n * (n - 1) // 2 for n in Counter(map(preference_for_first, latest.values())).values())
    return RaterAgreement(num_pairs=num_pairs, equal_share=num_equal / num_pairs) if len(people) >= MIN_PEOPLE else None


def _group(
    members: Sequence[Person], judged_ids: set[str], name_of: Callable[[Person], str], names: Iterable[str]
) -> tuple[MemberGroup, ...]:
    """Split the members, or not at all if a group is too small, because the others would then tell what it did."""
    groups = []
    for name in names:
        ids = [person.id for person in members if name_of(person) == name]
        if ids:
            groups.append(MemberGroup(name=name, members=len(ids), judged=len(judged_ids.intersection(ids))))
    is_safe = len(groups) > 1 and all(group.members >= MIN_PEOPLE for group in groups)
    return tuple(groups) if is_safe else ()
