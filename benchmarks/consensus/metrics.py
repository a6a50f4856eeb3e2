"""Measures the consensus on real votes: one function for each row of the report, with our method beside its baselines.

Every function takes conversations and seeds and returns `Measurement`s: one number per method, conversation and seed. Baselines
see exactly the sample that our method sees. Nothing here tunes parameters.

Legend: U raters, N items, P pairs, S = 2 sides. Methods are `majority` (approval of at least two thirds, or mean approval as a
score), `pooled bound` (lower 20 % Beta bound over everybody), `polis` (group-informed consensus on groups found in the sample),
`plain als` (paper form: intercept as a score, the bare two-sided rule on counts as a status), `ours`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from benchmarks.consensus.comparison_sampling import (
    MIN_LEFT_OUT_RATERS,
    MIN_RATERS_PER_GROUP,
    MIN_REFERENCE_ITEMS,
    sample_conversation,
    select_rater_votes,
    win_shares,
)
from benchmarks.consensus.cross_validation import cross_validated_gain
from benchmarks.consensus.polis import PolisConversation, find_two_groups, group_opinions, sample_raters
from yearling.feedback.consensus import LabelBasis, evaluate_items, prepare_labels
from yearling.feedback.defences import influence_weights, most_active_mask
from yearling.feedback.division import detect_division
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask, beta_cdf
from yearling.feedback.item_labels import ItemLabels
from yearling.feedback.pairs import (
    ComparisonArrays,
    blend_odds,
    fit_bradley_terry,
    pooled_strengths,
    shrunk_odds,
    side_strengths,
)
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit_rater_model
from yearling.feedback.rating_table import (
    ModelFits,
    RatingTable,
    count_raters_by_side,
    evidence_voices,
    fit_models,
)
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, StatusHistory, decide_status
from yearling.feedback.visible_division import measure_visible_division

_MIN_GAIN = 0.02
"""Cross-validated gain from which the baselines report a division."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured number."""

    measure: str
    method: str
    conversation: str
    seed: int
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class SideVotes:
    """The ratings of each item by side: `counts`, `approvals` (sums), `agreements` (numbers of ratings of 1) and the
    `predictions` of the rater model, each (S, N)."""

    counts: Ints
    approvals: Floats
    agreements: Floats
    predictions: Floats


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """A table with its fits, what decides its items, their labels and statuses (N,)."""

    table: RatingTable
    fits: ModelFits
    basis: LabelBasis
    labels: ItemLabels
    statuses: np.ndarray

    def side_votes(self) -> SideVotes:
        """Return the ratings by side, every rater on one side."""
        ratings = self.table.ratings
        counts, approvals, agreements = [], [], []
        for side in (0, 1):
            on_side = self.fits.sides[ratings.raters] == side
            items = ratings.items[on_side]
            counts.append(np.bincount(items, minlength=ratings.num_items))
            approvals.append(np.bincount(items, ratings.values[on_side], minlength=ratings.num_items))
            agreements.append(np.bincount(items, ratings.values[on_side] == 1.0, minlength=ratings.num_items))
        return SideVotes(np.array(counts), np.array(approvals), np.array(agreements), self.fits.predict_item_means())


def table_from_ratings(ratings: SparseRatings, parameters: ConsensusParameters) -> RatingTable:
    """Return a table in which every rater counts, as accounts of an imported log, with the weights that limit active raters."""
    raters, items = ({str(k): k for k in range(count)} for count in (ratings.num_raters, ratings.num_items))
    weights = influence_weights(ratings.raters, ratings.num_raters, parameters.defences)
    weighted = replace(ratings, weights=weights)
    return RatingTable(
        raters,
        items,
        weighted,
        np.ones(ratings.size, dtype=np.bool_),
        np.arange(ratings.num_raters),
        frozenset(raters),
        evidence_voices(weighted, np.zeros(ratings.num_raters, dtype=np.bool_)),
    )


