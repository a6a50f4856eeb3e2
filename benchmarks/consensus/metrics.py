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
from benchmarks.consensus.polis import Conversation, Mask
from yearling.feedback import defences
from yearling.feedback import status_rules as status
from yearling.feedback.defences import RaterExperience
from yearling.feedback.division import cross_validated_gain, detect_division
from yearling.feedback.exact_arithmetic import Floats, Ints, beta_cdf
from yearling.feedback.pairs import Comparisons, fit_bradley_terry, shrunk_odds, side_strengths
from yearling.feedback.parameters import Parameters
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit
from yearling.feedback.rating_table import ModelFits, Table, fit_models, gather, half_rate, heard
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
class Judged:
    """A table with its fits, evidence and statuses (N,)."""

    table: Table
    main: ModelFits
    evidence: Evidence
    statuses: np.ndarray

    def score(self, p: Parameters) -> Floats:
        """(S, N) Each side's estimate."""
        return self.evidence.estimates(p.status.estimate_prior)


def table_from_ratings(ratings: SparseRatings, evidence: Mask | None = None) -> Table:
    """A table as if every rater were admitted and every rating (or those under `evidence`) counted."""
    everything = np.ones(ratings.size, dtype=np.bool_)
    names = {str(k): k for k in range(ratings.num_raters)}, {str(k): k for k in range(ratings.num_items)}
    counted = everything if evidence is None else evidence
    nobody = RaterExperience(counted=frozenset(), earned={})
    return Table(*names, ratings, everything, counted, np.arange(ratings.num_raters), frozenset(), nobody)


def judge(table: Table, p: Parameters, standing: Sequence[str] | None = None) -> Judged:
    """Fits, evidence and statuses without the brakes of time (minimum age, cap on flips); inertia where `standing` is given."""
    main = fit_models(table.fit, p.axis, p.prediction)
    absent = defences.most_active_mask(table.fit.raters, table.fit.num_raters, p.defences)
    evidence = gather(table, main)
    rules = status.holding(evidence, p.status)
    robust = rules
    if absent.any():
        without = fit_models(table.fit.only(~absent[table.fit.raters]), p.axis, p.prediction)
        robust = status.holding(gather(table, without), p.status)
    before = standing or [NEEDS_MORE] * len(table.items)
    found = [
        status.decide(item, rules, robust, standing=before[item], age_s=np.inf, verdict="", p=p.status).status
        for item in range(len(table.items))
    ]
    return Judged(table, main, evidence, np.array(found))


def select_rater_votes(c: Conversation, raters: Mask) -> SparseRatings:
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


def held_out(cs: Iterable[Conversation], seeds: Sequence[int], p: Parameters) -> list[Measurement]:
    """Error and sign accuracy on a random tenth of all votes."""
    out: list[Measurement] = []
    for c in cs:
        for seed in seeds:
            left_out = np.random.default_rng([seed, 1]).random(len(c.values)) < 0.1
            whole = SparseRatings(c.raters, c.items, c.values, c.num_raters, c.num_items)
            known = whole.only(~left_out)
            truth, raters, items = c.values[left_out], c.raters[left_out].astype(np.int64), c.items[left_out].astype(np.int64)
            means = np.bincount(known.items, known.values, c.num_items) / np.maximum(
                np.bincount(known.items, minlength=c.num_items), 1
            )
            guesses = {
                "majority": means[items],
                "plain als": fit(known, p.axis).predict(raters, items),
                "ours": fit(known, p.prediction).predict(raters, items),
            }
            clear = truth != 0.5
            for method, guess in guesses.items():
                error = float(np.sqrt(np.mean((truth - guess) ** 2)))
                right = float(np.mean((guess > 0.5)[clear] == (truth > 0.5)[clear]))
                out.append(Measurement(measure="held-out RMSE", method=method, conversation=c.name, seed=seed, value=error))
                out.append(Measurement(measure="held-out accuracy", method=method, conversation=c.name, seed=seed, value=right))
    return out


