"""Measures what coordinated accounts achieve against the consensus of real raters, by their share of the target's ratings.

Each attack adds accounts to a sample of a Polis conversation and tries to change the status of one item. A *camouflaged* account
has a history like that of a real rater: a random part of it, some of it altered, so that the account lands on that rater's side
and is no near-duplicate. Real raters count from the start; attackers need the usual number of earlier acts.

The success rate is over targets. Promotion succeeds if an item that left-out raters of both sides do not approve of becomes
helpful; suppression succeeds if a helpful item loses its status. The baseline is the bare two-sided rule on the paper form,
without any defence, on those targets on which it would have been right.

Legend: N items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.consensus.comparison_sampling import MIN_LEFT_OUT_RATERS, MIN_RATERS_PER_GROUP, select_rater_votes
from benchmarks.consensus.metrics import JudgedTable, Measurement, judge_table, make_measurement, table_from_ratings
from benchmarks.consensus.polis import PolisConversation, find_two_groups, group_opinions, sample_raters
from yearling.feedback.defences import find_near_duplicates
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask, beta_cdf
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings, fit_rater_model
from yearling.feedback.rating_table import RatingTable
from yearling.feedback.status_rules import HELPFUL, jury_verdict

ATTACKER_SHARES = (0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An attack: what the accounts want, and how their histories are made.

    `history` is `like` a random rater, `like_weaker` a rater of the side that approves least, `copied` from one rater, `random`,
    or `none`. `inertia` attacks an item that has its status already. `jury` adds a jury that must confirm the change.
    """

    name: str
    promote: bool
    history: str
    inertia: bool = False
    jury: bool = False


ATTACKS: tuple[Attack, ...] = (
    Attack(name="promotion", promote=True, history="like"),
    Attack(name="promotion, from the weaker side", promote=True, history="like_weaker"),
    Attack(name="promotion, from the weaker side, jury", promote=True, history="like_weaker", jury=True),
    Attack(name="suppression, camouflaged", promote=False, history="like_weaker"),
    Attack(name="suppression, camouflaged, of a standing status", promote=False, history="like_weaker", inertia=True),
    Attack(name="suppression, camouflaged, standing, jury", promote=False, history="like_weaker", inertia=True, jury=True),
    Attack(name="drive-by promotion", promote=True, history="none"),
    Attack(name="drive-by suppression", promote=False, history="none"),
    Attack(name="sybils with random histories, promotion", promote=True, history="random"),
    Attack(name="sybils with random histories, suppression", promote=False, history="random"),
    Attack(name="collusion on one copied history, promotion", promote=True, history="copied"),
    Attack(name="collusion on one copied history, suppression", promote=False, history="copied"),
)


@dataclass(frozen=True, slots=True, eq=False)
class AttackScenario:
    """A sample before an attack, its possible targets, and the left-out raters."""

    conversation: PolisConversation
    ratings: SparseRatings
    before_attack: JudgedTable
    promotable: Ints
    suppressible: Ints
    bare_rule_helpful: Mask
    """(N,) Mask of items that are helpful by the bare rule."""
    left_out_raters: tuple[Ints, Ints]
    """Numbers of the left-out raters, and the group of every rater (−1 for none); the jury is drawn from these."""


def build_scenario(
    conversation: PolisConversation, size: int, seed: int, parameters: ConsensusParameters, max_targets: int
) -> AttackScenario | None:
    """Sample `size` raters and up to `max_targets` targets of each kind; None if too few raters are left for a reference."""
    sample, left_out = sample_raters(conversation, size, seed)
    if int(left_out.sum()) < MIN_LEFT_OUT_RATERS:
        return None
    groups = find_two_groups(conversation, left_out)
    reference = group_opinions(conversation, left_out, groups)
    ratings = select_rater_votes(conversation, sample)
    before = judge_table(table_from_ratings(ratings, parameters), parameters)
    is_rated = np.bincount(ratings.items, minlength=conversation.num_items) >= 10
    is_helpful = before.statuses == HELPFUL
    has_reference = reference.seen_by_every_group(MIN_RATERS_PER_GROUP) & is_rated
    generator = np.random.default_rng([seed, 7])
    candidates = [
        np.flatnonzero(has_reference & ~is_helpful & (reference.weakest_approval() < 0.4)),
        np.flatnonzero(has_reference & is_helpful & (reference.weakest_approval() >= 0.5)),
    ]
    targets = [generator.permutation(items)[:max_targets] for items in candidates]
    return AttackScenario(
        conversation,
        ratings,
        before,
        targets[0],
        targets[1],
        bare_two_sided_rule(ratings, parameters),
        (np.flatnonzero(left_out), groups),
    )