def judge_table(
    table: RatingTable, parameters: ConsensusParameters, current_statuses: Sequence[str] | None = None
) -> JudgedTable:
    """Fit the models, label the items and decide the statuses, without minimum age and limit on flips.

    `current_statuses` turns inertia on; by default no item has a status.
    """
    fits = fit_models(table.ratings, parameters.axis, parameters.prediction)
    basis, _ = prepare_labels(table, fits, np.ones(table.ratings.num_raters, dtype=np.bool_), parameters)
    most_active = most_active_mask(table.ratings.raters, table.ratings.num_raters, parameters.defences)
    _, labels, rules_met = evaluate_items(table, basis, parameters)
    robust_rules_met = rules_met
    if most_active.any():
        robust_fits = fit_models(table.ratings.select(~most_active[table.ratings.raters]), parameters.axis, parameters.prediction)
        robust, _ = prepare_labels(table, robust_fits, ~most_active, parameters)
        robust_rules_met = evaluate_items(table, robust, parameters)[2]
    before = current_statuses or [NEEDS_MORE] * len(table.item_index)
    histories = [StatusHistory(current_status=status, age_s=np.inf) for status in before]
    statuses = [
        decide_status(item, rules_met, robust_rules_met, history, parameters.status).status
        for item, history in enumerate(histories)
    ]
    return JudgedTable(table, fits, basis, labels, np.array(statuses))


def half_rating_share(table: RatingTable) -> float:
    """Return the share of ratings that are 0.5."""
    return float(np.mean(table.ratings.values == 0.5)) if table.ratings.size else 0.0


def group_informed_consensus(votes: SideVotes, half_rate: float, prior: float = 10.0) -> Floats:
    """Return (N,) Polis' group-informed consensus on our sides: the product of their shares of full agreement.

    Shares are shrunk towards the model's prediction less the contribution of half ratings to it. `half_rate` is the share of 0.5
    among all ratings, `prior` the weight of the prediction in ratings.
    """
    halves = 2.0 * (votes.approvals - votes.agreements).sum(axis=0)
    rate = (halves + 5.0 * half_rate) / (votes.counts.sum(axis=0) + 5.0)
    expected = np.maximum(votes.predictions - 0.5 * rate, 0.0)
    shares = (votes.agreements + prior * expected) / (votes.counts + prior)
    return np.asarray(shares[0] * shares[1])


def auc(scores: Floats, positive: Mask) -> float:
    """Return the area under the ROC curve, or NaN if one class is empty."""
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def measure_held_out(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], parameters: ConsensusParameters
) -> list[Measurement]:
    """Measure the error and the sign accuracy on a random tenth of all votes."""
    measurements: list[Measurement] = []
    for conversation in conversations:
        for seed in seeds:
            left_out = np.random.default_rng([seed, 1]).random(len(conversation.values)) < 0.1
            all_votes = SparseRatings(
                conversation.raters, conversation.items, conversation.values, conversation.num_raters, conversation.num_items
            )
            known = all_votes.select(~left_out)
            truth, raters, items = (
                conversation.values[left_out],
                conversation.raters[left_out].astype(np.int64),
                conversation.items[left_out].astype(np.int64),
            )
            means = np.bincount(known.items, known.values, conversation.num_items) / np.maximum(
                np.bincount(known.items, minlength=conversation.num_items), 1
            )
            predictions = {
                "majority": means[items],
                "plain als": fit_rater_model(known, parameters.axis).predict(raters, items),
                "ours": fit_rater_model(known, parameters.prediction).predict(raters, items),
            }
            clear = truth != 0.5
            for method, predicted in predictions.items():
                error = float(np.sqrt(np.mean((truth - predicted) ** 2)))
                accuracy = float(np.mean((predicted > 0.5)[clear] == (truth > 0.5)[clear]))
                measurements.append(make_measurement("held-out RMSE", method, conversation, seed, error))
                measurements.append(make_measurement("held-out accuracy", method, conversation, seed, accuracy))
    return measurements


def measure_full_data(conversations: Iterable[PolisConversation], parameters: ConsensusParameters) -> list[Measurement]:
    """Measure the rank correlation with the consensus of Polis' published groups when all raters are known.

    The reference is not independent here: it comes from the same votes.
    """
    measurements = []
    for conversation in conversations:
        everybody = np.ones(conversation.num_raters, dtype=np.bool_)
        reference = group_opinions(conversation, everybody, conversation.groups)
        is_included = reference.seen_by_every_group(5) & ~conversation.moderated_out
        scores = _score_methods(select_rater_votes(conversation, everybody), parameters)[0]
        del scores["ours weakest"]
        for method, score in scores.items():
            value = _spearman(score[is_included], reference.group_informed_consensus()[is_included])
            measurements.append(make_measurement("Spearman, full data", method, conversation, 0, value))
    return measurements


