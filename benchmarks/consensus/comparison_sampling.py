"""Samples raters and comparisons from Polis conversations, with the left-out raters as an independent reference.

Votes become comparisons: of two items that a rater rated differently, the rater prefers the one with the higher rating. This file
is independent of our model.

Legend: U raters, N items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.consensus.polis import GroupOpinions, PolisConversation, find_two_groups, group_opinions, sample_raters
from yearling.feedback.exact_arithmetic import Ints, Mask
from yearling.feedback.pairs import ComparisonArrays
from yearling.feedback.rater_model import WEIGHT_STEPS, SparseRatings

MIN_RATERS_PER_GROUP = 20
"""An item has a reference if this many left-out members of each group saw it. With fewer, a share means little."""

MIN_LEFT_OUT_RATERS = 50
MIN_REFERENCE_ITEMS = 20
"""Conversations with fewer left-out raters or fewer items with a reference are skipped."""


def select_rater_votes(conversation: PolisConversation, raters: Mask) -> SparseRatings:
    """Return the votes of `raters`, renumbered."""
    number = np.cumsum(raters) - 1
    selected = raters[conversation.raters]
    rater_numbers = number[conversation.raters[selected]].astype(np.int32)
    return SparseRatings(
        rater_numbers, conversation.items[selected], conversation.values[selected], int(raters.sum()), conversation.num_items
    )


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonSample:
    """Comparisons by a sample of raters, and what the left-out raters of the same conversation think."""

    comparisons: ComparisonArrays
    num_raters: int
    left_out_raters: Mask
    groups: Ints
    """(U,) Groups of the left-out raters, −1 for others."""
    reference: GroupOpinions
    item_mask: Mask
    """(N,) Items with a reference."""
    generator: np.random.Generator

    def sample_pairs(self, num_pairs: int) -> tuple[Ints, Ints]:
        """Return up to `num_pairs` random pairs of different items with a reference."""
        items = np.flatnonzero(self.item_mask)
        a, b = (items[self.generator.integers(0, len(items), num_pairs)] for _ in range(2))
        return a[a != b], b[a != b]


def sample_conversation(
    conversation: PolisConversation, seed: int, num_raters: int, comparisons_per_rater: int
) -> ComparisonSample | None:
    """Sample raters and comparisons; None if too few raters or items are left for a reference."""
    sample, left_out = sample_raters(conversation, num_raters, seed)
    if int(left_out.sum()) < MIN_LEFT_OUT_RATERS:
        return None
    groups = find_two_groups(conversation, left_out)
    reference = group_opinions(conversation, left_out, groups)
    item_mask = reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
    if int(item_mask.sum()) < MIN_REFERENCE_ITEMS:
        return None
    generator = np.random.default_rng([seed, 2])
    comparisons = sample_comparisons(select_rater_votes(conversation, sample), item_mask, comparisons_per_rater, generator)
    return ComparisonSample(comparisons, int(sample.sum()), left_out, groups, reference, item_mask, generator)


def sample_comparisons(
    ratings: SparseRatings, item_mask: Mask, comparisons_per_rater: int, generator: np.random.Generator
) -> ComparisonArrays:
    """Return up to `comparisons_per_rater` random comparisons by each rater, of two items that this rater rated differently."""
    rows = []
    for rater in range(ratings.num_raters):
        entries = np.flatnonzero((ratings.raters == rater) & item_mask[ratings.items])
        if len(entries) < 2:
            continue
        pairs = entries[generator.integers(0, len(entries), (800, 2))]
        pairs = pairs[ratings.values[pairs[:, 0]] > ratings.values[pairs[:, 1]]][:comparisons_per_rater]
        rows += [(rater, int(ratings.items[x]), int(ratings.items[y])) for x, y in pairs]
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return ComparisonArrays(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), np.ones(len(table)))


def win_shares(comparisons: ComparisonArrays, num_raters: int, num_items: int) -> SparseRatings:
    """Return comparisons as ratings: each rater's share of comparisons won by each item, in eighths."""
    key = np.concatenate([comparisons.raters.astype(np.int64) * num_items + x for x in (comparisons.winners, comparisons.losers)])
    keys, key_indices = np.unique(key, return_inverse=True)
    share = np.bincount(key_indices, np.concatenate([comparisons.wins, 1.0 - comparisons.wins])) / np.bincount(key_indices)
    return SparseRatings(
        (keys // num_items).astype(np.int32),
        (keys % num_items).astype(np.int32),
        np.rint(share * WEIGHT_STEPS) / WEIGHT_STEPS,
        num_raters,
        num_items,
    )
