"""What accounts that act together achieve against the consensus of real raters, by share of the target's ratings.

Each attack adds accounts to a sample of a Polis conversation and tries to change the status of one item. A *camouflaged* account
has a history like that of a real rater: a random part of it, some of it altered, so that it is placed on that rater's side and is
no near-duplicate. Real raters have their histories behind them; attackers are held to the rule on earlier acts.

Success is counted over targets: for promotion, items that left-out raters do not approve of on both sides and that then become
helpful; for suppression, helpful items that then lose it. Beside ours
stands the bare two-sided rule on the paper form, without any defence, on those targets on which it would have been right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.consensus import polis
from benchmarks.consensus.metrics import JudgedTable, Measurement, judge_table, select_rater_votes, table_from_ratings
from benchmarks.consensus.polis import Mask, PolisConversation
from yearling.feedback import defences
from yearling.feedback.exact_arithmetic import Ints, beta_cdf
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings, fit_rater_model
from yearling.feedback.rating_table import RatingTable
from yearling.feedback.status_rules import HELPFUL, jury_verdict

ATTACKER_SHARES = (0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How accounts are made and what they want. `history` is `like` a random rater, `like_weaker` one of the side that approves
    least, `copied` outright from one rater, `random` clicks, or `none`."""

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
    """A sample before the attack, with what left-out raters think."""

    conversation: PolisConversation
    ratings: SparseRatings
    before_attack: JudgedTable
    promotable: Ints
    suppressible: Ints
    bare_rule_helpful: Mask
    """(N,) Helpful by the bare rule."""
    left_out_raters: tuple[Ints, Ints]
    """Raters left out and their reference group, for the jury."""


def build_scenario(
    conversation: PolisConversation, size: int, seed: int, p: ConsensusParameters, max_targets: int
) -> AttackScenario | None:
    """Up to `targets` items of each kind; None where too few raters are left for a reference."""
    sample, others = polis.sample_raters(conversation, size, seed)
    if int(others.sum()) < 50:
        return None
    groups = polis.find_two_groups(conversation, others)
    reference = polis.group_opinions(conversation, others, groups)
    ratings = select_rater_votes(conversation, sample)
    before = judge_table(table_from_ratings(ratings), p)
    rated = np.bincount(ratings.items, minlength=conversation.num_items) >= 10
    helpful = before.statuses == HELPFUL
    known = reference.seen_by_every_group(20) & rated
    generator = np.random.default_rng([seed, 7])
    kinds = [
        np.flatnonzero(known & ~helpful & (reference.weakest_approval() < 0.4)),
        np.flatnonzero(known & helpful & (reference.weakest_approval() >= 0.5)),
    ]
    chosen = [generator.permutation(kind)[:max_targets] for kind in kinds]
    return AttackScenario(
        conversation, ratings, before, chosen[0], chosen[1], bare_two_sided_rule(ratings, p), (np.flatnonzero(others), groups)
    )


def run_attacks(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    size: int = 100,
    max_targets: int = 3,
    attacks: Sequence[Attack] = ATTACKS,
) -> list[Measurement]:
    """Success rates of every attack at every share, one figure per conversation and seed."""
    out = []
    for c in conversations:
        for seed in seeds:
            stage = build_scenario(c, size, seed, p, max_targets)
            if stage is None:
                continue
            for attack in attacks:
                items = stage.promotable if attack.promote else stage.suppressible
                for share in ATTACKER_SHARES if items.size else ():
                    measure = f"{attack.name}, {share:.0%}"
                    wins = [
                        _run_attack(stage, attack, int(item), share, np.random.default_rng([seed, int(item), 8]), p)
                        for item in items
                    ]
                    for method in ("ours", "plain als"):
                        told = [float(win[method]) for win in wins if method in win]
                        if told:
                            value = float(np.mean(told))
                            out.append(Measurement(measure=measure, method=method, conversation=c.name, seed=seed, value=value))
    return out


def _run_attack(
    scenario: AttackScenario,
    attack: Attack,
    item: int,
    attacker_share: float,
    generator: np.random.Generator,
    p: ConsensusParameters,
) -> dict[str, bool]:
    """Whether the attack reaches its aim, by method."""
    real = int(np.sum(scenario.ratings.items == item))
    accounts = int(np.ceil(attacker_share / (1.0 - attacker_share) * real))
    joined, counts = _add_accounts(scenario, attack, item, accounts, generator, p)
    table = _apply_defences(joined, counts, p)
    standing = scenario.before_attack.statuses.tolist() if attack.inertia else None
    helpful = bool(judge_table(table, p, current_statuses=standing).statuses[item] == HELPFUL)
    won = helpful == attack.promote
    if attack.jury and won:
        # The change is put before a jury; attackers sit on it by their share of all accounts.
        verdict = _draw_jury_verdict(
            scenario, item, accounts / (accounts + scenario.ratings.num_raters), float(attack.promote), generator, p
        )
        won = verdict in ("", HELPFUL) if attack.promote else verdict != HELPFUL
    result = {"ours": won}
    if not (attack.inertia or attack.jury) and bool(scenario.bare_rule_helpful[item]) != attack.promote:
        result["plain als"] = bool(bare_two_sided_rule(joined, p)[item]) == attack.promote
    return result


