"""Explanations describe sides and never name raters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from yearling.feedback import (
    ConsensusParameters,
    ItemResult,
    SideResult,
    StatusParameters,
    explain_item,
    explain_snapshot,
    run_consensus,
)
from yearling.feedback.explain import REASON_SENTENCES
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE

P = StatusParameters()


def make_result(a: tuple[int, float, float, float], b: tuple[int, float, float, float], **overrides: object) -> ItemResult:
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
        "uncounted": 0,
        **overrides,
    }
    return ItemResult(**fields)


def test_explanation_shows_the_status_and_the_view_of_each_side() -> None:
    lines = explain_item(
        make_result((10, 9.0, 0.8, 0.99), (1, 1.0, 0.8, 0.9), status=HELPFUL, reason="both_sides"), P, division_seen=True
    )
    assert lines == [
        "Helpful. Raters on both sides agree, with a margin for doubt on each.",
        "Side A: 10 ratings, 90% approval; the chance that at least half of this side approves is 99%.",
        "Side B: 1 rating, 100% approval; the chance that at least half of this side approves is 90%.",
    ]


def test_explanation_counts_missing_ratings_by_side() -> None:
    lines = explain_item(make_result((3, 3.0, 0.8, 0.9), (0, 0.0, 0.4, 0.4), reason="no_quorum"), P, division_seen=True)
    assert "Missing: 2 more counted ratings in total." in lines
    assert "Missing: 2 more counted ratings from side B." in lines
    lines = explain_item(make_result((4, 3.0, 0.8, 0.9), (1, 0.0, 0.4, 0.4), reason="no_quorum"), P, division_seen=True)
    assert "Missing: 1 more counted rating from side B." in lines


def test_explanation_of_a_side_without_ratings() -> None:
    lines = explain_item(make_result((3, 3.0, 0.8, 0.9), (0, 0.0, 0.4, 0.4), reason="no_quorum"), P, division_seen=True)
    assert "Side B has not rated it. Judging by its raters' other ratings, about 40% would approve." in lines


def test_explanation_of_a_divided_item() -> None:
    lines = explain_item(make_result((20, 19.0, 0.9, 0.99), (20, 1.0, 0.1, 0.01)), P, division_seen=True)
    assert lines[-1] == "One side approves and the other disapproves: more ratings of the same kind will not change that."
    lines = explain_item(make_result((20, 19.0, 0.9, 0.99), (20, 10.0, 0.5, 0.5)), P, division_seen=True)
    assert lines[-2:] == ["Side A approves.", "Side B is undecided."]


def test_explanation_mentions_jury_uncounted_ratings_and_missing_division() -> None:
    lines = explain_item(
        make_result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason="jury_veto", jury="split", uncounted=3), P, division_seen=False
    )
    assert lines[0] == "Needs more ratings. A jury drawn by lot disagreed, so it has no status."
    assert "The verdict of the jury: it is split." in lines
    assert any(line.startswith("3 ratings not counted") for line in lines)
    assert lines[-1].startswith("The ratings show no division yet")


@pytest.mark.parametrize("reason", sorted(REASON_SENTENCES))
def test_every_reason_has_a_sentence(reason: str) -> None:
    line = explain_item(make_result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason=reason), P, division_seen=True)[0]
    assert reason not in line
    assert line.endswith(".")


def test_summary_of_a_run_is_singular_or_plural() -> None:
    item = make_result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9))
    run = replace(
        run_consensus([], ConsensusParameters()).snapshot,
        raters={"seen": 1, "taking_part": 0},
        items=(item,),
        dropped={"rater with too few acts so far": 1, "retracted": 2},
    )
    assert explain_snapshot(run) == [
        "1 rater, 0 counted: 0 on side A, 0 on side B.",
        "The ratings show no division between raters. A status still needs agreement of both sides.",
        "0 helpful, 0 not helpful, 1 needs more ratings.",
        "Not counted: 1 act (the rater has acted too rarely so far).",
        "Not counted: 2 acts (retracted).",
    ]
    lines = explain_snapshot(replace(run, raters={"seen": 2, "taking_part": 1, "side_0": 1}, items=(item, item)))
    assert lines[0] == "2 raters, 1 counted: 1 on side A, 0 on side B."
    assert lines[2] == "0 helpful, 0 not helpful, 2 need more ratings."
