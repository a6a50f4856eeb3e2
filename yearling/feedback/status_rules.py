"""The status rule: rules as data with ids, versions and dependencies; inertia, minimum age and a limit on flips.

An item is helpful if everybody together and, as far as people visibly divide, *both* sides find it helpful, with a margin for
doubt. It is not helpful by the mirror image of this rule. Otherwise it needs more ratings. `item_labels` estimates the approval
of each side and how many ratings the estimate is worth. "The lower 20 % Beta bound of approval is at least one half" is tested as
"the probability that approval is below one half is at most 20 %", which is equivalent and needs no quantile. This file does not
know where ratings come from.

Legend: N items, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask
from yearling.feedback.item_labels import Crowd, ItemEvidence, ItemLabels

NEEDS_MORE = "needs_more_ratings"
HELPFUL = "helpful"
NOT_HELPFUL = "not_helpful"
DECIDED_STATUSES = (HELPFUL, NOT_HELPFUL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRule:
    """A rule as data. An item meets it if, on both sides, the probability of the contrary is at most `doubt` and the estimate
    reaches `floor`.

    `direction` +1 demands approval, −1 disapproval, and 0 the quorum only. The item must also meet the rules in `depends_on`.
    The quorum is half of the people, at least `min_total` and at most `max_total` ratings. Where two sides decide, `min_side` is
    the number of ratings required on each.
    """

    id: str
    version: int
    direction: int
    depends_on: tuple[str, ...] = ()
    doubt: float = 1.0
    threshold: float = 0.5
    floor: float = 0.0
    min_total: int = 0
    max_total: int = 0
    min_side: float = 0.0

    def quorum(self, num_people: float) -> int:
        """Return the number of ratings that the rule requires among so many people."""
        return min(self.max_total, max(self.min_total, int(np.ceil(num_people / 2.0))))


STATUS_RULES: tuple[StatusRule, ...] = (
    StatusRule(id="quorum", version=2, direction=0, min_total=2, max_total=5, min_side=2.0),
    StatusRule(id="helpful", version=2, direction=1, depends_on=("quorum",), doubt=0.2, floor=0.6),
    StatusRule(id="not_helpful", version=2, direction=-1, depends_on=("quorum",), doubt=0.2, floor=0.6),
    # Inertia: an item loses a status only if a side is as sure of the contrary as it had to be of the status. One rater less than
    # the quorum is not enough: otherwise one person who leaves would change many statuses.
    StatusRule(id="keep_quorum", version=2, direction=0, min_total=1, max_total=4, min_side=1.0),
    StatusRule(id="keep_helpful", version=3, direction=1, depends_on=("keep_quorum",), doubt=0.8),
    StatusRule(id="keep_not_helpful", version=3, direction=-1, depends_on=("keep_quorum",), doubt=0.8),
    # Stricter: items that may become a default of the behaviour spec.
    StatusRule(
        id="spec_default",
        version=2,
        direction=1,
        depends_on=("helpful",),
        doubt=0.1,
        threshold=0.6,
        floor=0.65,
        min_total=20,
        max_total=20,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusParameters:
    """The rules, and the limits on change. Every run records all values."""

    rules: tuple[StatusRule, ...] = STATUS_RULES
    min_age_s: float = 3600.0
    """An item gets its first status at the earliest this long after its first rating."""
    max_flips: int = 3
    max_flip_share: float = 0.05
    """The limit on flips in one run is the larger of `max_flips` and this share of the current statuses, but at most the number
    of people who acted since the last change. Above the limit, the flips that rest on people who moved more than it are held."""
    jury_drawn: int = 12
    """Number of raters invited to a jury, half from each side."""
    jury_size: int = 8
    """Number of jurors who must have rated, with `jury_min_side` from each side, before the jury has a verdict."""
    jury_min_side: int = 2

    def find_rule(self, rule_id: str) -> StatusRule:
        """Return the rule with this id. Raises BadInput if there is none."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise BadInput(f"The parameters have no rule {rule_id!r}.", param="rules")


