"""The report on the raters, its small-number privacy, and the score of guesses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from yearling.feedback import Comparison, JudgementIndex, Rating, build_rater_report, score_guesses
from yearling.feedback.events import ComparisonOutcome
from yearling.records import Person, PersonRole
from yearling.store import GuessedOutcome, GuessRecord

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def repeat(role: PersonRole, count: int) -> list[PersonRole]:
    return [role] * count


def people(*roles: PersonRole, age_days: int = 1) -> list[Person]:
    created = NOW - timedelta(days=age_days)
    return [Person(id=f"p{n}", name=f"N{n}", role=role, created_utc=created) for n, role in enumerate(roles)]


def rate(index: JudgementIndex, actor: str, **values: float) -> None:
    for item, value in values.items():
        index.add(Rating(id=f"{actor}-{item}", created_utc=NOW, actor=actor, item=item, value=value))


def test_report_counts_spread_and_agreement() -> None:
    index = JudgementIndex()
    rate(index, "p0", a=1, b=1, c=1, d=1)
    rate(index, "p1", a=1)
    rate(index, "p2", a=0)
    rate(index, "imported", a=1)
    report = build_rater_report(index, people("owner", "member", "member", "member", "reader"), str, now=NOW)
    assert (report.members, report.judged, report.outsiders, report.judgements) == (4, 3, 1, 7)
    assert report.spread is not None
    assert report.spread.num_busiest == 1
    assert report.spread.busiest_share == pytest.approx(4 / 7)
    assert report.spread.effective_people == pytest.approx(49 / 19)
    assert report.agreement is not None
    assert report.agreement.num_pairs == 6
    assert report.agreement.equal_share == pytest.approx(0.5)


def test_comparisons_agree_whichever_side_they_were_shown_on() -> None:
    index = JudgementIndex()
    for actor, left, right in (("p0", "x", "y"), ("p1", "x", "y"), ("p2", "y", "x")):
        better: ComparisonOutcome = "left" if left == "x" else "right"
        index.add(Comparison(id=actor, created_utc=NOW, actor=actor, left=left, right=right, outcome=better))
    agreement = build_rater_report(index, people(*repeat("member", 3)), str, now=NOW).agreement
    assert agreement is not None
    assert agreement.equal_share == 1.0


def test_fewer_than_three_people_give_no_figures() -> None:
    index = JudgementIndex()
    rate(index, "p0", a=1, b=0)
    rate(index, "p1", a=1)
    report = build_rater_report(index, people(*repeat("member", 6)), str, now=NOW)
    assert (report.members, report.judged, report.judgements) == (6, None, None)
    assert (report.spread, report.agreement, report.roles, report.ages) == (None, None, (), ())
    rate(index, "p2", z=1)  # three people, but only two of them judged the same
    assert build_rater_report(index, people(*repeat("member", 6)), str, now=NOW).agreement is None


def test_groups_of_fewer_than_three_are_not_split_off() -> None:
    index = JudgementIndex()
    for actor in ("p0", "p1", "p2", "p5"):
        rate(index, actor, a=1)
    small = people("owner", "maintainer", *repeat("member", 5))
    assert build_rater_report(index, small, str, now=NOW).roles == ()  # two administrators
    large = people("owner", "maintainer", "maintainer", *repeat("member", 5))
    groups = build_rater_report(index, large, str, now=NOW).roles
    assert [(group.name, group.members, group.judged) for group in groups] == [("admin", 3, 3), ("member", 5, 1)]
    assert build_rater_report(index, large, str, now=NOW).ages == ()  # all are new: there is nothing to compare
    mixed = [*large[:4], *people(*repeat("owner", 8), age_days=99)[4:]]
    ages = build_rater_report(index, mixed, str, now=NOW).ages
    assert [(group.name, group.members, group.judged) for group in ages] == [("new", 4, 3), ("old", 4, 1)]


def test_closed_accounts_are_no_members() -> None:
    index = JudgementIndex()
    for n in range(4):
        rate(index, f"p{n}", a=1)
    everybody = people(*repeat("member", 4))
    closed = [Person(id="p0", name="N", role="member", created_utc=NOW, closed_utc=NOW), *everybody[1:]]
    report = build_rater_report(index, closed, str, now=NOW)
    assert (report.members, report.judged, report.outsiders) == (3, 3, 1)


def guess(left: str, right: str, choice: GuessedOutcome) -> GuessRecord:
    return GuessRecord(id=left, person_id="me", created_utc=NOW, left_item=left, right_item=right, guess=choice)


def test_guesses_count_against_at_least_three_others_only() -> None:
    index = JudgementIndex()
    rate(index, "me", a=0, b=0, c=1)
    for actor in ("p0", "p1"):
        rate(index, actor, a=1, b=1)
    guesses = [guess("a", "", "helpful")]
    assert score_guesses(guesses, index, "me").counted == 0  # two others, and the own rating does not count
    rate(index, "p2", a=0)
    assert (score_guesses(guesses, index, "me").counted, score_guesses(guesses, index, "me").right) == (1, 1)
    assert score_guesses([guess("a", "", "not_helpful")], index, "me").right == 0
    rate(index, "p3", a=0)
    assert score_guesses(guesses, index, "me").counted == 0  # the others are even
    for actor in ("p0", "p1", "p2"):
        index.add(Comparison(id=f"c{actor}", created_utc=NOW, actor=actor, left="y", right="x", outcome="left"))
    assert score_guesses([guess("x", "y", "right")], index, "me").right == 1
    assert score_guesses([guess("x", "y", "left")], index, "me").right == 0
