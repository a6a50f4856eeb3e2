"""The two-sided status rule: rules as data, with ids, versions and dependencies; inertia, minimum age and a cap on flips.

An item is helpful when *both* sides find it so, with room for doubt on each; not helpful by the mirror image; otherwise it needs
more ratings. "The lower 20 % Beta bound of approval is at least one half" is tested as "the chance that approval is below one
half is at most 20 %", which is the same thing and needs no quantile. The Beta distribution starts from a few ratings' worth of
what the rater model predicts for that side. Refuses to know where ratings come from.

Legend: N items, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Floats, Ints, beta_cdf

NEEDS_MORE = "needs_more_ratings"
HELPFUL = "helpful"
NOT_HELPFUL = "not_helpful"
DECIDED_STATUSES = (HELPFUL, NOT_HELPFUL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRule:
    """A rule as data. It holds when on both sides the chance of the contrary is at most `doubt` and the estimate reaches `floor`.

    `direction` +1 asks for approval, −1 for disapproval, 0 for the quorum alone. `depends_on` names rules that must hold as well.
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
    # Inertia: a status is taken away only when a side is as sure of the contrary as it had to be of the status. One voice less
    # than the quorum is no finding: else a single person who leaves would take many statuses along.
    StatusRule(id="keep_quorum", version=1, direction=0, min_total=4, min_side=1),
    StatusRule(id="keep_helpful", version=2, direction=1, depends_on=("keep_quorum",), doubt=0.8),
    StatusRule(id="keep_not_helpful", version=2, direction=-1, depends_on=("keep_quorum",), doubt=0.8),
    # What may become a default of the behaviour spec.
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
    """Prior strengths in ratings, and the brakes. Every value is part of the snapshot."""

    rules: tuple[StatusRule, ...] = STATUS_RULES
    doubt_prior: float = 2.0
    """How many ratings the model's prediction counts for in the Beta distribution."""
    estimate_prior: float = 30.0
    """The same for the estimate that `floor` is compared with."""
    min_age_s: float = 3600.0
    """An item's first status waits this long after its first rating."""
    max_flips: int = 3
    max_flip_share: float = 0.05
    """At most the larger of `max_flips` and this share of standing statuses may change in one run, and no more than there are
    people who acted since the last change: nobody alone turns two. Else none does."""
    jury_drawn: int = 12
    """How many are invited, half from each side."""
    jury_size: int = 8
    """How many of them must have rated, with `jury_min_side` from each side, before the jury has found anything."""
    jury_min_side: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What each side says of each item: `counts`, `approvals` (sums of ratings), `agreements` (ratings of 1) and the
    model's `predictions`, each (S, N)."""

    counts: Ints
    approvals: Floats
    agreements: Floats
    predictions: Floats

    def shrunk_approvals(self, prior: float) -> Floats:
        """(S, N) Approval shrunk towards the model's prediction."""
        return (self.approvals + prior * self.predictions) / (self.counts + prior)

    def probability_below(self, threshold: float, prior: float) -> Floats:
        """(S, N) Chance that approval lies below `threshold`."""
        # Half a rating of each kind keeps the distribution proper where the model is certain.
        yes = self.approvals + prior * self.predictions + 0.5
        no = (self.counts - self.approvals) + prior * (1.0 - self.predictions) + 0.5
        return beta_cdf(yes, no, threshold)

    def for_item(self, item: int) -> Evidence:
        """The evidence on one item, as arrays (S, 1)."""
        at = slice(item, item + 1)
        return Evidence(self.counts[:, at], self.approvals[:, at], self.agreements[:, at], self.predictions[:, at])

    def group_informed_consensus(self, half_rate: float, prior: float = 10.0) -> Floats:
        """(N,) Polis' group-informed consensus on our sides: the product of their shares of full agreement.

        Shares are shrunk towards the model's prediction less what half ratings contribute to it; `half_rate` is how often people
        answer 0.5 on the whole.
        """
        halves = 2.0 * (self.approvals - self.agreements).sum(axis=0)
        rate = (halves + 5.0 * half_rate) / (self.counts.sum(axis=0) + 5.0)
        expected = np.maximum(self.predictions - 0.5 * rate, 0.0)
        shares = (self.agreements + prior * expected) / (self.counts + prior)
        return np.asarray(shares[0] * shares[1])