def measure_left_out_raters(
    conversations: Iterable[PolisConversation],
    size: int,
    seeds: Sequence[int],
    parameters: ConsensusParameters,
    *,
    use_published_groups: bool = False,
) -> list[Measurement]:
    """Measure rank correlation, traps, and wrong and found 'helpful' from `size` raters against the left-out raters.

    An item counts if both groups of left-out raters saw it often enough and a quorum of the sample rated it. A trap is an item
    that at least 55 % of the left-out raters approve of, but less than 40 % of one group. `use_published_groups` takes Polis'
    groups instead of groups found among the left-out raters.
    """
    measurements: list[Measurement] = []
    quorum = parameters.status.find_rule("quorum").max_total
    for conversation in conversations:
        for seed in seeds:
            sample, left_out = sample_raters(conversation, size, seed)
            if int(left_out.sum()) < MIN_LEFT_OUT_RATERS:
                continue
            reference = group_opinions(
                conversation, left_out, conversation.groups if use_published_groups else find_two_groups(conversation, left_out)
            )
            ratings = select_rater_votes(conversation, sample)
            is_included = reference.seen_by_every_group(MIN_RATERS_PER_GROUP) & (
                np.bincount(ratings.items, minlength=conversation.num_items) >= quorum
            )
            if int(is_included.sum()) < MIN_REFERENCE_ITEMS:
                continue
            scores, helpful = _score_methods(ratings, parameters)
            good, traps = reference.weakest_approval() >= 0.5, reference.weakest_approval() < 0.4
            popular = is_included & (reference.pooled_approval() >= 0.55)
            for method, score in scores.items():
                rho = _spearman(score[is_included], reference.group_informed_consensus()[is_included])
                weak = scores.get(f"{method} weakest", score)
                measurements.append(make_measurement(f"Spearman, N = {size}", method, conversation, seed, rho))
                measurements.append(
                    make_measurement(f"trap AUC, N = {size}", method, conversation, seed, auc(weak[popular], ~traps[popular]))
                )
            for method, flagged in helpful.items():
                flagged = flagged & is_included
                if flagged.any():
                    measurements.append(
                        make_measurement(
                            f"wrong 'helpful', N = {size}", method, conversation, seed, float(np.mean(~good[flagged]))
                        )
                    )
                if (good & is_included).any():
                    measurements.append(
                        make_measurement(
                            f"found 'helpful', N = {size}",
                            method,
                            conversation,
                            seed,
                            float(np.mean(flagged[good & is_included])),
                        )
                    )
    return [measurement for measurement in measurements if not measurement.method.endswith("weakest")]


def _score_methods(ratings: SparseRatings, parameters: ConsensusParameters) -> tuple[dict[str, Floats], dict[str, Mask]]:
    """Return (N,) scores and 'helpful' masks of every method on the same ratings."""
    num = ratings.num_items
    num_ratings = np.bincount(ratings.items, minlength=num).astype(np.float64)
    approval = np.bincount(ratings.items, ratings.values, num).astype(np.float64)
    agreed = np.bincount(ratings.items, ratings.values == 1.0, num)
    judged = judge_table(table_from_ratings(ratings, parameters), parameters)
    sides = judged.side_votes()
    below = beta_cdf(approval + 0.5, num_ratings - approval + 0.5, 0.5)
    side_below = beta_cdf(sides.approvals + 0.5, sides.counts - sides.approvals + 0.5, 0.5)
    quorum = (num_ratings >= 5) & (sides.counts >= 2).all(axis=0)
    scores = {
        "majority": (agreed + 1.0) / (num_ratings + 2.0),
        "pooled bound": 1.0 - below,
        "polis": _polis_scores(ratings),
        "plain als": judged.fits.axis.item_bias,
        "ours": group_informed_consensus(sides, half_rating_share(judged.table)),
        "ours weakest": judged.labels.estimates.min(axis=0),
    }
    helpful = {
        "majority": (num_ratings > 0) & (approval >= 2.0 / 3.0 * num_ratings),
        "pooled bound": (num_ratings >= 5) & (below <= 0.2),
        "plain als": quorum & (side_below <= 0.2).all(axis=0),
        "ours": judged.statuses == HELPFUL,
    }
    return scores, helpful


