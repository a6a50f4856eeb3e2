"""What a person could rate next: items where one side is missing come first, and that person's side before the other's."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.feedback.consensus import Result
from yearling.feedback.status import NEEDS_MORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An item that waits for a rating, and why: `your_side`, `other_side`, `quorum`, or `undecided`."""

    item: str
    why: str


def rating_queue(result: Result, rater: str, *, size: int = 20) -> list[Wanted]:
    """Items without a status that `rater` has not rated, in the order in which their rating would help.

    Holds no scores: who has not rated yet should not see what others think.
    """
    quorum = next(rule for rule in result.parameters.status.rules if rule.id == "quorum")
    mine = result.side_of(rater)
    rated = {rating.item for rating in result.state.ratings if rating.actor == rater}
    ranked: list[tuple[tuple[int, float, int], Wanted]] = []
    for order, item in enumerate(result.snapshot.items):
        if item.item in rated or item.status != NEEDS_MORE:
            continue
        short = [max(0, quorum.min_side - view.ratings) for view in item.sides]
        total = sum(view.ratings for view in item.sides)
        if mine >= 0 and short[mine]:
            rank, why = 0, "your_side"
        elif any(short):
            rank, why = (1, "other_side") if mine >= 0 else (0, "quorum")
        elif total < quorum.min_total:
            rank, why = 2, "quorum"
        else:
            rank, why = 3, "undecided"
        # Among equals, where the outcome hangs by the least, then the order of the record.
        doubt = abs(min(view.chance for view in item.sides) - 0.5)
        ranked.append(((rank, doubt, order), Wanted(item=item.item, why=why)))
    return [wanted for _, wanted in sorted(ranked, key=lambda pair: pair[0])[:size]]
