"""What one more judgement is expected to change, and the order that follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.feedback import (
    NEEDS_MORE,
    ConsensusPair,
    ConsensusParameters,
    ItemResult,
    SideResult,
    StatusParameters,
    build_rating_queue,
    expected_weight_change,
    run_consensus,
    without_only_compared,
)
from yearling.feedback.rating_queue import (
    MIN_EXPECTED_CHANGE,
    is_agreed,
    rank_item,
    rank_pair,
    sort_missing,
    sort_subjects,
)


def item(name: str, *sides: tuple[int, float]) -> ItemResult:
    """An item with (ratings, approval) of two sides."""
    (first_n, first_a), (second_n, second_a) = (*sides, (0, 0.0), (0, 0.0))[:2]
    first, second = (
        SideResult(ratings=n, approval=a, estimate=(a + 1) / (n + 2), chance=0.5)
        for n, a in ((first_n, first_a), (second_n, second_a))
    )
    return ItemResult(
        item=name,
        status=NEEDS_MORE,
        reason="no_quorum",
        previous="",
        judged=first_n + second_n,
        approval=first_a + second_a,
        label=0,
        q=0.5,
        weight=0.0,
        label_reason="nothing_decided",
        sides=(first, second),
        bridging=0.5,
        intercept=0.0,
        axis=0.0,
        jury="",
        rules=(),
        uncounted={},
    )


def test_expected_change_follows_the_rule_of_succession() -> None:
    assert expected_weight_change(0, 0) == pytest.approx(1 / 3)  # ½ becomes ⅔ or ⅓
    assert expected_weight_change(1, 1) == pytest.approx(2 / 3 * 1 / 6 + 1 / 3 * 1 / 3)  # ⅔ becomes ¾ or ½
    assert expected_weight_change(1, 2) == pytest.approx(1 / 5)  # ½ becomes ⅗ or ⅖
    assert expected_weight_change(10, 10) >= MIN_EXPECTED_CHANGE > expected_weight_change(13, 13)


@given(st.integers(0, 60), st.integers(0, 60))
def test_agreement_teaches_less_than_doubt_and_both_ways_alike(up: int, down: int) -> None:
    n = up + down
    assert expected_weight_change(up, n) == pytest.approx(expected_weight_change(down, n))
    assert 0 < expected_weight_change(up, n) <= 1 / 3
    if n % 2 == 0 and n > 2:
        assert expected_weight_change(n, n) < expected_weight_change(n / 2, n)


def test_order_is_by_what_one_more_judgement_changes() -> None:
    ranked = [
        rank_item(item("unanimous", (3, 3.0)), is_divided=False),
        rank_item(item("once", (1, 1.0)), is_divided=False),
        rank_item(item("divided", (4, 2.0)), is_divided=False),
        rank_item(item("settled", (30, 30.0)), is_divided=False),
        rank_pair(("left", "right"), 0.0, 0),
    ]
    ordered = sort_subjects(reversed(ranked))
    assert [entry.subject[0] for entry in ordered] == ["left", "once", "divided", "unanimous"]
    assert [entry.reason for entry in ordered] == ["new", "most_uncertain", "most_uncertain", "most_uncertain"]


def test_a_missing_side_is_asked_only_where_people_visibly_divide() -> None:
    one_sided = item("one-sided", (30, 30.0), (0, 0.0))
    assert sort_missing([rank_item(one_sided, is_divided=False)], 1) == []
    ranked = [rank_item(one_sided, is_divided=True), rank_item(item("both", (2, 2.0), (2, 2.0)), is_divided=True)]
    assert [entry.subject for entry in sort_missing(ranked, 1)] == [("one-sided",)]
    assert sort_missing(ranked, 0) == []
    assert sort_missing([rank_item(item("nobody"), is_divided=True)], 0) == []  # where nobody judged, no side is missing


def test_answers_that_were_only_compared_are_not_asked_for_one_by_one() -> None:
    pair = ConsensusPair(better="compared", worse="rated too", q=0.7, weight=0.4, comparisons=1, reason="")
    waiting = [item("rated too", (1, 1.0)), item("compared"), item("alone"), replace(item("compared"), uncounted={"copy": 1})]
    assert without_only_compared(waiting, [pair]) == [waiting[0], waiting[2], waiting[3]]
    snapshot = replace(run_consensus([], ConsensusParameters()).snapshot, items=tuple(waiting[:3]), pairs=(pair,))
    assert [entry.item for entry in build_rating_queue(snapshot, StatusParameters(), -1)] == ["alone", "rated too"]


def test_agreement_takes_two_people_and_a_label() -> None:
    assert not is_agreed(replace(item("one", (1, 1.0)), label=1))
    assert is_agreed(replace(item("two", (2, 2.0)), label=1))
    assert is_agreed(replace(item("two against", (2, 0.0)), label=-1))
    assert not is_agreed(item("split", (9, 9.0), (3, 0.0)))
