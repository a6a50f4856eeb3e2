"""What a person could rate next: items where one side is missing come first, and that person's side before the other's."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.feedback.snapshot import Snapshot
from yearling.feedback.status_rules import NEEDS_MORE, StatusParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingQueueItem:
    """An item that waits for a rating, and why: `jury`, `your_side`, `other_side`, `quorum`, or `undecided`."""

    item: str
    reason: str


def build_rating_queue(snapshot: Snapshot, p: StatusParameters, side: int) -> list[RatingQueueItem]:
    """Items without a status, in the order in which a rating by somebody of `side` (0, 1, or −1 for unknown) would help.

    Holds no scores: who has not rated yet should not see what others think. What the person rated already is for the caller to
    leave out.
    """
    quorum = next(rule for rule in p.rules if rule.id == "quorum")
    ranked: list[tuple[tuple[int, float, int], RatingQueueItem]] = []
    for order, item in enumerate(snapshot.items):
        if item.status != NEEDS_MORE:
            continue
        short = [max(0, quorum.min_side - view.ratings) for view in item.sides]
        total = sum(view.ratings for view in item.sides)
        if side >= 0 and short[side]:
            rank, why = 0, "your_side"
        elif any(short):
            rank, why = (1, "other_side") if side >= 0 else (0, "quorum")
        elif total < quorum.min_total:
            rank, why = 2, "quorum"
        else:
            rank, why = 3, "undecided"
        # Among equals, where the outcome hangs by the least, then the order of the record.
        doubt = abs(min(view.chance for view in item.sides) - 0.5)
        ranked.append(((rank, doubt, order), RatingQueueItem(item=item.item, reason=why)))
    return [wanted for _, wanted in sorted(ranked, key=lambda pair: pair[0])]