def _polis_scores(ratings: SparseRatings) -> Floats:
    everybody = np.ones(ratings.num_raters, dtype=np.bool_)
    not_moderated = np.zeros(ratings.num_items, dtype=np.bool_)
    ungrouped = np.full(ratings.num_raters, -1)
    conversation = PolisConversation(
        "", ratings.raters, ratings.items, ratings.values, ratings.num_raters, ratings.num_items, ungrouped, not_moderated
    )
    return group_opinions(conversation, everybody, find_two_groups(conversation, everybody)).group_informed_consensus()


def measure_pairwise(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    parameters: ConsensusParameters,
    *,
    num_raters: int = 100,
    comparisons_per_rater: int = 60,
) -> list[Measurement]:
    """Measure whether the score of a pair, from comparisons made of votes, predicts that both left-out groups prefer its
    answer."""
    measurements: list[Measurement] = []
    for conversation in conversations:
        for seed in seeds:
            sample = sample_conversation(conversation, seed, num_raters, comparisons_per_rater)
            if sample is None:
                continue
            a, b = sample.sample_pairs(4000)
            level = sample.reference.smoothed_approval()
            both_prefer_a = np.asarray((level[:, a] > level[:, b]).all(axis=0))
            for method, odds in _pair_odds(
                sample.comparisons, conversation.num_items, sample.num_raters, a, b, parameters
            ).items():
                value = auc(odds.min(axis=0), both_prefer_a)
                measurements.append(
                    make_measurement(f"pairwise AUC, {num_raters} × {comparisons_per_rater}", method, conversation, seed, value)
                )
    return measurements


def _pair_odds(
    comparisons: ComparisonArrays, num_items: int, num_raters: int, a: Ints, b: Ints, parameters: ConsensusParameters
) -> dict[str, Floats]:
    """Return (S, P) log-odds of a ≻ b of each side, by method. Methods without sides repeat theirs."""
    ratings = win_shares(comparisons, num_raters, num_items)
    fits = fit_models(ratings, parameters.axis, parameters.prediction)
    num_comparisons = np.bincount(ratings.items, minlength=num_items)
    share = (np.bincount(ratings.items, ratings.values, num_items) + 0.5) / (num_comparisons + 1.0)
    pooled = fit_bradley_terry(comparisons, np.zeros(num_items), parameters.pairs.pooled_penalty, parameters.pairs.rounds)
    rater_sides = fits.sides[comparisons.raters]
    strengths = {
        "majority": np.array([share, share]),
        "plain bradley-terry": np.array([pooled, pooled]),
        "plain als": np.array([fits.axis.item_bias] * 2),
        "per-side bradley-terry": np.array(
            [fit_bradley_terry(comparisons.select(rater_sides == s), pooled, 0.15, parameters.pairs.rounds) for s in (0, 1)]
        ),
    }
    baselines = {method: strength[:, a] - strength[:, b] for method, strength in strengths.items()}
    return {**baselines, "ours": pair_odds(comparisons, ratings, fits, a, b, parameters)}


def pair_odds(
    comparisons: ComparisonArrays, ratings: SparseRatings, fits: ModelFits, a: Ints, b: Ints, p: ConsensusParameters
) -> Floats:
    """Return (S, P) our log-odds of a ≻ b of each side; `ratings` are the win shares that show the division."""
    pooled = pooled_strengths(comparisons, ratings.num_items, p.pairs)
    strengths = side_strengths(comparisons, fits.sides, fits.predict_item_means(), p.pairs)
    sides = shrunk_odds(strengths, count_raters_by_side(ratings, fits.sides), a, b, p.pairs)
    degree = measure_visible_division(ratings, p.visible_division).degree
    return blend_odds(pooled[a] - pooled[b], sides, degree)


