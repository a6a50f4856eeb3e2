"""The order in which items need ratings: items that lack a side come first, the rater's own side before the other."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.feedback.snapshot import Snapshot
from yearling.feedback.status_rules import NEEDS_MORE, StatusParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingQueueItem:
    """An item that needs a rating, and why: `jury`, `your_side`, `other_side`, `quorum`, or `undecided`."""

    item: str
    reason: str


def build_rating_queue(snapshot: Snapshot, p: StatusParameters, side: int) -> list[RatingQueueItem]:
    """Return the items without a status, in the order in which a rating by a person of `side` (0, 1, or −1 if unknown) helps.

    The entries hold no scores, because a rater should not see what others think. The caller omits items that the person rated.
    """
    quorum = p.find_rule("quorum")
    ranked: list[tuple[tuple[int, float, int], RatingQueueItem]] = []
    for position, result in enumerate(snapshot.items):
        if result.status != NEEDS_MORE:
            continue
        missing_by_side = [max(0.0, 1.0 - side_result.ratings) for side_result in result.sides]
        total = result.judged
        if side >= 0 and missing_by_side[side]:
            rank, reason = 0, "your_side"
        elif any(missing_by_side):
            rank, reason = (1, "other_side") if side >= 0 else (0, "quorum")
        elif total < quorum.min_total:
            rank, reason = 2, "quorum"
        else:
            rank, reason = 3, "undecided"
        # Within a rank: the closest outcome first, then the order of the snapshot.
        closeness = abs(min(side_result.chance for side_result in result.sides) - 0.5)
        ranked.append(((rank, closeness, position), RatingQueueItem(item=result.item, reason=reason)))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]