def measure_full_data(cs: Iterable[Conversation], p: Parameters) -> list[Measurement]:
    """Rank correlation with Polis' published groups' consensus when everybody is seen. The reference is not independent here."""
    out = []
    for c in cs:
        everybody = np.ones(c.num_raters, dtype=np.bool_)
        reference = polis.opinions(c, everybody, c.groups)
        use = reference.measured(5) & ~c.moderated_out
        scores = _score_methods(select_rater_votes(c, everybody), p)[0]
        del scores["ours weakest"]
        for method, score in scores.items():
            value = _spearman(score[use], reference.group_informed()[use])
            out.append(Measurement(measure="Spearman, full data", method=method, conversation=c.name, seed=0, value=value))
    return out


def left_out(
    cs: Iterable[Conversation], size: int, seeds: Sequence[int], p: Parameters, *, published: bool = False
) -> list[Measurement]:
    """From `size` raters: rank correlation, traps, wrong and found 'helpful', all against left-out raters.

    Items count that both groups of left-out raters saw often enough and that a quorum of the sample has rated. A trap is an item
    of which left-out raters approve by at least 55 % on the whole and under 40 % in one group. `published` takes Polis' groups.
    """
    out: list[Measurement] = []
    quorum = next(rule for rule in p.status.rules if rule.id == "quorum")
    for c in cs:
        for seed in seeds:
            sample, others = polis.draw(c, size, seed)
            if int(others.sum()) < 50:
                continue
            reference = polis.opinions(c, others, c.groups if published else polis.find_two_groups(c, others))
            ratings = select_rater_votes(c, sample)
            use = reference.measured(MIN_RATERS_PER_GROUP) & (
                np.bincount(ratings.items, minlength=c.num_items) >= quorum.min_total
            )
            if int(use.sum()) < 20:
                continue
            scores, helpful = _score_methods(ratings, p)
            good, traps = reference.weakest() >= 0.5, reference.weakest() < 0.4
            popular = use & (reference.pooled() >= 0.55)
            for method, score in scores.items():
                rho = _spearman(score[use], reference.group_informed()[use])
                weak = scores.get(f"{method} weakest", score)
                out.append(figure(f"Spearman, N = {size}", method, c, seed, rho))
                out.append(figure(f"trap AUC, N = {size}", method, c, seed, auc(weak[popular], ~traps[popular])))
            for method, flagged in helpful.items():
                flagged = flagged & use
                if flagged.any():
                    out.append(figure(f"wrong 'helpful', N = {size}", method, c, seed, float(np.mean(~good[flagged]))))
                if (good & use).any():
                    out.append(figure(f"found 'helpful', N = {size}", method, c, seed, float(np.mean(flagged[good & use]))))
    return [figure for figure in out if not figure.method.endswith("weakest")]


