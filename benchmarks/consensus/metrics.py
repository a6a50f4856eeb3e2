"""How good the consensus is on real votes: one function per row of the table, ours beside what it must beat.

Every function takes conversations and seeds and returns `Figure`s: one number per method, conversation and seed. Baselines see
exactly the sample that we see. Refuses to tune anything.

Legend: methods are `majority` (approval of at least two thirds, or mean approval as a score), `pooled bound` (lower 20 % Beta
bound over everybody), `polis` (group-informed consensus on groups found in the sample), `plain als` (paper form: intercept as a
score, the bare two-sided rule on counts as a status), `ours`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.consensus import polis
from benchmarks.consensus.polis import Mask, PolisConversation
from yearling.feedback import defences
from yearling.feedback import status_rules as status
from yearling.feedback.defences import RaterExperience
from yearling.feedback.division import cross_validated_gain, detect_division
from yearling.feedback.exact_arithmetic import Floats, Ints, beta_cdf
from yearling.feedback.pairs import ComparisonArrays, fit_bradley_terry, shrunk_odds, side_strengths
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit_rater_model
from yearling.feedback.rating_table import (
    ModelFits,
    RatingTable,
    count_raters_by_side,
    fit_models,
    gather_evidence,
    half_rating_share,
)
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, Evidence

MIN_RATERS_PER_GROUP = 20
"""A reference counts where so many left-out members of both groups saw the item: of fewer, a share says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured number."""

    measure: str
    method: str
    conversation: str
    seed: int
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """A table with its fits, evidence and statuses (N,)."""

    table: RatingTable
    main_fits: ModelFits
    evidence: Evidence
    statuses: np.ndarray

    def side_estimates(self, p: ConsensusParameters) -> Floats:
        """(S, N) Each side's estimate."""
        return self.evidence.shrunk_approvals(p.status.estimate_prior)


def table_from_ratings(ratings: SparseRatings, evidence: Mask | None = None) -> RatingTable:
    """A table as if every rater were admitted and every rating (or those under `evidence`) counted."""
    everything = np.ones(ratings.size, dtype=np.bool_)
    names = {str(k): k for k in range(ratings.num_raters)}, {str(k): k for k in range(ratings.num_items)}
    counted = everything if evidence is None else evidence
    nobody = RaterExperience(counted_act_ids=frozenset(), num_earned_acts={})
    return RatingTable(*names, ratings, everything, counted, np.arange(ratings.num_raters), frozenset(), nobody)


def judge_table(table: RatingTable, p: ConsensusParameters, current_statuses: Sequence[str] | None = None) -> JudgedTable:
    """Fits, evidence and statuses without the brakes of time (minimum age, cap on flips); inertia where `standing` is given."""
    main = fit_models(table.ratings, p.axis, p.prediction)
    absent = defences.most_active_mask(table.ratings.raters, table.ratings.num_raters, p.defences)
    evidence = gather_evidence(table, main)
    rules = status.evaluate_rules(evidence, p.status)
    robust = rules
    if absent.any():
        without = fit_models(table.ratings.select(~absent[table.ratings.raters]), p.axis, p.prediction)
        robust = status.evaluate_rules(gather_evidence(table, without), p.status)
    before = current_statuses or [NEEDS_MORE] * len(table.item_index)
    found = [
        status.decide_status(item, rules, robust, current_status=before[item], age_s=np.inf, jury_finding="", p=p.status).status
        for item in range(len(table.item_index))
    ]
    return JudgedTable(table, main, evidence, np.array(found))


def select_rater_votes(c: PolisConversation, raters: Mask) -> SparseRatings:
    """The votes of `raters`, renumbered."""
    number = np.cumsum(raters) - 1
    mine = raters[c.raters]
    return SparseRatings(number[c.raters[mine]].astype(np.int32), c.items[mine], c.values[mine], int(raters.sum()), c.num_items)


