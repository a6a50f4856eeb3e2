"""Plain words: by side, never by name."""

from __future__ import annotations

import pytest

from yearling.feedback import ItemResult, SideResult, StatusParameters, explain_item
from yearling.feedback.explain import REASON_SENTENCES
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE

P = StatusParameters()


def result(a: tuple[int, float, float, float], b: tuple[int, float, float, float], **more: object) -> ItemResult:
    sides = tuple(SideResult(ratings=n, approval=yes, estimate=e, chance=c) for n, yes, e, c in (a, b))
    fields = {
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
        **more,
    }
    return ItemResult(**fields)  # type: ignore[arg-type]


def test_a_status_comes_with_what_each_side_found() -> None:
    lines = explain_item(
        result((10, 9.0, 0.8, 0.99), (1, 1.0, 0.8, 0.9), status=HELPFUL, reason="both_sides"), P, division_seen=True
    )
    assert lines == [
        "Helpful. Raters on both sides agree, with room for doubt on each.",
        "Side A: 10 ratings, 90% approval; the chance that at least half of this side approves is 99%.",
        "Side B: 1 rating, 100% approval; the chance that at least half of this side approves is 90%.",
    ]


def test_what_is_missing_is_counted_by_side() -> None:
    lines = explain_item(result((3, 3.0, 0.8, 0.9), (0, 0.0, 0.4, 0.4), reason="no_quorum"), P, division_seen=True)
    assert "Missing: 2 more counted ratings in all." in lines
    assert "Missing: 2 more counted ratings from side B." in lines
    assert "Side B has not rated it; from what else its raters say, about 40% would approve." in lines


def test_a_divided_item_says_that_more_of_the_same_does_not_help() -> None:
    lines = explain_item(result((20, 19.0, 0.9, 0.99), (20, 1.0, 0.1, 0.01)), P, division_seen=True)
    assert lines[-1] == "One side approves and the other disapproves: more of the same ratings will not change that."
    lines = explain_item(result((20, 19.0, 0.9, 0.99), (20, 10.0, 0.5, 0.5)), P, division_seen=True)
    assert lines[-2:] == ["Side A approves.", "Side B has not settled."]


def test_jury_uncounted_ratings_and_no_division_are_told() -> None:
    lines = explain_item(
        result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason="jury_veto", jury="split", uncounted=3), P, division_seen=False
    )
    assert lines[0] == "Needs more ratings. A jury drawn by lot found otherwise, so it has no status."
    assert "The jury's finding: it is split." in lines
    assert any(line.startswith("3 ratings not counted") for line in lines)
    assert lines[-1].startswith("No line of division is visible yet")


@pytest.mark.parametrize("reason", sorted(REASON_SENTENCES))
def test_every_reason_is_a_sentence(reason: str) -> None:
    line = explain_item(result((9, 8.0, 0.8, 0.9), (9, 8.0, 0.8, 0.9), reason=reason), P, division_seen=True)[0]
    assert reason not in line
    assert line.endswith(".")