def _score_methods(ratings: SparseRatings, p: Parameters) -> tuple[dict[str, Floats], dict[str, Mask]]:
    """(N,) Scores and 'helpful' masks of every method on the same ratings."""
    num = ratings.num_items
    seen = np.bincount(ratings.items, minlength=num).astype(np.float64)
    approval = np.bincount(ratings.items, ratings.values, num).astype(np.float64)
    agreed = np.bincount(ratings.items, ratings.values == 1.0, num)
    judged = judge(table_from_ratings(ratings), p)
    estimates = judged.score(p)
    sides = judged.evidence
    below = beta_cdf(approval + 0.5, seen - approval + 0.5, 0.5)
    side_below = beta_cdf(sides.approvals + 0.5, sides.counts - sides.approvals + 0.5, 0.5)
    quorum = (seen >= 5) & (sides.counts >= 2).all(axis=0)
    scores = {
        "majority": (agreed + 1.0) / (seen + 2.0),
        "pooled bound": 1.0 - below,
        "polis": _polis_scores(ratings),
        "plain als": judged.main.axis.item_bias,
        "ours": sides.group_informed(half_rate(judged.table)),
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
    c = Conversation("", ratings.raters, ratings.items, ratings.values, ratings.num_raters, ratings.num_items, ungrouped, nothing)
    return polis.opinions(c, everybody, polis.find_two_groups(c, everybody)).group_informed()


def pairwise(
    cs: Iterable[Conversation], seeds: Sequence[int], p: Parameters, *, raters: int = 100, each: int = 60
) -> list[Measurement]:
    """From comparisons made of votes: does a pair's score tell whether both left-out groups prefer the same answer?"""
    out: list[Measurement] = []
    for c in cs:
        for seed in seeds:
            sample, others = polis.draw(c, raters, seed)
            if int(others.sum()) < 50:
                continue
            reference = polis.opinions(c, others, polis.find_two_groups(c, others))
            use = reference.measured(MIN_RATERS_PER_GROUP)
            if int(use.sum()) < 20:
                continue
            generator = np.random.default_rng([seed, 2])
            made = sample_comparisons(select_rater_votes(c, sample), use, each, generator)
            known = np.flatnonzero(use)
            a, b = (known[generator.integers(0, len(known), 4000)] for _ in range(2))
            a, b = a[a != b], b[a != b]
            level = (reference.approval + 1.0) / (reference.seen + 2.0)
            both = np.asarray((level[:, a] > level[:, b]).all(axis=0))
            for method, odds in _pair_odds(made, c.num_items, int(sample.sum()), a, b, p).items():
                value = auc(odds.min(axis=0), both)
                out.append(figure(f"pairwise AUC, {raters} × {each}", method, c, seed, value))
    return out


def sample_comparisons(ratings: SparseRatings, use: Mask, each: int, generator: np.random.Generator) -> Comparisons:
    """Up to `each` random comparisons by every rater, of two items that this rater rated differently."""
    rows = []
    for rater in range(ratings.num_raters):
        mine = np.flatnonzero((ratings.raters == rater) & use[ratings.items])
        if len(mine) < 2:
            continue
        pairs = mine[generator.integers(0, len(mine), (800, 2))]
        pairs = pairs[ratings.values[pairs[:, 0]] > ratings.values[pairs[:, 1]]][:each]
        rows += [(rater, int(ratings.items[x]), int(ratings.items[y])) for x, y in pairs]
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return Comparisons(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), np.ones(len(table)))


def _pair_odds(made: Comparisons, num_items: int, num_raters: int, a: Ints, b: Ints, p: Parameters) -> dict[str, Floats]:
    """(S, P) Each side's log-odds of a ≻ b by method; pooled ones repeat on both sides."""
    ratings = win_shares(made, num_raters, num_items)
    fits = fit_models(ratings, p.axis, p.prediction)
    games = np.bincount(ratings.items, minlength=num_items)
    share = (np.bincount(ratings.items, ratings.values, num_items) + 0.5) / (games + 1.0)
    pooled = fit_bradley_terry(made, np.zeros(num_items), p.pairs.pooled_penalty, p.pairs.rounds)
    side_of = fits.sides[made.raters]
    strengths = {
        "majority": np.array([share, share]),
        "plain bradley-terry": np.array([pooled, pooled]),
        "plain als": np.array([fits.axis.item_bias] * 2),
        "per-side bradley-terry": np.array(
            [fit_bradley_terry(made.only(side_of == s), pooled, 0.15, p.pairs.rounds) for s in (0, 1)]
        ),
    }
    ours = side_strengths(made, fits.sides, fits.predictions(), p.pairs)
    plain = {method: found[:, a] - found[:, b] for method, found in strengths.items()}
    return {**plain, "ours": shrunk_odds(ours, heard(ratings, fits.sides), a, b, p.pairs)}