def bare_two_sided_rule(ratings: SparseRatings, p: ConsensusParameters) -> Mask:
    """(N,) 'Helpful' by the two-sided Beta bound on counts alone, sides by the paper form, everybody counted."""
    axis = fit_rater_model(ratings, p.axis)
    side = axis.rater_factors[:, 0] > 0
    holds = np.bincount(ratings.items, minlength=ratings.num_items) >= 5
    for mine in (side[ratings.raters], ~side[ratings.raters]):
        seen = np.bincount(ratings.items[mine], minlength=ratings.num_items).astype(np.float64)
        liked = np.bincount(ratings.items[mine], ratings.values[mine], ratings.num_items).astype(np.float64)
        holds = holds & (seen >= 2) & (beta_cdf(liked + 0.5, seen - liked + 0.5, 0.5) <= 0.2)
    return np.asarray(holds)


def _add_accounts(
    scenario: AttackScenario, attack: Attack, item: int, num_accounts: int, generator: np.random.Generator, p: ConsensusParameters
) -> tuple[SparseRatings, Mask]:
    """The sample with the attackers' accounts, and which entries come from raters with enough acts."""
    base, vote = scenario.ratings, float(attack.promote)
    raters, items, values = [base.raters], [base.items], [base.values]
    counts = [np.ones(base.size, dtype=np.bool_)]
    models = _imitated_raters(scenario, attack, item)
    model_rater = int(generator.choice(models))
    for k in range(num_accounts):
        if attack.history != "copied":
            model_rater = int(generator.choice(models))
        past_items, past_values = _make_history(base, attack.history, model_rater, item, generator)
        raters.append(np.full(len(past_items) + 1, base.num_raters + k, dtype=np.int32))
        items.append(np.append(past_items, item).astype(np.int32))
        values.append(np.append(past_values, vote))
        counts.append(np.full(len(past_items) + 1, len(past_items) >= p.defences.earlier_acts))
    joined = SparseRatings(
        np.concatenate(raters), np.concatenate(items), np.concatenate(values), base.num_raters + num_accounts, base.num_items
    )
    return joined, np.concatenate(counts)


def _apply_defences(joined: SparseRatings, counts: Mask, p: ConsensusParameters) -> RatingTable:
    """Without raters who have too few acts, and with near-duplicates heard once."""
    kept = joined.select(counts)
    alias = defences.find_near_duplicates(kept, p.defences)
    kept = kept.select(alias[kept.raters] == kept.raters)
    return replace(table_from_ratings(kept), representative=alias)


def _imitated_raters(scenario: AttackScenario, attack: Attack, item: int) -> Ints:
    """Real raters whose histories the accounts imitate: those with enough of one."""
    counts = np.bincount(scenario.ratings.raters, minlength=scenario.ratings.num_raters)
    able = counts >= 20
    if attack.history == "like_weaker":
        weaker = int(np.argmin(scenario.before_attack.evidence.shrunk_approvals(5.0)[:, item]))
        own_side = able & (scenario.before_attack.main_fits.sides == weaker)
        able = own_side if own_side.any() else able
    return np.flatnonzero(able) if able.any() else np.array([int(np.argmax(counts))])


def _make_history(
    base: SparseRatings, kind: str, model_rater: int, item: int, generator: np.random.Generator
) -> tuple[Ints, np.ndarray]:
    mine = np.flatnonzero((base.raters == model_rater) & (base.items != item))
    if kind == "none":
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    if kind == "copied":
        return base.items[mine].astype(np.int64), base.values[mine]
    if kind == "random":
        others = np.setdiff1d(np.unique(base.items), [item])
        picked = generator.choice(others, min(12, len(others)), replace=False)
        return picked, generator.choice([0.0, 1.0], len(picked))
    part = generator.permutation(mine)[: max(12, int(0.6 * len(mine)))]
    values = base.values[part].copy()
    altered = generator.random(len(part)) < 0.1
    values[altered] = 1.0 - values[altered]
    return base.items[part].astype(np.int64), values


def _draw_jury_verdict(
    scenario: AttackScenario,
    item: int,
    attacker_share: float,
    vote: float,
    generator: np.random.Generator,
    p: ConsensusParameters,
) -> str:
    """Twelve random left-out raters of the item, six of each reference group; each is an attacker with chance `share`."""
    c, (others, groups) = scenario.conversation, scenario.left_out_raters
    counts, approvals = np.zeros(2, dtype=np.int64), np.zeros(2)
    here = (c.items == item) & np.isin(c.raters, others)
    for side in (0, 1):
        votes = c.values[here & (groups[c.raters] == side)]
        votes = generator.permutation(votes)[:6]
        votes = np.where(generator.random(len(votes)) < attacker_share, vote, votes)
        counts[side], approvals[side] = len(votes), float(votes.sum())
    return jury_verdict(counts, approvals, p.status)
