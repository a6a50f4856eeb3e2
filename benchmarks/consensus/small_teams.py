"""Measures the labels from N random raters against the left-out raters of the same conversation, for small and large N.

`blend` are the labels of the consensus; `succession` is Laplace's rule of succession, (a + 1) / (n + 2). Both see the same
ratings.

Legend: N items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from benchmarks.consensus.comparison_sampling import (
    MIN_LEFT_OUT_RATERS,
    MIN_RATERS_PER_GROUP,
    MIN_REFERENCE_ITEMS,
    select_rater_votes,
)
from benchmarks.consensus.metrics import Measurement, auc, judge_table, make_measurement, table_from_ratings
from benchmarks.consensus.polis import PolisConversation, find_two_groups, group_opinions, sample_raters
from yearling.feedback.exact_arithmetic import Floats, Ints
from yearling.feedback.item_labels import ItemLabels
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings

TEAM_SIZES = (3, 5, 8, 12, 20, 50, 100, 200)
TRAP_GROUP, TRAP_POOLED = 0.4, 0.55
"""A trap is an item that at least `TRAP_POOLED` of the left-out raters approve of, but less than `TRAP_GROUP` of one group."""

_Q_BINS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)


def measure_team_labels(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    sizes: Sequence[int] = TEAM_SIZES,
) -> list[Measurement]:
    """Measure gain, coverage, correctness, traps and calibration of the labels of `sizes` random raters.

    The gain of an answer is label × weight × (2 · share of the left-out raters who approve − 1): what a lesson with this weight
    is worth to the people who were not asked. It is the mean over all items that somebody in the sample rated. `right` is the
    share of labels with which most left-out raters agree, `traps by weight` the share of traps in the weight of the labels
    'good', and `trap AUC` how well the weaker side's estimate tells popular items that both groups like from traps.
    """
    out: list[Measurement] = []
    for c in conversations:
        for size in sizes:
            for seed in seeds:
                sample, others = sample_raters(c, size, seed)
                if int(others.sum()) < MIN_LEFT_OUT_RATERS:
                    continue
                reference = group_opinions(c, others, find_two_groups(c, others))
                ratings = select_rater_votes(c, sample)
                seen = np.bincount(ratings.items, minlength=c.num_items) > 0
                use = seen & reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
                if int(use.sum()) < MIN_REFERENCE_ITEMS:
                    continue
                approval, weakest = reference.pooled_approval()[use], reference.weakest_approval()[use]
                is_trap = (approval >= TRAP_POOLED) & (weakest < TRAP_GROUP)
                blend = judge_table(table_from_ratings(ratings, p), p).labels
                for method, (labels, q) in _label_by_method(ratings, blend).items():
                    values = _measure_labels(labels[use], q[use], approval, is_trap)
                    out += [make_measurement(f"{name}, N = {size}", method, c, seed, x) for name, x in values.items()]
                estimates = blend.estimates.min(axis=0)[use]
                popular = approval >= TRAP_POOLED
                out.append(
                    make_measurement(f"team trap AUC, N = {size}", "blend", c, seed, auc(estimates[popular], ~is_trap[popular]))
                )
    return [m for m in out if not np.isnan(m.value)]


def _label_by_method(ratings: SparseRatings, blend: ItemLabels) -> dict[str, tuple[Ints, Floats]]:
    """Return (labels, q), each (N,), of every method."""
    counts = np.bincount(ratings.items, minlength=ratings.num_items)
    share = (np.bincount(ratings.items, ratings.values, ratings.num_items) + 1.0) / (counts + 2.0)
    return {
        "blend": (blend.labels, blend.q),
        "succession": (np.sign(share - 0.5).astype(np.int64), np.maximum(share, 1.0 - share)),
    }


def _measure_labels(labels: Ints, q: Floats, approval: Floats, is_trap: np.ndarray) -> dict[str, float]:
    weights = np.where(labels != 0, 2.0 * q - 1.0, 0.0)
    decided = labels != 0
    agreed = np.where(labels > 0, approval, 1.0 - approval)
    good_weight = float(weights[labels > 0].sum())
    values = {
        "team gain": float(np.mean(weights * (2.0 * agreed - 1.0))),
        "team labelled": float(np.mean(decided)),
        "team right": float(np.mean(agreed[decided] > 0.5)) if decided.any() else float("nan"),
        "team traps by weight": float(weights[(labels > 0) & is_trap].sum()) / good_weight if good_weight else float("nan"),
        "team bias of q": float(np.mean(q[decided] - agreed[decided])) if decided.any() else float("nan"),
    }
    for low, high in pairwise(_Q_BINS):
        in_bin = decided & (q >= low) & (q < high)
        if in_bin.any():
            values[f"team q {low:.2f}–{high:.2f}, left-out raters"] = float(np.mean(agreed[in_bin]))
    return values