def auc(scores: Floats, positive: Mask) -> float:
    """Area under the ROC curve; NaN where one class is empty."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def measure_held_out(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], p: ConsensusParameters
) -> list[Measurement]:
    """Error and sign accuracy on a random tenth of all votes."""
    out: list[Measurement] = []
    for c in conversations:
        for seed in seeds:
            left_out = np.random.default_rng([seed, 1]).random(len(c.values)) < 0.1
            whole = SparseRatings(c.raters, c.items, c.values, c.num_raters, c.num_items)
            known = whole.select(~left_out)
            truth, raters, items = c.values[left_out], c.raters[left_out].astype(np.int64), c.items[left_out].astype(np.int64)
            means = np.bincount(known.items, known.values, c.num_items) / np.maximum(
                np.bincount(known.items, minlength=c.num_items), 1
            )
            guesses = {
                "majority": means[items],
                "plain als": fit_rater_model(known, p.axis).predict(raters, items),
                "ours": fit_rater_model(known, p.prediction).predict(raters, items),
            }
            clear = truth != 0.5
            for method, guess in guesses.items():
                error = float(np.sqrt(np.mean((truth - guess) ** 2)))
                right = float(np.mean((guess > 0.5)[clear] == (truth > 0.5)[clear]))
                out.append(Measurement(measure="held-out RMSE", method=method, conversation=c.name, seed=seed, value=error))
                out.append(Measurement(measure="held-out accuracy", method=method, conversation=c.name, seed=seed, value=right))
    return out


def measure_full_data(conversations: Iterable[PolisConversation], p: ConsensusParameters) -> list[Measurement]:
    """Rank correlation with Polis' published groups' consensus when everybody is seen. The reference is not independent here."""
    out = []
    for c in conversations:
        everybody = np.ones(c.num_raters, dtype=np.bool_)
        reference = polis.group_opinions(c, everybody, c.groups)
        use = reference.seen_by_every_group(5) & ~c.moderated_out
        scores = _score_methods(select_rater_votes(c, everybody), p)[0]
        del scores["ours weakest"]
        for method, score in scores.items():
            value = _spearman(score[use], reference.group_informed_consensus()[use])
            out.append(Measurement(measure="Spearman, full data", method=method, conversation=c.name, seed=0, value=value))
    return out


def measure_left_out_raters(
    conversations: Iterable[PolisConversation],
    size: int,
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    use_published_groups: bool = False,
) -> list[Measurement]:
    """From `size` raters: rank correlation, traps, wrong and found 'helpful', all against left-out raters.

    Items count that both groups of left-out raters saw often enough and that a quorum of the sample has rated. A trap is an item
    of which left-out raters approve by at least 55 % on the whole and under 40 % in one group. `published` takes Polis' groups.
    """
    out: list[Measurement] = []
    quorum = next(rule for rule in p.status.rules if rule.id == "quorum")
    for c in conversations:
        for seed in seeds:
            sample, others = polis.sample_raters(c, size, seed)
            if int(others.sum()) < 50:
                continue
            reference = polis.group_opinions(c, others, c.groups if use_published_groups else polis.find_two_groups(c, others))
            ratings = select_rater_votes(c, sample)
            use = reference.seen_by_every_group(MIN_RATERS_PER_GROUP) & (
                np.bincount(ratings.items, minlength=c.num_items) >= quorum.min_total
            )
            if int(use.sum()) < 20:
                continue
            scores, helpful = _score_methods(ratings, p)
            good, traps = reference.weakest_approval() >= 0.5, reference.weakest_approval() < 0.4
            popular = use & (reference.pooled_approval() >= 0.55)
            for method, score in scores.items():
                rho = _spearman(score[use], reference.group_informed_consensus()[use])
                weak = scores.get(f"{method} weakest", score)
                out.append(make_measurement(f"Spearman, N = {size}", method, c, seed, rho))
                out.append(make_measurement(f"trap AUC, N = {size}", method, c, seed, auc(weak[popular], ~traps[popular])))
            for method, flagged in helpful.items():
                flagged = flagged & use
                if flagged.any():
                    out.append(make_measurement(f"wrong 'helpful', N = {size}", method, c, seed, float(np.mean(~good[flagged]))))
                if (good & use).any():
                    out.append(
                        make_measurement(f"found 'helpful', N = {size}", method, c, seed, float(np.mean(flagged[good & use])))
                    )
    return [figure for figure in out if not figure.method.endswith("weakest")]


def _score_methods(ratings: SparseRatings, p: ConsensusParameters) -> tuple[dict[str, Floats], dict[str, Mask]]:
    """(N,) Scores and 'helpful' masks of every method on the same ratings."""
    num = ratings.num_items
    seen = np.bincount(ratings.items, minlength=num).astype(np.float64)
    approval = np.bincount(ratings.items, ratings.values, num).astype(np.float64)
    agreed = np.bincount(ratings.items, ratings.values == 1.0, num)
    judged = judge_table(table_from_ratings(ratings), p)
    estimates = judged.side_estimates(p)
    sides = judged.evidence
    below = beta_cdf(approval + 0.5, seen - approval + 0.5, 0.5)
    side_below = beta_cdf(sides.approvals + 0.5, sides.counts - sides.approvals + 0.5, 0.5)
    quorum = (seen >= 5) & (sides.counts >= 2).all(axis=0)
    scores = {
        "majority": (agreed + 1.0) / (seen + 2.0),
        "pooled bound": 1.0 - below,
        "polis": _polis_scores(ratings),
        "plain als": judged.main_fits.axis.item_bias,
        "ours": sides.group_informed_consensus(half_rating_share(judged.table)),
        "ours weakest": estimates.min(axis=0),
    }
    helpful = {
        "majority": (seen > 0) & (approval >= 2.0 / 3.0 * seen),
        "pooled bound": (seen >= 5) & (below <= 0.2),
        "plain als": quorum & (side_below <= 0.2).all(axis=0),
        "ours": judged.statuses == HELPFUL,
    }
    return scores, helpful


def _polis_scores(ratings: SparseRatings) -> Floats:
    everybody = np.ones(ratings.num_raters, dtype=np.bool_)
    nothing = np.zeros(ratings.num_items, dtype=np.bool_)
    ungrouped = np.full(ratings.num_raters, -1)
    c = PolisConversation(
        "", ratings.raters, ratings.items, ratings.values, ratings.num_raters, ratings.num_items, ungrouped, nothing
    )
    return polis.group_opinions(c, everybody, polis.find_two_groups(c, everybody)).group_informed_consensus()


def measure_pairwise(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    num_raters: int = 100,
    comparisons_per_rater: int = 60,
) -> list[Measurement]:
    """From comparisons made of votes: does a pair's score tell whether both left-out groups prefer the same answer?"""
    out: list[Measurement] = []
    for c in conversations:
        for seed in seeds:
            sample, others = polis.sample_raters(c, num_raters, seed)
            if int(others.sum()) < 50:
                continue
            reference = polis.group_opinions(c, others, polis.find_two_groups(c, others))
            use = reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
            if int(use.sum()) < 20:
                continue
            generator = np.random.default_rng([seed, 2])
            made = sample_comparisons(select_rater_votes(c, sample), use, comparisons_per_rater, generator)
            known = np.flatnonzero(use)
            a, b = (known[generator.integers(0, len(known), 4000)] for _ in range(2))
            a, b = a[a != b], b[a != b]
            level = (reference.approval + 1.0) / (reference.seen + 2.0)
            both = np.asarray((level[:, a] > level[:, b]).all(axis=0))
            for method, odds in _pair_odds(made, c.num_items, int(sample.sum()), a, b, p).items():
                value = auc(odds.min(axis=0), both)
                out.append(make_measurement(f"pairwise AUC, {num_raters} × {comparisons_per_rater}", method, c, seed, value))
    return out