def run_attacks(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    parameters: ConsensusParameters,
    *,
    size: int = 100,
    max_targets: int = 3,
    attacks: Sequence[Attack] = ATTACKS,
) -> list[Measurement]:
    """Measure the success rate of every attack at every share of attackers, for each conversation and seed."""
    measurements = []
    for conversation in conversations:
        for seed in seeds:
            scenario = build_scenario(conversation, size, seed, parameters, max_targets)
            if scenario is None:
                continue
            for attack in attacks:
                items = scenario.promotable if attack.promote else scenario.suppressible
                for share in ATTACKER_SHARES if items.size else ():
                    measure = f"{attack.name}, {share:.0%}"
                    successes = [
                        _run_attack(scenario, attack, int(item), share, np.random.default_rng([seed, int(item), 8]), parameters)
                        for item in items
                    ]
                    for method in ("ours", "plain als"):
                        outcomes = [float(success[method]) for success in successes if method in success]
                        if outcomes:
                            measurements.append(make_measurement(measure, method, conversation, seed, float(np.mean(outcomes))))
    return measurements


def _run_attack(
    scenario: AttackScenario,
    attack: Attack,
    item: int,
    attacker_share: float,
    generator: np.random.Generator,
    parameters: ConsensusParameters,
) -> dict[str, bool]:
    """Return whether the attack succeeds, by method."""
    num_ratings = int(np.sum(scenario.ratings.items == item))
    num_accounts = int(np.ceil(attacker_share / (1.0 - attacker_share) * num_ratings))
    attacked, has_enough_acts = _add_accounts(scenario, attack, item, num_accounts, generator, parameters)
    table = _apply_defences(attacked, has_enough_acts, parameters)
    current_statuses = scenario.before_attack.statuses.tolist() if attack.inertia else None
    is_helpful = bool(judge_table(table, parameters, current_statuses=current_statuses).statuses[item] == HELPFUL)
    succeeded = is_helpful == attack.promote
    if attack.jury and succeeded:
        # A jury decides about the change; attackers sit on it in proportion to their share of all accounts.
        verdict = _draw_jury_verdict(
            scenario,
            item,
            num_accounts / (num_accounts + scenario.ratings.num_raters),
            float(attack.promote),
            generator,
            parameters,
        )
        succeeded = verdict in ("", HELPFUL) if attack.promote else verdict != HELPFUL
    result = {"ours": succeeded}
    if not (attack.inertia or attack.jury) and bool(scenario.bare_rule_helpful[item]) != attack.promote:
        result["plain als"] = bool(bare_two_sided_rule(attacked, parameters)[item]) == attack.promote
    return result


def bare_two_sided_rule(ratings: SparseRatings, parameters: ConsensusParameters) -> Mask:
    """Return the (N,) mask of items that are helpful by the two-sided Beta bound on counts, with every rater counted."""
    axis = fit_rater_model(ratings, parameters.axis)
    is_positive = axis.rater_factors[:, 0] > 0
    is_met = np.bincount(ratings.items, minlength=ratings.num_items) >= 5
    for on_side in (is_positive[ratings.raters], ~is_positive[ratings.raters]):
        num_ratings = np.bincount(ratings.items[on_side], minlength=ratings.num_items).astype(np.float64)
        liked = np.bincount(ratings.items[on_side], ratings.values[on_side], ratings.num_items).astype(np.float64)
        is_met = is_met & (num_ratings >= 2) & (beta_cdf(liked + 0.5, num_ratings - liked + 0.5, 0.5) <= 0.2)
    return np.asarray(is_met)