def evaluate_rules(labels: ItemLabels, evidence: ItemEvidence, crowd: Crowd, p: StatusParameters) -> dict[str, Mask]:
    """Return, for each rule id, (N,) whether each item meets the rule.

    Raises BadInput if a rule depends on a later one.
    """
    rules_met: dict[str, Mask] = {}
    probabilities_below: dict[float, Floats] = {}
    for rule in p.rules:
        is_met = np.asarray(evidence.counts >= rule.quorum(crowd.num_people))
        if crowd.two_sides:
            is_met = is_met & (evidence.side_counts >= rule.min_side).all(axis=0)
        for dependency in rule.depends_on:
            if dependency not in rules_met:
                raise BadInput(f"Rule {rule.id} depends on {dependency}, which is not listed before it.", param="rules")
            is_met = is_met & rules_met[dependency]
        if rule.direction:
            cut = rule.threshold if rule.direction > 0 else 1.0 - rule.threshold
            if cut not in probabilities_below:
                probabilities_below[cut] = labels.probability_below(cut)
            below = probabilities_below[cut]
            contrary, estimate = (below, labels.estimates) if rule.direction > 0 else (1.0 - below, 1.0 - labels.estimates)
            is_met = is_met & (contrary <= rule.doubt).all(axis=0) & (estimate >= rule.floor).all(axis=0)
        rules_met[rule.id] = is_met
    return rules_met


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDecision:
    """The status of an item, and a reason code that `explain.REASON_SENTENCES` turns into a sentence."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusHistory:
    """What an item's status depends on besides its ratings.

    `is_weakened` means that a supporter withdrew a rating, or made it neutral, since the item got its status. It must then meet
    the rule for gaining that status once more, so that nobody can carry a status with votes and take them back. `jury_finding` is
    the verdict of `jury_verdict`. `two_sides` is whether people divide so visibly that both sides decide.
    """

    current_status: str
    age_s: float
    jury_finding: str = ""
    is_weakened: bool = False
    two_sides: bool = False
    has_enough_ratings: bool = False
    """Whether there are enough ratings in total, so that without a quorum one side's are missing."""


def decide_status(
    item: int,
    rules_met: Mapping[str, Mask],
    robust_rules_met: Mapping[str, Mask],
    history: StatusHistory,
    p: StatusParameters,
) -> StatusDecision:
    """Return the status of one item before the limit on flips.

    `item` is the item's number. `rules_met` and `robust_rules_met` are the results of `evaluate_rules` for the main fit and for
    the fit without the most active raters. An item gains a status only if both fits grant it, and loses it only if both deny it.
    """
    current, jury_finding = history.current_status, history.jury_finding
    for status, keep in ((HELPFUL, "keep_helpful"), (NOT_HELPFUL, "keep_not_helpful")):
        if current == status and not history.is_weakened and (rules_met[keep][item] or robust_rules_met[keep][item]):
            return _apply_jury_verdict(StatusDecision(status=status, reason="kept"), jury_finding)
    for status in DECIDED_STATUSES:
        if rules_met[status][item] and robust_rules_met[status][item]:
            if current == NEEDS_MORE and history.age_s < p.min_age_s:
                return StatusDecision(status=NEEDS_MORE, reason="too_young")
            reason = "both_sides" if history.two_sides else "team_agrees"
            return _apply_jury_verdict(StatusDecision(status=status, reason=reason), jury_finding)
    if current in DECIDED_STATUSES and jury_finding == current:
        return StatusDecision(status=current, reason="jury_upholds")
    if not rules_met["quorum"][item]:
        return StatusDecision(status=NEEDS_MORE, reason="other_side_missing" if history.has_enough_ratings else "no_quorum")
    rests_on_few = any(rules_met[status][item] for status in DECIDED_STATUSES)
    return StatusDecision(status=NEEDS_MORE, reason="rests_on_most_active" if rests_on_few else "no_agreement")


def _apply_jury_verdict(decision: StatusDecision, jury_finding: str) -> StatusDecision:
    if jury_finding and jury_finding != decision.status:
        return StatusDecision(status=NEEDS_MORE, reason="jury_veto")
    return decision


