"""Explanations are for people who know no statistics: they describe opinions, and never name people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from yearling.feedback import (
    ConsensusParameters,
    ItemResult,
    SideResult,
    Snapshot,
    StatusParameters,
    display_status,
    explain_item,
    explain_snapshot,
    find_telling_items,
    run_consensus,
)
from yearling.feedback.explain import REASON_SENTENCES
from yearling.feedback.rating_table import NEW_ACCOUNT
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL
from yearling.feedback.visible_division import VisibleDivision

P = StatusParameters()
Side = tuple[int, float, float, float]
NOBODY: Side = (0, 0.0, 0.4, 0.4)


def make_result(a: Side, b: Side, **overrides: object) -> ItemResult:
    """A result with the sides (ratings, approval, estimate, chance). Counts follow from the sides."""
    sides = tuple(SideResult(ratings=n, approval=yes, estimate=e, chance=c) for n, yes, e, c in (a, b))
    fields: dict[str, Any] = {
        "item": "x",
        "status": NEEDS_MORE,
        "reason": "no_agreement",
        "previous": NEEDS_MORE,
        "sides": sides,
        "bridging": 0.5,
        "intercept": 0.0,
        "axis": 0.0,
        "jury": "",
        "rules": (),
        "uncounted": {},
        "label": 0,
        "q": 0.5,
        "weight": 0.0,
        "label_reason": "nothing_decided",
        "judged": a[0] + b[0],
        "approval": a[1] + b[1],
        **overrides,
    }
    return ItemResult(**fields)


def explain(degree: float, a: Side, b: Side, **overrides: object) -> list[str]:
    return explain_item(make_result(a, b, **overrides), P, degree=degree)


def make_snapshot(items: tuple[ItemResult, ...], degree: float, **overrides: Any) -> Snapshot:
    empty = run_consensus([], ConsensusParameters()).snapshot
    division = VisibleDivision(distance=9.0, correlation=0.1, degree=degree)
    crowd = replace(empty.crowd, degree=degree)
    return replace(empty, items=items, visible_division=division, crowd=crowd, **overrides)


def test_small_team_that_agrees_is_not_split_into_sides() -> None:
    fields: dict[str, Any] = {
        "status": HELPFUL,
        "reason": "team_agrees",
        "label": 1,
        "q": 0.71,
        "weight": 0.43,
        "label_reason": "decided",
    }
    assert explain(0.49, (3, 3.0, 0.7, 0.9), (2, 1.0, 0.6, 0.6), **fields) == [
        "Helpful. Your team agrees: 4 of 5 find it helpful.",
        "The assistant can learn from it, as a good example with a weight of 0.43 out of 1.",
    ]


def test_team_that_agrees_on_a_bad_answer() -> None:
    lines = explain(0.0, (2, 0.0, 0.3, 0.1), (1, 0.0, 0.3, 0.1), status=NOT_HELPFUL, reason="team_agrees", label=-1, weight=0.4)
    assert lines[0] == "Not helpful. Your team agrees: all 3 find it not helpful."
    assert "as a bad example" in lines[1]


def test_two_sides_are_named_only_where_they_decide() -> None:
    a, b = (10, 9.0, 0.8, 0.99), (1, 1.0, 0.8, 0.9)
    lines = explain(0.5, a, b, status=HELPFUL, reason="both_sides")
    assert lines[:3] == [
        "Helpful. Both sides agree, with a margin for doubt on each.",
        "On side A, 9 of 10 find it helpful.",
        "On side B, 1 of 1 finds it helpful.",
    ]
    for reason in sorted(REASON_SENTENCES.keys() - {"other_side_missing"}):  # given only where two sides decide
        for status in (HELPFUL, NOT_HELPFUL, NEEDS_MORE):
            for label_reason in ("decided", "nothing_decided", "people_are_divided"):
                words = " ".join(explain(0.49, a, b, status=status, reason=reason, label_reason=label_reason))
                assert "side" not in words.lower(), reason


def test_somewhat_counts_half() -> None:
    assert "4½ of 5 find it helpful, where “somewhat” counts half." in explain(0.0, (5, 4.5, 0.6, 0.6), NOBODY)
    assert "½ of 1 finds it helpful, where “somewhat” counts half." in explain(0.0, (1, 0.5, 0.6, 0.6), NOBODY)


def test_divided_people_are_not_asked_for_more_ratings() -> None:
    divided: dict[str, Any] = {"label_reason": "people_are_divided"}
    lines = explain(0.2, (4, 2.0, 0.5, 0.5), NOBODY, **divided)
    assert lines == [
        "People are divided. Some find it helpful and others do not: more ratings of the same kind will not change that.",
        "2 of 4 find it helpful.",
        "The assistant learns nothing from it while people are divided.",
    ]
    lines = explain(0.9, (20, 19.0, 0.9, 0.99), (20, 1.0, 0.1, 0.01), **divided)
    assert "On side A, 19 of 20 find it helpful." in lines
    assert "One side clearly approves and the other clearly disapproves." in lines
    lines = explain(0.9, (20, 19.0, 0.9, 0.99), (20, 10.0, 0.5, 0.5), **divided)
    assert "Side A clearly approves." in lines
    assert "Side B is undecided." in lines


def test_two_opposite_ratings_among_many_people_still_need_more_ratings() -> None:
    result = make_result((1, 1.0, 0.6, 0.6), (1, 0.0, 0.4, 0.4), reason="no_quorum", label_reason="people_are_divided")
    assert display_status(result) == NEEDS_MORE
    lines = explain_item(result, P, degree=0.0)
    assert lines[0] == "Needs more ratings. Too few ratings count so far."
    assert "It needs ratings of half of the people who take part: at least two, and never more than five." in lines


@pytest.mark.parametrize("degree", [0.0, 0.9])
def test_nothing_is_invented_where_nobody_counts(degree: float) -> None:
    lines = explain(degree, NOBODY, NOBODY, reason="no_quorum", uncounted={"new_account": 2})
    words = " ".join(lines)
    assert lines[0] == "Needs more ratings. Nobody whose ratings count has judged it yet."
    assert "%" not in words
    assert "has not rated" not in words
    assert "2 ratings do not count." in words
    for rule in ("Invited people count at once", "nobody invited", "three judgements of other people's items", "earlier ones"):
        assert rule in words
    copies = " ".join(explain(degree, NOBODY, NOBODY, reason="no_quorum", uncounted={"copy": 1}))
    assert "1 rating does not count. An account that repeats another account's ratings does not count." in copies


def test_side_whose_ratings_do_not_count() -> None:
    lines = explain(0.9, (3, 3.0, 0.8, 0.9), NOBODY, reason="no_agreement", uncounted={"new_account": 1})
    assert "No rating that counts comes from side B yet." in lines
    assert lines[-1].startswith("1 rating does not count. An account that nobody invited counts after three judgements")
    assert "%" not in " ".join(lines)


def test_explanation_mentions_the_jury() -> None:
    lines = explain(0.9, (9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason="jury_veto", jury="split")
    assert lines[0] == "Needs more ratings. A jury drawn by lot disagreed, so it has no status."
    assert "The verdict of the jury: it is split." in lines


def test_nothing_is_learnt_from_notes() -> None:
    result = make_result((3, 3.0, 0.7, 0.9), NOBODY, status=HELPFUL, reason="team_agrees", weight=0.4, label=1)
    assert "learn" in " ".join(explain_item(result, P, degree=0.0))
    assert "learn" not in " ".join(explain_item(result, P, degree=0.0, is_note=True))


@pytest.mark.parametrize("reason", [*sorted(REASON_SENTENCES), "a_reason_of_a_newer_version"])
def test_every_reason_has_a_sentence(reason: str) -> None:
    line = explain(0.0, (9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason=reason)[0]
    assert reason not in line or "_" not in reason
    assert line.endswith(".")


def test_sides_are_described_by_what_they_like() -> None:
    def rated(item: str, a: Side, b: Side) -> ItemResult:
        return make_result(a, b, item=item)

    items = (
        rated("a1", (9, 9.0, 0.9, 0.9), (9, 0.0, 0.1, 0.1)),
        rated("a2", (9, 9.0, 0.8, 0.9), (9, 0.0, 0.2, 0.1)),
        rated("a3", (2, 2.0, 0.9, 0.9), (1, 0.0, 0.1, 0.1)),
        rated("a4", (9, 9.0, 0.7, 0.9), (9, 0.0, 0.4, 0.1)),
        rated("b1", (9, 0.0, 0.2, 0.1), (9, 9.0, 0.9, 0.9)),
        rated("both", (9, 9.0, 0.99, 0.9), (9, 5.0, 0.55, 0.9)),
        rated("one side only", (9, 9.0, 0.99, 0.9), (0, 0.0, 0.01, 0.1)),
        rated("unreadable", (30, 30.0, 0.99, 0.9), (30, 0.0, 0.01, 0.1)),
    )
    readable = [item.item for item in items if item.item != "unreadable"]
    assert find_telling_items(make_snapshot(items, 0.5), readable) == (("a1", "a2", "a3"), ("b1",))
    assert find_telling_items(make_snapshot(items, 0.49), readable) == ((), ())


def test_agreement_that_is_new_needs_time_and_not_ratings() -> None:
    fields: dict[str, Any] = {"reason": "too_young", "label": 1, "weight": 0.6, "q": 0.8, "label_reason": "decided"}
    new = make_result((3, 3.0, 0.8, 0.9), (0, 0.0, 0.8, 0.9), **fields)
    assert display_status(new) == "agreement_is_new"
    lines = explain_item(new, P, degree=0.0)
    assert lines[0].startswith("People agree so far. It gets a status later")
    assert lines[1] == "All 3 find it helpful."
    assert not any("more ratings" in line for line in lines)
    summary = explain_snapshot(make_snapshot((new, new), 0.0))
    assert "On 2 more people agree so far: they get a status later." in summary
    assert "0 helpful, 0 not helpful, 0 on which people are divided, 0 need more ratings." in summary


def test_summary_of_a_run_is_singular_or_plural() -> None:
    item = make_result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), weight=0.4, label=1, label_reason="decided")
    run = make_snapshot((item,), 0.0, raters={"seen": 1, "counted": 0}, dropped={NEW_ACCOUNT: 1, "retracted": 2})
    assert explain_snapshot(run) == [
        "1 person judged answers; the judgements of 0 count.",
        "No two sides are visible: people judge alike, or are too few to tell. Everybody counts together.",
        "0 helpful, 0 not helpful, 0 on which people are divided, 1 needs more ratings.",
        "1 of 1 rated item can be learnt from.",
        "Not counted: 1 act (the account signed up alone, or was imported, and has judged too little so far).",
        "Not counted: 2 acts (retracted).",
    ]
    divided = replace(item, label_reason="people_are_divided", weight=0.0, label=0)
    raters = {"seen": 20, "counted": 19, "side_0": 12, "side_1": 7}
    lines = explain_snapshot(make_snapshot((item, divided), 0.5, raters=raters))
    assert lines[:3] == [
        "20 people judged answers; the judgements of 19 count.",
        "They form two sides: 12 on side A, 7 on side B. A status needs both.",
        "0 helpful, 0 not helpful, 1 on which people are divided, 1 needs more ratings.",
    ]