def _add_accounts(
    scenario: AttackScenario,
    attack: Attack,
    item: int,
    num_accounts: int,
    generator: np.random.Generator,
    parameters: ConsensusParameters,
) -> tuple[SparseRatings, Mask]:
    """Add the attackers' accounts to the sample. Returns the ratings, and the mask of entries by raters with enough acts."""
    base, vote = scenario.ratings, float(attack.promote)
    raters, items, values = [base.raters], [base.items], [base.values]
    has_enough_acts = [np.ones(base.size, dtype=np.bool_)]
    imitated_raters = _imitated_raters(scenario, attack, item)
    model_rater = int(generator.choice(imitated_raters))
    for k in range(num_accounts):
        if attack.history != "copied":
            model_rater = int(generator.choice(imitated_raters))
        past_items, past_values = _make_history(base, attack.history, model_rater, item, generator)
        raters.append(np.full(len(past_items) + 1, base.num_raters + k, dtype=np.int32))
        items.append(np.append(past_items, item).astype(np.int32))
        values.append(np.append(past_values, vote))
        has_enough_acts.append(np.full(len(past_items) + 1, len(past_items) >= parameters.defences.standing_acts))
    attacked = SparseRatings(
        np.concatenate(raters), np.concatenate(items), np.concatenate(values), base.num_raters + num_accounts, base.num_items
    )
    return attacked, np.concatenate(has_enough_acts)


def _apply_defences(attacked: SparseRatings, has_enough_acts: Mask, parameters: ConsensusParameters) -> RatingTable:
    """Return the table without raters who have too few acts, and with one rater for each group of near-duplicates."""
    ratings = attacked.select(has_enough_acts)
    representative = find_near_duplicates(ratings, parameters.defences)
    ratings = ratings.select(representative[ratings.raters] == ratings.raters)
    return replace(table_from_ratings(ratings, parameters), representative=representative)


def _imitated_raters(scenario: AttackScenario, attack: Attack, item: int) -> Ints:
    """Return the real raters with a long enough history whose histories the accounts imitate."""
    counts = np.bincount(scenario.ratings.raters, minlength=scenario.ratings.num_raters)
    is_eligible = counts >= 20
    if attack.history == "like_weaker":
        weaker_side = int(np.argmin(scenario.before_attack.labels.estimates[:, item]))
        on_weaker_side = is_eligible & (scenario.before_attack.fits.sides == weaker_side)
        is_eligible = on_weaker_side if on_weaker_side.any() else is_eligible
    return np.flatnonzero(is_eligible) if is_eligible.any() else np.array([int(np.argmax(counts))])


def _make_history(
    base: SparseRatings, kind: str, model_rater: int, item: int, generator: np.random.Generator
) -> tuple[Ints, Floats]:
    """Return the items and values of an account's history, by the `history` of its attack."""
    entries = np.flatnonzero((base.raters == model_rater) & (base.items != item))
    if kind == "none":
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    if kind == "copied":
        return base.items[entries].astype(np.int64), base.values[entries]
    if kind == "random":
        other_items = np.setdiff1d(np.unique(base.items), [item])
        items = generator.choice(other_items, min(12, len(other_items)), replace=False)
        return items, generator.choice([0.0, 1.0], len(items))
    part = generator.permutation(entries)[: max(12, int(0.6 * len(entries)))]
    values = base.values[part].copy()
    is_altered = generator.random(len(part)) < 0.1
    values[is_altered] = 1.0 - values[is_altered]
    return base.items[part].astype(np.int64), values


def _draw_jury_verdict(
    scenario: AttackScenario,
    item: int,
    attacker_share: float,
    vote: float,
    generator: np.random.Generator,
    parameters: ConsensusParameters,
) -> str:
    """Return the verdict of twelve random left-out raters of the item, six of each group.

    Each of them is an attacker with probability `attacker_share`.
    """
    conversation, (left_out, groups) = scenario.conversation, scenario.left_out_raters
    counts, approvals = np.zeros(2, dtype=np.int64), np.zeros(2)
    by_left_out = (conversation.items == item) & np.isin(conversation.raters, left_out)
    for side in (0, 1):
        votes = conversation.values[by_left_out & (groups[conversation.raters] == side)]
        votes = generator.permutation(votes)[:6]
        votes = np.where(generator.random(len(votes)) < attacker_share, vote, votes)
        counts[side], approvals[side] = len(votes), float(votes.sum())
    return jury_verdict(counts, approvals, parameters.status)
