"""What a consensus result says about a correction that a person proposed to the team. A pure function that adds no rule.

The status of the proposal decides: helpful accepts it, not helpful declines it. A status takes the ratings of two people who did
not write the proposal. Where the installation has fewer, what one person's judgement teaches decides instead: the label, from
which lessons are made as well. docs/consensus.md explains both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yearling.feedback.snapshot import ItemResult
from yearling.feedback.status_rules import HELPFUL, NOT_HELPFUL

TeamState = Literal["active", "proposed", "declined"]

ALONE = "alone"
"""Nobody else here can judge, and an owner or a maintainer proposed it."""
ONE_OTHER = "one_other"
"""Only one other person here can judge, and has."""
NOBODY_YET = "nobody_yet"
WORDS_GONE = "words_gone"
"""Its person retracted the judgement, or an administrator removed it."""
VOTED_DOWN = "voted_down"
"""It was accepted, and most now find it wrong, though not clearly enough to decline it."""

_MIN_OTHERS_FOR_A_STATUS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamVerdict:
    """The state of a proposal, a reason code, and the counted ratings behind it: their number and their sum."""

    state: TeamState
    reason: str
    judged: int = 0
    approval: float = 0.0

    def pack(self) -> str:
        """The reason and the counts as the store keeps them."""
        return f"{self.reason} {self.judged} {self.approval:g}"


def unpack_reason(packed: str) -> tuple[str, int, float]:
    """The inverse of `TeamVerdict.pack`: reason, number of ratings, their sum."""
    parts = packed.split(" ")
    if len(parts) != 3:
        return NOBODY_YET, 0, 0.0
    return parts[0], int(parts[1]), float(parts[2])


def judge_proposal(result: ItemResult | None, *, was_active: bool, num_others: int, by_administrator: bool) -> TeamVerdict:
    """The verdict on a proposal. `num_others` people besides its author can judge here."""
    judged, approval = (result.judged, result.approval) if result else (0, 0.0)

    def verdict(state: TeamState, reason: str) -> TeamVerdict:
        return TeamVerdict(state=state, reason=reason, judged=judged, approval=approval)

    if result and result.status in (HELPFUL, NOT_HELPFUL):
        return verdict("active" if result.status == HELPFUL else "declined", result.reason)
    if num_others == 0 and by_administrator:
        return verdict("active", ALONE)
    if num_others < _MIN_OTHERS_FOR_A_STATUS and result and result.label:
        return verdict("active" if result.label > 0 else "declined", ONE_OTHER)
    if was_active:
        is_doubted = result is not None and result.label < 0
        return verdict("proposed", VOTED_DOWN) if is_doubted else verdict("active", "kept")
    return verdict("proposed", result.reason if result and judged else NOBODY_YET)
