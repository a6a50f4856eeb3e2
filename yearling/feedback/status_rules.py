"""The two-sided status rule: rules as data with ids, versions and dependencies; inertia, minimum age and a cap on flips.

An item is helpful if *both* sides find it helpful, with a margin for doubt on each side. It is not helpful by the mirror image of
this rule. Otherwise it needs more ratings. "The lower 20 % Beta bound of approval is at least one half" is tested as "the
probability that approval is below one half is at most 20 %", which is equivalent and needs no quantile. The prior of the Beta
distribution is worth a few ratings and comes from the rater model's prediction for that side. This file does not know where
ratings come from.

Legend: N items, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask, beta_cdf

NEEDS_MORE = "needs_more_ratings"
HELPFUL = "helpful"
NOT_HELPFUL = "not_helpful"
DECIDED_STATUSES = (HELPFUL, NOT_HELPFUL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRule:
    """A rule as data. An item meets it if, on both sides, the probability of the contrary is at most `doubt` and the estimate
    reaches `floor`.

    `direction` +1 demands approval, −1 disapproval, and 0 the quorum only. The item must also meet the rules in `depends_on`.
    `min_total` and `min_side` are the numbers of counted ratings required in total and on each side.
    """

    id: str
    version: int
    direction: int
    depends_on: tuple[str, ...] = ()
    doubt: float = 1.0
    threshold: float = 0.5
    floor: float = 0.0
    min_total: int = 0
    min_side: int = 0


STATUS_RULES: tuple[StatusRule, ...] = (
    StatusRule(id="quorum", version=1, direction=0, min_total=5, min_side=2),
    StatusRule(id="helpful", version=1, direction=1, depends_on=("quorum",), doubt=0.2, floor=0.6),
    StatusRule(id="not_helpful", version=1, direction=-1, depends_on=("quorum",), doubt=0.2, floor=0.6),
    # Inertia: an item loses a status only if a side is as sure of the contrary as it had to be of the status. One rater less than
    # the quorum is not enough: otherwise one person who leaves would change many statuses.
    StatusRule(id="keep_quorum", version=1, direction=0, min_total=4, min_side=1),
    StatusRule(id="keep_helpful", version=2, direction=1, depends_on=("keep_quorum",), doubt=0.8),
    StatusRule(id="keep_not_helpful", version=2, direction=-1, depends_on=("keep_quorum",), doubt=0.8),
    # Stricter: items that may become a default of the behaviour spec.
    StatusRule(
        id="spec_default",
        version=1,
        direction=1,
        depends_on=("helpful",),
        doubt=0.1,
        threshold=0.6,
        floor=0.65,
        min_total=20,
        min_side=5,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusParameters:
    """Prior strengths in ratings, and the limits on change. Every run records all values."""

    rules: tuple[StatusRule, ...] = STATUS_RULES
    doubt_prior: float = 2.0
    """Weight of the model's prediction in the Beta distribution, in ratings."""
    estimate_prior: float = 30.0
    """Weight of the model's prediction in the estimate that rules compare with `floor`, in ratings."""
    min_age_s: float = 3600.0
    """An item gets its first status at the earliest this long after its first rating."""
    max_flips: int = 3
    max_flip_share: float = 0.05
    """The cap on flips in one run is the larger of `max_flips` and this share of the current statuses, but at most the number of
    people who acted since the last change, so that nobody changes two statuses alone. Above the cap, no status changes."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The counted ratings of each item by side: `counts`, `approvals` (sums of ratings), `agreements` (numbers of ratings of 1)
    and the `predictions` of the rater model, each (S, N)."""

    counts: Ints
    approvals: Floats
    agreements: Floats
    predictions: Floats

    def shrunk_approvals(self, prior: float) -> Floats:
        """Return (S, N) approvals shrunk towards the model's prediction; `prior` is the weight of the prediction in ratings."""
        return (self.approvals + prior * self.predictions) / (self.counts + prior)

    def probability_below(self, threshold: float, prior: float) -> Floats:
        """Return (S, N) probabilities that approval is below `threshold`; `prior` is the weight of the prediction in ratings."""
        # Half a rating of each kind keeps the distribution proper where the model is certain.
        yes = self.approvals + prior * self.predictions + 0.5
        no = (self.counts - self.approvals) + prior * (1.0 - self.predictions) + 0.5
        return beta_cdf(yes, no, threshold)

    def for_item(self, item: int) -> Evidence:
        """Return the evidence on one item, as arrays (S, 1)."""
        at = slice(item, item + 1)
        return Evidence(self.counts[:, at], self.approvals[:, at], self.agreements[:, at], self.predictions[:, at])