def measure_stability(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], parameters: ConsensusParameters
) -> list[Measurement]:
    """Compare all raters with a random 80 % of them: rank correlation, overlap of the top ten, statuses that differ."""
    measurements: list[Measurement] = []
    for conversation in conversations:
        everybody = np.ones(conversation.num_raters, dtype=np.bool_)
        all_votes = select_rater_votes(conversation, everybody)
        is_included = np.bincount(all_votes.items, minlength=conversation.num_items) >= 10
        scores, helpful = _score_methods(all_votes, parameters)
        full = judge_table(table_from_ratings(all_votes, parameters), parameters)
        for seed in seeds:
            selected = np.random.default_rng([seed, 3]).random(conversation.num_raters) < 0.8
            ratings = select_rater_votes(conversation, selected)
            part_scores, part_helpful = _score_methods(ratings, parameters)
            for method, score in scores.items():
                name = "ours" if method == "ours weakest" else method
                if method == "ours":
                    continue
                top_all, top_part = (_top_items(values, is_included) for values in (score, part_scores[method]))
                measurements.append(
                    make_measurement(
                        "stability, Spearman",
                        name,
                        conversation,
                        seed,
                        _spearman(score[is_included], part_scores[method][is_included]),
                    )
                )
                measurements.append(
                    make_measurement("stability, top ten", name, conversation, seed, len(top_all & top_part) / 10)
                )
            for method, is_helpful in helpful.items():
                changed = float(np.mean(is_helpful[is_included] != part_helpful[method][is_included]))
                measurements.append(make_measurement("stability, flips", method, conversation, seed, changed))
            inert = judge_table(table_from_ratings(ratings, parameters), parameters, current_statuses=full.statuses.tolist())
            changed = float(np.mean(inert.statuses[is_included] != full.statuses[is_included]))
            measurements.append(make_measurement("stability, flips", "ours with inertia", conversation, seed, changed))
    return measurements


def measure_division(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], parameters: ConsensusParameters, *, size: int = 50
) -> list[Measurement]:
    """Measure how often a division is seen among `size` raters, and in the same tables after shuffling votes within items."""
    measurements: list[Measurement] = []
    paper = FitParameters(rounds=12)
    for conversation in conversations:
        for seed in seeds:
            sample, _ = sample_raters(conversation, size, seed)
            ratings = select_rater_votes(conversation, sample)
            shuffled = permute_within_items(ratings, np.random.default_rng([seed, 4]))
            for measure, table in (("division found", ratings), ("division, false alarms", shuffled)):
                measurements.append(
                    make_measurement(measure, "ours", conversation, seed, float(detect_division(table, parameters.division).seen))
                )
                for method, gain in (
                    ("plain als, five-fold gain", cross_validated_gain(table, paper)),
                    ("damped five-fold gain", cross_validated_gain(table)),
                ):
                    measurements.append(make_measurement(measure, method, conversation, seed, float(gain > _MIN_GAIN)))
    return measurements


def permute_within_items(ratings: SparseRatings, generator: np.random.Generator) -> SparseRatings:
    """Shuffle each item's values among its raters, so that items keep their ratings and no rater has a position."""
    shuffled_order = np.lexsort((generator.random(ratings.size), ratings.items))
    position = np.lexsort((np.arange(ratings.size), ratings.items))
    values = ratings.values.copy()
    values[position] = ratings.values[shuffled_order]
    return SparseRatings(ratings.raters, ratings.items, values, ratings.num_raters, ratings.num_items)


def _top_items(score: Floats, is_included: Mask) -> set[int]:
    """Return the ten items with the highest scores among those in `is_included`."""
    return set(np.flatnonzero(is_included)[np.argsort(-score[is_included], kind="stable")[:10]].tolist())


def _spearman(a: Floats, b: Floats) -> float:
    return float(stats.spearmanr(a, b).statistic)


def make_measurement(measure: str, method: str, conversation: PolisConversation, seed: int, value: float) -> Measurement:
    """Return a measurement on one conversation."""
    return Measurement(measure=measure, method=method, conversation=conversation.name, seed=seed, value=value)