def sample_comparisons(
    ratings: SparseRatings, item_mask: Mask, comparisons_per_rater: int, generator: np.random.Generator
) -> ComparisonArrays:
    """Up to `each` random comparisons by every rater, of two items that this rater rated differently."""
    rows = []
    for rater in range(ratings.num_raters):
        mine = np.flatnonzero((ratings.raters == rater) & item_mask[ratings.items])
        if len(mine) < 2:
            continue
        pairs = mine[generator.integers(0, len(mine), (800, 2))]
        pairs = pairs[ratings.values[pairs[:, 0]] > ratings.values[pairs[:, 1]]][:comparisons_per_rater]
        rows += [(rater, int(ratings.items[x]), int(ratings.items[y])) for x, y in pairs]
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return ComparisonArrays(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), np.ones(len(table)))


def _pair_odds(
    comparisons: ComparisonArrays, num_items: int, num_raters: int, a: Ints, b: Ints, p: ConsensusParameters
) -> dict[str, Floats]:
    """(S, P) Each side's log-odds of a ≻ b by method; pooled ones repeat on both sides."""
    ratings = win_shares(comparisons, num_raters, num_items)
    fits = fit_models(ratings, p.axis, p.prediction)
    games = np.bincount(ratings.items, minlength=num_items)
    share = (np.bincount(ratings.items, ratings.values, num_items) + 0.5) / (games + 1.0)
    pooled = fit_bradley_terry(comparisons, np.zeros(num_items), p.pairs.pooled_penalty, p.pairs.rounds)
    side_of = fits.sides[comparisons.raters]
    strengths = {
        "majority": np.array([share, share]),
        "plain bradley-terry": np.array([pooled, pooled]),
        "plain als": np.array([fits.axis.item_bias] * 2),
        "per-side bradley-terry": np.array(
            [fit_bradley_terry(comparisons.select(side_of == s), pooled, 0.15, p.pairs.rounds) for s in (0, 1)]
        ),
    }
    ours = side_strengths(comparisons, fits.sides, fits.predict_item_means(), p.pairs)
    plain = {method: found[:, a] - found[:, b] for method, found in strengths.items()}
    return {**plain, "ours": shrunk_odds(ours, count_raters_by_side(ratings, fits.sides), a, b, p.pairs)}


