"""Measures whether q is calibrated: against left-out raters, and by the number of people who compared a pair.

`measure_reliability` bins pairs of real conversations by q. `measure_q_growth` plants one pair and lets more and more people
compare it. This is a file of its own because q weights every preference loss. Nothing here tunes parameters.

Legend: N items, P pairs, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np

from benchmarks.consensus.comparison_sampling import sample_conversation, win_shares
from benchmarks.consensus.metrics import Measurement, make_measurement, pair_odds
from benchmarks.consensus.polis import GroupOpinions, PolisConversation
from benchmarks.consensus.simulation import START_UTC
from yearling.feedback.consensus import run_consensus
from yearling.feedback.defences import DefenceParameters
from yearling.feedback.events import Comparison, FeedbackEvent
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask, sigmoid
from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_table import ModelFits, fit_models

Q_BINS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)


def measure_reliability(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    parameters: ConsensusParameters,
    *,
    num_raters: int = 100,
    comparisons_per_rater: int = 60,
    min_raters: int = 10,
) -> list[Measurement]:
    """Measure, by bins of q, how often left-out raters of the weaker side prefer the better answer.

    Uses random pairs on which both sides agree. A side of left-out raters is the reference group with similar opinions; only
    raters who rated the two answers differently count, and a pair needs `min_raters` of them. Also measures the mean of q and the
    share of pairs in each bin.
    """
    measurements: list[Measurement] = []
    for conversation in conversations:
        for seed in seeds:
            sample = sample_conversation(conversation, seed, num_raters, comparisons_per_rater)
            if sample is None:
                continue
            a, b = sample.sample_pairs(3000)
            ratings = win_shares(sample.comparisons, sample.num_raters, conversation.num_items)
            fits = fit_models(ratings, parameters.axis, parameters.prediction)
            odds = pair_odds(sample.comparisons, ratings, fits, a, b, parameters)
            group_order = _match_groups_to_sides(fits, sample.reference, sample.item_mask)
            share = _left_out_share(conversation, sample.left_out_raters, sample.groups, group_order, a, b, min_raters)
            measurements += _bin_by_q(conversation, seed, odds, share, f", {num_raters} × {comparisons_per_rater}")
    return measurements


def _match_groups_to_sides(fits: ModelFits, reference: GroupOpinions, item_mask: Mask) -> tuple[int, int]:
    """Return, for each of our sides, the reference group whose opinions differ from the other group's in the same direction."""
    predictions = fits.predict_item_means()
    level = reference.smoothed_approval()
    covariance = float(np.sum((predictions[0] - predictions[1])[item_mask] * (level[0] - level[1])[item_mask]))
    return (0, 1) if covariance >= 0.0 else (1, 0)


def _left_out_share(
    conversation: PolisConversation, left_out: Mask, groups: Ints, group_order: tuple[int, int], a: Ints, b: Ints, min_raters: int
) -> Floats:
    """Return (S, P) the share of each side's left-out raters who rate a above b, among those who rate them differently.

    The share is NaN for fewer than `min_raters` raters.
    """
    shares = []
    for group in group_order:
        members = left_out & (groups == group)
        votes = np.full((int(members.sum()), conversation.num_items), np.nan)
        by_members = members[conversation.raters]
        votes[(np.cumsum(members) - 1)[conversation.raters[by_members]], conversation.items[by_members]] = conversation.values[
            by_members
        ]
        prefers_a, prefers_b = (votes[:, a] > votes[:, b]).sum(axis=0), (votes[:, a] < votes[:, b]).sum(axis=0)
        num_deciding = prefers_a + prefers_b
        shares.append(np.where(num_deciding >= min_raters, prefers_a / np.maximum(num_deciding, 1), np.nan))
    return np.array(shares)


def _bin_by_q(conversation: PolisConversation, seed: int, odds: Floats, share: Floats, note: str) -> list[Measurement]:
    sides_agree = (np.sign(odds[0]) == np.sign(odds[1])) & (odds[0] != 0.0)
    weaker_side = np.abs(odds).argmin(axis=0)
    pair_numbers = np.arange(odds.shape[1])
    q = sigmoid(np.abs(odds[weaker_side, pair_numbers]))
    preferred = np.where(
        odds[weaker_side, pair_numbers] > 0.0, share[weaker_side, pair_numbers], 1.0 - share[weaker_side, pair_numbers]
    )
    is_measured = sides_agree & ~np.isnan(preferred)
    measurements = []
    for low, high in pairwise(Q_BINS):
        in_bin = is_measured & (q >= low) & (q < high)
        name = f"q {low:.2f}–{high:.2f}{note}"
        measurements.append(
            make_measurement(
                f"{name}, share of pairs", "ours", conversation, seed, float(in_bin.sum() / max(int(is_measured.sum()), 1))
            )
        )
        if in_bin.any():
            measurements.append(make_measurement(f"{name}, mean q", "ours", conversation, seed, float(q[in_bin].mean())))
            measurements.append(
                make_measurement(f"{name}, left-out raters", "ours", conversation, seed, float(preferred[in_bin].mean()))
            )
    return measurements


def measure_q_growth(
    counts: Sequence[int], parameters: ConsensusParameters, *, agreeing_share: float = 1.0, num_sides: int = 2
) -> list[ConsensusPair]:
    """Return the pair (a, b) for each count of comparisons by as many people, of whom `agreeing_share` prefer a.

    The people alternate between two sides: they also disagree by side on twenty other pairs, with a fifth of these answers
    flipped. With `num_sides` = 1, only people of the first side compare a with b. Every rater's first act counts.
    """
    open_to_all = ConsensusParameters(
        axis=parameters.axis,
        prediction=parameters.prediction,
        status=parameters.status,
        pairs=parameters.pairs,
        defences=DefenceParameters(standing_acts=0),
    )
    pairs = []
    is_flipped = np.random.default_rng(0).random((max(40, 2 * max(counts, default=0)), 20)) < 0.2
    for count in counts:
        raters = [f"u{k}" for k in range(max(40, 2 * count))]
        background: list[FeedbackEvent] = [
            Comparison(
                id=f"b{u:04d}{k:02d}",
                created_utc=START_UTC + timedelta(seconds=k),
                actor=actor,
                left=f"x{k}",
                right=f"y{k}",
                outcome="left" if bool(u % 2) ^ bool(is_flipped[u, k]) else "right",
            )
            for u, actor in enumerate(raters)
            for k in range(20)
        ]
        comparing_raters = [raters[2 * k] if num_sides == 1 else raters[k] for k in range(count)]
        prefers_b = [
            int((k // num_sides + 1) * (1.0 - agreeing_share)) > int((k // num_sides) * (1.0 - agreeing_share))
            for k in range(count)
        ]
        comparisons: list[FeedbackEvent] = [
            Comparison(
                id=f"c{k:04d}",
                created_utc=START_UTC + timedelta(days=1, seconds=k),
                actor=rater,
                left="a",
                right="b",
                outcome="right" if is_against else "left",
            )
            for k, (rater, is_against) in enumerate(zip(comparing_raters, prefers_b, strict=True))
        ]
        snapshot = run_consensus([*background, *comparisons], open_to_all).snapshot
        pairs.append(next(pair for pair in snapshot.pairs if {pair.better, pair.worse} == {"a", "b"}))
    return pairs