def evaluate_rules(evidence: Evidence, p: StatusParameters) -> dict[str, Mask]:
    """Return, for each rule id, (N,) whether each item meets the rule. Raises BadInput if a rule depends on a later one."""
    rules_met: dict[str, Mask] = {}
    estimates = evidence.shrunk_approvals(p.estimate_prior)
    probabilities_below: dict[float, Floats] = {}
    for rule in p.rules:
        is_met = (evidence.counts.sum(axis=0) >= rule.min_total) & (evidence.counts >= rule.min_side).all(axis=0)
        for dependency in rule.depends_on:
            if dependency not in rules_met:
                raise BadInput(f"Rule {rule.id} depends on {dependency}, which is not listed before it.", param="rules")
            is_met = is_met & rules_met[dependency]
        if rule.direction:
            cut = rule.threshold if rule.direction > 0 else 1.0 - rule.threshold
            below = probabilities_below.setdefault(cut, evidence.probability_below(cut, p.doubt_prior))
            contrary, estimate = (below, estimates) if rule.direction > 0 else (1.0 - below, 1.0 - estimates)
            is_met = is_met & (contrary <= rule.doubt).all(axis=0) & (estimate >= rule.floor).all(axis=0)
        rules_met[rule.id] = is_met
    return rules_met


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDecision:
    """The status of an item, and a reason code that `explain.REASON_SENTENCES` turns into a sentence."""

    status: str
    reason: str


def decide_status(
    item: int,
    rules_met: Mapping[str, Mask],
    robust_rules_met: Mapping[str, Mask],
    *,
    current_status: str,
    age_s: float,
    jury_finding: str,
    p: StatusParameters,
) -> StatusDecision:
    """Return the status of one item before the cap on flips.

    `item` is the item's number. `rules_met` and `robust_rules_met` are the results of `evaluate_rules` for the main fit and for
    the fit without the most active raters. `jury_finding` is the verdict of `jury_verdict`. An item gains a status only if both
    fits grant it, and loses it only if both deny it.
    """
    for status, keep in ((HELPFUL, "keep_helpful"), (NOT_HELPFUL, "keep_not_helpful")):
        if current_status == status and (rules_met[keep][item] or robust_rules_met[keep][item]):
            return _apply_jury_verdict(StatusDecision(status=status, reason="kept"), jury_finding)
    for status in DECIDED_STATUSES:
        if rules_met[status][item] and robust_rules_met[status][item]:
            if current_status == NEEDS_MORE and age_s < p.min_age_s:
                return StatusDecision(status=NEEDS_MORE, reason="too_young")
            return _apply_jury_verdict(StatusDecision(status=status, reason="both_sides"), jury_finding)
    if current_status in DECIDED_STATUSES and jury_finding == current_status:
        return StatusDecision(status=current_status, reason="jury_upholds")
    if not rules_met["quorum"][item]:
        return StatusDecision(status=NEEDS_MORE, reason="no_quorum")
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


def cap_flips(
    current_statuses: Sequence[str], decisions: list[StatusDecision], num_actors: int, p: StatusParameters
) -> tuple[list[StatusDecision], int, int]:
    """Return the decisions after the cap on flips, and the numbers of flips wanted and allowed.

    A flip is a change of an existing status. If a run wants more flips than the cap allows, no status changes: something is
    wrong, and people should look at it first. `num_actors` people acted since the last change. If it was one person only, at most
    one status changes, first statuses included; the others wait until somebody else acts.
    """
    flips = sum(1 for old, new in zip(current_statuses, decisions, strict=True) if old in DECIDED_STATUSES and new.status != old)
    allowed = max(p.max_flips, int(p.max_flip_share * sum(1 for old in current_statuses if old in DECIDED_STATUSES)))
    allowed = min(allowed, max(num_actors, 1))
    final = list(decisions)
    if flips > allowed:
        final = [
            StatusDecision(status=old, reason="held_by_flip_cap") if new.status != old and old in DECIDED_STATUSES else new
            for old, new in zip(current_statuses, decisions, strict=True)
        ]
    if num_actors == 1:
        first = [k for k, old in enumerate(current_statuses) if old not in DECIDED_STATUSES and final[k].status != old]
        for k in first if flips else first[1:]:
            final[k] = StatusDecision(status=current_statuses[k], reason="waits_for_others")
    return final, flips, allowed


def choose_slate(evidence: Evidence, p: StatusParameters, max_items: int = 5) -> list[int]:
    """Return the numbers of items to offer when no item has the agreement of both sides.

    The list takes in turn the items with the best estimate of the weaker side, of side 0, and of side 1, without repetitions.
    """
    estimates = evidence.shrunk_approvals(p.estimate_prior)
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