def win_shares(made: Comparisons, num_raters: int, num_items: int) -> SparseRatings:
    """Comparisons as ratings: each rater's share of wins of each item, in eighths."""
    key = np.concatenate([made.raters.astype(np.int64) * num_items + x for x in (made.winners, made.losers)])
    keys, where = np.unique(key, return_inverse=True)
    share = np.bincount(where, np.concatenate([made.wins, 1.0 - made.wins])) / np.bincount(where)
    return SparseRatings(
        (keys // num_items).astype(np.int32), (keys % num_items).astype(np.int32), np.rint(share * 8) / 8, num_raters, num_items
    )


def stability(cs: Iterable[Conversation], seeds: Sequence[int], p: Parameters) -> list[Measurement]:
    """All raters against a random 80 % of them: rank correlation, overlap of the top ten, statuses that differ."""
    out: list[Measurement] = []
    for c in cs:
        everybody = np.ones(c.num_raters, dtype=np.bool_)
        whole = select_rater_votes(c, everybody)
        use = np.bincount(whole.items, minlength=c.num_items) >= 10
        scores, helpful = _score_methods(whole, p)
        full = judge(table_from_ratings(whole), p)
        for seed in seeds:
            part = np.random.default_rng([seed, 3]).random(c.num_raters) < 0.8
            ratings = select_rater_votes(c, part)
            again, helpful_again = _score_methods(ratings, p)
            for method, score in scores.items():
                name = "ours" if method == "ours weakest" else method
                if method == "ours":
                    continue
                top = [set(np.flatnonzero(use)[np.argsort(-s[use], kind="stable")[:10]].tolist()) for s in (score, again[method])]
                out.append(figure("stability, Spearman", name, c, seed, _spearman(score[use], again[method][use])))
                out.append(figure("stability, top ten", name, c, seed, len(top[0] & top[1]) / 10))
            for method, flags in helpful.items():
                out.append(figure("stability, flips", method, c, seed, float(np.mean(flags[use] != helpful_again[method][use]))))
            kept = judge(table_from_ratings(ratings), p, standing=full.statuses.tolist())
            changed = float(np.mean(kept.statuses[use] != full.statuses[use]))
            out.append(figure("stability, flips", "ours with inertia", c, seed, changed))
    return out


def division(cs: Iterable[Conversation], seeds: Sequence[int], p: Parameters, *, size: int = 50) -> list[Measurement]:
    """Division seen in `size` random raters, and in the same tables after shuffling each item's votes among its raters."""
    out: list[Measurement] = []
    paper = FitParameters(rounds=12)
    for c in cs:
        for seed in seeds:
            sample, _ = polis.draw(c, size, seed)
            ratings = select_rater_votes(c, sample)
            shuffled = permuted(ratings, np.random.default_rng([seed, 4]))
            for measure, table in (("division found", ratings), ("division, false alarms", shuffled)):
                out.append(figure(measure, "ours", c, seed, float(detect_division(table, p.division).seen)))
                out.append(
                    figure(measure, "plain als, five-fold gain", c, seed, float(cross_validated_gain(table, paper) > 0.02))
                )
                out.append(figure(measure, "damped five-fold gain", c, seed, float(cross_validated_gain(table) > 0.02)))
    return out


def permuted(ratings: SparseRatings, generator: np.random.Generator) -> SparseRatings:
    """Each item's ratings dealt anew among its raters: items stay as they are, and nobody has a position any more."""
    order = np.lexsort((generator.random(ratings.size), ratings.items))
    place = np.lexsort((np.arange(ratings.size), ratings.items))
    values = ratings.values.copy()
    values[place] = ratings.values[order]
    return SparseRatings(ratings.raters, ratings.items, values, ratings.num_raters, ratings.num_items)


def _spearman(a: Floats, b: Floats) -> float:
    return float(stats.spearmanr(a, b).statistic)


def figure(measure: str, method: str, c: Conversation, seed: int, value: float) -> Measurement:
    return Measurement(measure=measure, method=method, conversation=c.name, seed=seed, value=value)