def jury_verdict(counts: Ints, approvals: Floats, p: StatusParameters) -> str:
    """Return the verdict of a jury: a status if both its sides lean the same way, `split` if they do not.

    The verdict is empty while too few jurors have rated. `counts` and `approvals` (S,) are the jurors' ratings after their
    invitation.
    """
    if int(counts.sum()) < p.jury_size or int(counts.min()) < p.jury_min_side:
        return ""
    means = approvals / counts
    if bool((means > 0.5).all()):
        return HELPFUL
    return NOT_HELPFUL if bool((means < 0.5).all()) else "split"


def flips_allowed(current_statuses: Sequence[str], num_actors: int, p: StatusParameters) -> int:
    """Return how many standing statuses may change in one run; `num_actors` people acted since the last change."""
    num_decided = sum(1 for status in current_statuses if status in DECIDED_STATUSES)
    return min(max(p.max_flips, int(p.max_flip_share * num_decided)), max(num_actors, 1))


def limit_flips(
    current_statuses: Sequence[str],
    decisions: Sequence[StatusDecision],
    movers: Sequence[frozenset[str]],
    allowed: int,
    decide_without: Callable[[int, frozenset[str]], StatusDecision],
) -> tuple[list[StatusDecision], int, int]:
    """Return the decisions after the limit on flips, and the numbers of flips wanted and held.

    A flip is a change of an existing status. `movers` are the people whose acts since an item got its status concern it. If a run
    wants more than `allowed` flips, those are held that `decide_without(item, people)` no longer decides without the people who
    moved more than `allowed` of them. Flips without movers follow from the refit; above the limit all of them are held, because
    people should look at them first.
    """
    changes = enumerate(zip(current_statuses, decisions, strict=True))
    flips = [k for k, (old, new) in changes if old in DECIDED_STATUSES and new.status != old]
    final = list(decisions)
    if len(flips) <= allowed:
        return final, len(flips), 0
    num_moved: dict[str, int] = {}
    for k in flips:
        for person in movers[k]:
            num_moved[person] = num_moved.get(person, 0) + 1
    suspects = frozenset(person for person, count in num_moved.items() if count > allowed)
    too_many_refitted = sum(1 for k in flips if not movers[k]) > allowed
    num_held = 0
    for k in flips:
        suspected = movers[k] & suspects
        rests_on_suspects = bool(suspected) and decide_without(k, suspected).status != decisions[k].status
        if rests_on_suspects or (not movers[k] and too_many_refitted):
            num_held += 1
            final[k] = StatusDecision(status=current_statuses[k], reason="held_by_flip_cap")
    return final, len(flips), num_held


def limit_first_statuses(current_statuses: Sequence[str], decisions: Sequence[StatusDecision]) -> list[StatusDecision]:
    """Return the decisions of a run that follows acts of one unknown person: one status changes at most, first ones included."""
    final = list(decisions)
    changed = [k for k, old in enumerate(current_statuses) if final[k].status != old]
    first = [k for k in changed if current_statuses[k] not in DECIDED_STATUSES]
    for k in first if len(changed) > len(first) else first[1:]:
        final[k] = StatusDecision(status=current_statuses[k], reason="waits_for_others")
    return final


def choose_slate(estimates: Floats, max_items: int = 5) -> list[int]:
    """Return the numbers of items to offer when no item has the agreement of both sides. `estimates` is (S, N).

    The list takes in turn the items with the best estimate of the weaker side, of side 0, and of side 1, without repetitions.
    """
    if estimates.shape[1] == 0:
        return []
    orders = [
        np.lexsort((np.arange(estimates.shape[1]), -score)) for score in (estimates.min(axis=0), estimates[0], estimates[1])
    ]
    chosen: list[int] = []
    for rank in range(estimates.shape[1]):
        for order in orders:
            if int(order[rank]) not in chosen and len(chosen) < max_items:
                chosen.append(int(order[rank]))
    return chosen
