"""Would it help to weigh raters by how well they can state the other side's view? An upper bound on Polis conversations.

There are no guesses in these data. A stand-in takes their place: a rater who *holds* what most of the other side holds can surely
state it, so the share of earlier items on which a rater's own vote agrees with the other side's majority is the rater's skill.
Weights follow that skill, the labels of later items come from the weighted votes by the rule of succession, and the raters who
were left out say which labels are right. `oracle` takes the skill from the left-out raters and from the later items themselves:
no guesses could say more about it.

The interval is Student's t over the conversations, of the difference between weighted and unweighted votes.

Run: python -m benchmarks.consensus.guess_weight FOLDER [--seeds 10]

Legend: R ratings, U raters, N items.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.consensus.comparison_sampling import (
    MIN_LEFT_OUT_RATERS,
    MIN_RATERS_PER_GROUP,
    MIN_REFERENCE_ITEMS,
    select_rater_votes,
)
from benchmarks.consensus.polis import (
    GroupOpinions,
    PolisConversation,
    find_two_groups,
    group_opinions,
    load_conversations,
    sample_raters,
)
from yearling.feedback.exact_arithmetic import Floats, Ints, Mask
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings
from yearling.feedback.rating_table import fit_models

TEAM_SIZES = (12, 20, 50, 100, 200)
MIN_SIDE_VOTES = 3
"""A side has a majority on an item if so many of its raters voted on it."""

_WEIGHT_POWER = 2.0
"""Weights grow with this power of the skill, so that the worst and the best raters differ about fivefold."""


def measure_guess_weights(
    conversations: Iterable[PolisConversation], seeds: Sequence[int], p: ConsensusParameters, sizes: Sequence[int] = TEAM_SIZES
) -> dict[tuple[int, str, str], dict[str, list[float]]]:
    """Return by (size, measure, method) and conversation the differences to unweighted votes, one for each seed."""
    differences: dict[tuple[int, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for c in conversations:
        for size in sizes:
            for seed in seeds:
                sample, others = sample_raters(c, size, seed)
                if int(others.sum()) < MIN_LEFT_OUT_RATERS:
                    continue
                groups = find_two_groups(c, others)
                reference = group_opinions(c, others, groups)
                ratings = select_rater_votes(c, sample)
                is_later = np.random.default_rng([seed, 11]).random(c.num_items) < 0.5
                seen = np.bincount(ratings.items, minlength=c.num_items) > 0
                use = seen & is_later & reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
                if int(use.sum()) < MIN_REFERENCE_ITEMS:
                    continue
                earlier = _select(ratings, ~is_later[ratings.items])
                sides = fit_models(earlier, p.axis, p.prediction).sides
                skills = {
                    "stand-in": _skill(earlier, sides, *_side_majorities(earlier, sides)),
                    "oracle": _oracle_skill(ratings, reference, is_later),
                }
                plain = _measure(ratings, np.ones(ratings.num_raters), use, reference)
                for method, skill in skills.items():
                    weights = skill**_WEIGHT_POWER
                    # The mean over votes, not over raters: otherwise every vote would weigh more, and every label with it.
                    weights /= np.mean(weights[ratings.raters])
                    for measure, value in _measure(ratings, weights, use, reference).items():
                        differences[size, measure, method][c.name].append(value - plain[measure])
    return differences


def _select(ratings: SparseRatings, keep: Mask) -> SparseRatings:
    return SparseRatings(ratings.raters[keep], ratings.items[keep], ratings.values[keep], ratings.num_raters, ratings.num_items)


def _side_majorities(ratings: SparseRatings, sides: np.ndarray) -> tuple[Ints, Ints]:
    """Return (N,) what most of side 0 and of side 1 think: 1, −1, or 0 where too few voted or they are even."""
    majorities = []
    for side in (0, 1):
        mine = sides[ratings.raters] == side
        count = np.bincount(ratings.items[mine], minlength=ratings.num_items)
        lean = np.bincount(ratings.items[mine], 2.0 * ratings.values[mine] - 1.0, ratings.num_items)
        majorities.append(np.where(count >= MIN_SIDE_VOTES, np.sign(lean), 0.0).astype(np.int64))
    return majorities[0], majorities[1]


def _skill(ratings: SparseRatings, sides: np.ndarray, first: Ints, second: Ints) -> Floats:
    """Return (U,) the share of a rater's votes that agree with the other side's majority, smoothed; ½ without a side."""
    side = sides[ratings.raters]
    other = np.where(side == 0, second[ratings.items], np.where(side == 1, first[ratings.items], 0))
    own = np.sign(2.0 * ratings.values - 1.0)
    counts = (other != 0) & (own != 0)
    hits = np.bincount(ratings.raters[counts], (other == own)[counts], ratings.num_raters)
    return np.asarray((hits + 1.0) / (np.bincount(ratings.raters[counts], minlength=ratings.num_raters) + 2.0))


def _oracle_skill(ratings: SparseRatings, reference: GroupOpinions, is_later: Mask) -> Floats:
    """Return (U,) how often a rater agrees with the left-out group that agrees with the rater less, on the later items."""
    majorities = np.where(
        reference.num_votes >= MIN_RATERS_PER_GROUP, np.sign(reference.smoothed_approval() - 0.5), 0.0
    )  # (2, N)
    own = np.sign(2.0 * ratings.values - 1.0)
    shares = []
    for majority in majorities:
        expected = np.where(is_later, majority, 0.0)[ratings.items]
        counts = (expected != 0) & (own != 0)
        hits = np.bincount(ratings.raters[counts], (expected == own)[counts], ratings.num_raters)
        shares.append((hits + 1.0) / (np.bincount(ratings.raters[counts], minlength=ratings.num_raters) + 2.0))
    return np.asarray(np.minimum(*shares))


def _measure(ratings: SparseRatings, weights: Floats, use: Mask, reference: GroupOpinions) -> dict[str, float]:
    """Return how the left-out raters see the labels from weighted votes, on the items `use` (N,)."""
    weight = weights[ratings.raters]
    total = np.bincount(ratings.items, weight, ratings.num_items)
    share = ((np.bincount(ratings.items, weight * ratings.values, ratings.num_items) + 1.0) / (total + 2.0))[use]
    approval, groups = reference.pooled_approval()[use], reference.smoothed_approval()[:, use]
    label, lesson_weight = np.sign(share - 0.5), np.abs(2.0 * share - 1.0)
    agreed = np.where(label > 0, approval, 1.0 - approval)
    weakest = np.where(label > 0, groups.min(axis=0), 1.0 - groups.max(axis=0))
    decided = label != 0
    return {
        "gain": float(np.mean(lesson_weight * (2.0 * agreed - 1.0) * decided)),
        "right": float(np.mean(agreed[decided] > 0.5)),
        "right for both groups": float(np.mean(weakest[decided] > 0.5)),
    }


def describe(differences: dict[tuple[int, str, str], dict[str, list[float]]]) -> str:
    """Return a table: the mean difference over conversations, with its 95 % interval."""
    lines = ["| N | measure | weights | difference to no weights | conversations |", "|---|---|---|---|---|"]
    for (size, measure, method), by_conversation in sorted(differences.items()):
        means = np.array([np.mean(values) for values in by_conversation.values()])
        half = float("nan")
        if len(means) > 1:
            half = float(stats.t.ppf(0.975, len(means) - 1) * np.std(means, ddof=1) / np.sqrt(len(means)))
        verdict = "helps" if means.mean() > half else "harms" if means.mean() < -half else "no difference seen"
        lines.append(f"| {size} | {measure} | {method} | {means.mean():+.4f} ± {half:.4f} ({verdict}) | {len(means)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with one folder for each Polis conversation")
    parser.add_argument("--seeds", type=int, default=10, help="number of samples of each size")
    arguments = parser.parse_args()
    conversations = load_conversations(arguments.folder)
    print(describe(measure_guess_weights(conversations, range(arguments.seeds), ConsensusParameters())))


if __name__ == "__main__":
    main()
