"""The order in which items and pairs need judgements: first what one more judgement would change most.

With n judgements whose sum is a, the chance that the next one approves is E = (a + 1) / (n + 2), and a lesson from it weighs
|2E − 1|. The expected size of the change of that weight after one more judgement is what that judgement teaches. It is the
size that counts: the expected change itself is 0 wherever one judgement cannot turn the label, because E is a martingale.

Where the raters visibly divide, what the caller's own side has not judged comes before everything else. This file knows no
people, no texts and no database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.rating.judgement_index import Subject
from yearling.feedback.snapshot import ItemResult, Snapshot
from yearling.feedback.status_rules import NEEDS_MORE, StatusParameters

RatingReason = Literal["jury", "round", "side_missing", "new", "most_uncertain"]
"""Why a judgement is needed: the person is on a jury, a round lacks people, the person's side has not judged yet, nobody has
judged, or one more judgement changes most."""

MIN_EXPECTED_CHANGE = 0.02
"""An item or pair whose weight one more judgement is expected to move by less is settled, and nobody is asked for it. Ten people
of one opinion settle an item, and so do about fifty who divide evenly."""

MIN_SIDE_JUDGEMENTS = 1.5
"""A side with fewer judgements of an item has not judged it yet. Sides are soft, so that counts are no whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingQueueItem:
    """An item that needs a rating, and why."""

    item: str
    reason: RatingReason


class RankedSubject(NamedTuple):
    """An item or a pair with the expected change of its weight after one more judgement. A tuple, since there are many.

    `changes_by_side` gives the expected change of the view of each side that has not judged the item yet; 0 for a side that has.
    """

    subject: Subject
    expected_change: float
    num_judged: float
    changes_by_side: tuple[float, float] = (0.0, 0.0)

    @property
    def reason(self) -> RatingReason:
        """Why one more judgement is needed, apart from what the person's side lacks."""
        return "most_uncertain" if self.num_judged > 0 else "new"


@lru_cache(maxsize=10_000)
def expected_weight_change(approval: float, num_judged: float) -> float:
    """Return the expected size of the change of a lesson's weight after one more judgement.

    `approval` is the sum of `num_judged` judgements between 0 and 1.
    """
    chance = (approval + 1.0) / (num_judged + 2.0)
    weight = abs(2.0 * chance - 1.0)
    if_approved = abs(2.0 * (approval + 2.0) / (num_judged + 3.0) - 1.0)
    if_rejected = abs(2.0 * (approval + 1.0) / (num_judged + 3.0) - 1.0)
    return chance * abs(if_approved - weight) + (1.0 - chance) * abs(if_rejected - weight)


def count_judged(result: ItemResult) -> tuple[float, float]:
    """Return the sum of an item's counted ratings, and their number."""
    return result.approval, float(result.judged)


def is_agreed(result: ItemResult) -> bool:
    """Return whether at least two people judged an item and agree on it: both sides of them, as far as they visibly divide."""
    return result.judged >= 2 and result.label != 0


def without_only_compared(results: Iterable[ItemResult], pairs: Iterable[ConsensusPair]) -> list[ItemResult]:
    """Return the results without answers that nobody rated and that were only ever compared: people judge those as pairs."""
    compared = {item for pair in pairs for item in (pair.better, pair.worse)}
    return [result for result in results if result.judged or result.uncounted or result.item not in compared]


def rank_item(result: ItemResult, *, is_divided: bool) -> RankedSubject:
    """Return an item of a snapshot with what one more rating of it would teach."""
    approval, num_judged = count_judged(result)
    first, second = (
        expected_weight_change(side.approval, side.ratings)
        if is_divided and num_judged > 0 and side.ratings < MIN_SIDE_JUDGEMENTS
        else 0.0
        for side in result.sides
    )
    return RankedSubject(
        subject=(result.item,),
        expected_change=expected_weight_change(approval, num_judged),
        num_judged=num_judged,
        changes_by_side=(first, second),
    )


def rank_pair(subject: Subject, preference: float, num_judged: int) -> RankedSubject:
    """Return a pair with what one more comparison would teach. `preference` for its first item is the sum of 1, 0.5 and 0."""
    return RankedSubject(subject, expected_weight_change(preference, num_judged), num_judged)


def sort_subjects(ranked: Iterable[RankedSubject]) -> list[RankedSubject]:
    """Return what is not settled, most instructive first. Equals follow by id, so that the order does not jump about."""
    unsettled = (entry for entry in ranked if entry.expected_change >= MIN_EXPECTED_CHANGE)
    return sorted(unsettled, key=lambda entry: (-entry.expected_change, entry.subject))


def sort_missing(ranked: Iterable[RankedSubject], side: int) -> list[RankedSubject]:
    """Return what a side has not judged yet, most instructive first."""
    missing = (entry for entry in ranked if entry.changes_by_side[side] > 0.0)
    return sorted(missing, key=lambda entry: (-entry.changes_by_side[side], entry.subject))


def build_rating_queue(snapshot: Snapshot, p: StatusParameters, side: int) -> list[RatingQueueItem]:
    """Return the items without a status, in the order in which a rating by a person of `side` (0, 1, or −1 if unknown) helps.

    The entries hold no scores, because a rater should not see what others think. The caller omits items that the person rated.
    Answers that were only ever compared are judged as pairs, and are none of these.
    """
    is_divided = snapshot.crowd.two_sides
    ranked = [
        rank_item(result, is_divided=is_divided)
        for result in without_only_compared(snapshot.items, snapshot.pairs)
        if result.status == NEEDS_MORE
    ]
    missing = sort_missing(ranked, side) if side >= 0 else []
    first = {entry.subject for entry in missing}
    rest = (entry for entry in sort_subjects(ranked) if entry.subject not in first)
    return [
        *(RatingQueueItem(item=entry.subject[0], reason="side_missing") for entry in missing),
        *(RatingQueueItem(item=entry.subject[0], reason=entry.reason) for entry in rest),
    ]