def win_shares(comparisons: ComparisonArrays, num_raters: int, num_items: int) -> SparseRatings:
    """Comparisons as ratings: each rater's share of wins of each item, in eighths."""
    key = np.concatenate([comparisons.raters.astype(np.int64) * num_items + x for x in (comparisons.winners, comparisons.losers)])
    keys, where = np.unique(key, return_inverse=True)
    share = np.bincount(where, np.concatenate([comparisons.wins, 1.0 - comparisons.wins])) / np.bincount(where)
    return SparseRatings(
        (keys // num_items).astype(np.int32), (keys % num_items).astype(np.int32), np.rint(share * 8) / 8, num_raters, num_items
    )


def measure_stability(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], p: ConsensusParameters
) -> list[Measurement]:
    """All raters against a random 80 % of them: rank correlation, overlap of the top ten, statuses that differ."""
    out: list[Measurement] = []
    for c in conversations:
        everybody = np.ones(c.num_raters, dtype=np.bool_)
        whole = select_rater_votes(c, everybody)
        use = np.bincount(whole.items, minlength=c.num_items) >= 10
        scores, helpful = _score_methods(whole, p)
        full = judge_table(table_from_ratings(whole), p)
        for seed in seeds:
            part = np.random.default_rng([seed, 3]).random(c.num_raters) < 0.8
            ratings = select_rater_votes(c, part)
            again, helpful_again = _score_methods(ratings, p)
            for method, score in scores.items():
                name = "ours" if method == "ours weakest" else method
                if method == "ours":
                    continue
                top = [set(np.flatnonzero(use)[np.argsort(-s[use], kind="stable")[:10]].tolist()) for s in (score, again[method])]
                out.append(make_measurement("stability, Spearman", name, c, seed, _spearman(score[use], again[method][use])))
                out.append(make_measurement("stability, top ten", name, c, seed, len(top[0] & top[1]) / 10))
            for method, flags in helpful.items():
                out.append(
                    make_measurement(
                        "stability, flips", method, c, seed, float(np.mean(flags[use] != helpful_again[method][use]))
                    )
                )
            kept = judge_table(table_from_ratings(ratings), p, current_statuses=full.statuses.tolist())
            changed = float(np.mean(kept.statuses[use] != full.statuses[use]))
            out.append(make_measurement("stability, flips", "ours with inertia", c, seed, changed))
    return out


def measure_division(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], p: ConsensusParameters, *, size: int = 50
) -> list[Measurement]:
    """Division seen in `size` random raters, and in the same tables after shuffling each item's votes among its raters."""
    out: list[Measurement] = []
    paper = FitParameters(rounds=12)
    for c in conversations:
        for seed in seeds:
            sample, _ = polis.sample_raters(c, size, seed)
            ratings = select_rater_votes(c, sample)
            shuffled = permute_within_items(ratings, np.random.default_rng([seed, 4]))
            for measure, table in (("division found", ratings), ("division, false alarms", shuffled)):
                out.append(make_measurement(measure, "ours", c, seed, float(detect_division(table, p.division).seen)))
                out.append(
                    make_measurement(
                        measure, "plain als, five-fold gain", c, seed, float(cross_validated_gain(table, paper) > 0.02)
                    )
                )
                out.append(make_measurement(measure, "damped five-fold gain", c, seed, float(cross_validated_gain(table) > 0.02)))
    return out


def permute_within_items(ratings: SparseRatings, generator: np.random.Generator) -> SparseRatings:
    """Each item's ratings dealt anew among its raters: items stay as they are, and nobody has a position any more."""
    order = np.lexsort((generator.random(ratings.size), ratings.items))
    place = np.lexsort((np.arange(ratings.size), ratings.items))
    values = ratings.values.copy()
    values[place] = ratings.values[order]
    return SparseRatings(ratings.raters, ratings.items, values, ratings.num_raters, ratings.num_items)


def _spearman(a: Floats, b: Floats) -> float:
    return float(stats.spearmanr(a, b).statistic)


def make_measurement(measure: str, method: str, c: PolisConversation, seed: int, value: float) -> Measurement:
    return Measurement(measure=measure, method=method, conversation=c.name, seed=seed, value=value)
