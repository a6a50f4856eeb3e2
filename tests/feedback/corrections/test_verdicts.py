"""The rule by which the team accepts a correction: statuses where a status is possible, the label where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from yearling.feedback import HELPFUL, NEEDS_MORE, NOT_HELPFUL, ItemResult, SideResult, judge_proposal, unpack_reason


def result(status: str = NEEDS_MORE, label: int = 0, **changes: Any) -> ItemResult:
    side = SideResult(ratings=1.0, approval=1.0, estimate=0.6, chance=0.6)
    values: dict[str, Any] = {
        "item": "i",
        "status": status,
        "reason": "no_quorum" if status == NEEDS_MORE else "team_agrees",
        "previous": NEEDS_MORE,
        "judged": 3,
        "approval": 2.5,
        "label": label,
        "q": 0.7,
        "weight": 0.4,
        "label_reason": "decided",
        "sides": (side, side),
        "bridging": 0.6,
        "intercept": 0.0,
        "axis": 0.0,
        "jury": "",
        "rules": (),
        "uncounted": {},
    }
    return ItemResult(**{**values, **changes})


@pytest.mark.parametrize(
    ("given", "was_active", "num_others", "by_administrator", "expected"),
    [
        # A status decides, whatever was before.
        (result(HELPFUL, 1), False, 4, False, ("active", "team_agrees")),
        (result(NOT_HELPFUL, -1), True, 4, True, ("declined", "team_agrees")),
        (result(NOT_HELPFUL, -1), True, 0, True, ("declined", "team_agrees")),
        # Among many, no label alone accepts anything, and nobody accepts their own.
        (result(label=1), False, 2, True, ("proposed", "no_quorum")),
        (None, False, 2, True, ("proposed", "nobody_yet")),
        # One other person: what that person's judgement teaches.
        (result(label=1), False, 1, False, ("active", "one_other")),
        (result(label=-1), True, 1, True, ("declined", "one_other")),
        (result(label=0), False, 1, False, ("proposed", "no_quorum")),
        (None, False, 1, True, ("proposed", "nobody_yet")),
        # Nobody else.
        (None, False, 0, True, ("active", "alone")),
        (None, False, 0, False, ("proposed", "nobody_yet")),
        # What was accepted stays, until people find it wrong.
        (None, True, 5, True, ("active", "kept")),
        (result(label=1), True, 5, True, ("active", "kept")),
        (result(label=-1), True, 5, True, ("proposed", "voted_down")),
    ],
)
def test_verdicts(
    given: ItemResult | None, was_active: bool, num_others: int, by_administrator: bool, expected: tuple[str, str]
) -> None:
    verdict = judge_proposal(given, was_active=was_active, num_others=num_others, by_administrator=by_administrator)
    assert (verdict.state, verdict.reason) == expected
    assert unpack_reason(verdict.pack()) == (expected[1], 3 if given else 0, 2.5 if given else 0.0)


def test_reason_of_an_entry_that_nobody_settled() -> None:
    assert unpack_reason("") == ("nobody_yet", 0, 0.0)