def evaluate_rules(evidence: Evidence, p: StatusParameters) -> dict[str, np.ndarray]:
    """For each rule id, (N,) whether it holds. Raises BadInput for a rule that depends on one not listed before it."""
    result: dict[str, np.ndarray] = {}
    estimates = evidence.shrunk_approvals(p.estimate_prior)
    chances: dict[float, Floats] = {}
    for rule in p.rules:
        holds = (evidence.counts.sum(axis=0) >= rule.min_total) & (evidence.counts >= rule.min_side).all(axis=0)
        for needed in rule.depends_on:
            if needed not in result:
                raise BadInput(f"Rule {rule.id} depends on {needed}, which is not listed before it.", param="rules")
            holds = holds & result[needed]
        if rule.direction:
            cut = rule.threshold if rule.direction > 0 else 1.0 - rule.threshold
            below = chances.setdefault(cut, evidence.probability_below(cut, p.doubt_prior))
            contrary, estimate = (below, estimates) if rule.direction > 0 else (1.0 - below, 1.0 - estimates)
            holds = holds & (contrary <= rule.doubt).all(axis=0) & (estimate >= rule.floor).all(axis=0)
        result[rule.id] = holds
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDecision:
    """An item's status, and the reason as a word that `explain` turns into a sentence."""

    status: str
    reason: str


def decide_status(
    item: int,
    rules_met: Mapping[str, np.ndarray],
    robust_rules_met: Mapping[str, np.ndarray],
    *,
    current_status: str,
    age_s: float,
    jury_finding: str,
    p: StatusParameters,
) -> StatusDecision:
    """The status of one item before the cap on flips.

    `robust` is `holding` after the re-fit without the most active raters, `standing` the status so far, `verdict` the
    jury's (a status, or empty). A status is gained only if both fits grant it, and lost only if both deny it.
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
    lean_on_few = any(rules_met[status][item] for status in DECIDED_STATUSES)
    return StatusDecision(status=NEEDS_MORE, reason="rests_on_most_active" if lean_on_few else "no_agreement")


def _apply_jury_verdict(decision: StatusDecision, jury_finding: str) -> StatusDecision:
    if jury_finding and jury_finding != decision.status:
        return StatusDecision(status=NEEDS_MORE, reason="jury_veto")
    return decision


def jury_verdict(counts: Ints, approvals: Floats, p: StatusParameters) -> str:
    """What the invited jury finds: a status when it is complete and both its sides lean one way, 'split' when they do not.

    `counts` and `approvals` (S,) are the jurors' ratings after the invitation. Empty while the jury is incomplete.
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
    """Decisions after the cap, with the number of flips asked for and allowed. `people` acted since the last change.

    A flip is a change of a status that stood. When too many are asked for at once, none happens: something is wrong, and people
    should look before a machine moves that much. Where one person alone acted, one status changes at most, first statuses
    included: the others wait until somebody else does anything.
    """
    flips = sum(1 for old, new in zip(current_statuses, decisions, strict=True) if old in DECIDED_STATUSES and new.status != old)
    allowed = max(p.max_flips, int(p.max_flip_share * sum(1 for old in current_statuses if old in DECIDED_STATUSES)))
    allowed = min(allowed, max(num_actors, 1))
    final = list(decisions)
    if flips > allowed:
        held = StatusDecision(status="", reason="held_by_flip_cap")
        final = [
            replace(held, status=old) if new.status != old and old in DECIDED_STATUSES else new
            for old, new in zip(current_statuses, decisions, strict=True)
        ]
    if num_actors == 1:
        first = [k for k, old in enumerate(current_statuses) if old not in DECIDED_STATUSES and final[k].status != old]
        for k in first if flips else first[1:]:
            final[k] = StatusDecision(status=current_statuses[k], reason="waits_for_others")
    return final, flips, allowed


def choose_slate(evidence: Evidence, p: StatusParameters, max_items: int = 5) -> list[int]:
    """When nothing bridges: item numbers for people to choose from.

    First the item whose weaker side likes it best, then each side's own favourites in turn, without repeats.
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
