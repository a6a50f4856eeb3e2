"""Is there a line along which raters divide, or is what looks like one only chance?

Two measures. `five_fold_gain` asks whether a factor predicts left-out ratings better than leanings alone. `division_test` asks
whether the leading direction of the residuals is stronger than after flipping the signs of single residuals at random, which
keeps how much everybody deviates on everything and destroys only that they deviate together (parallel analysis by sign flips:
Hong, Sheng and Dobriban 2020, arXiv 2012.02985). The second decides: the first needs many ratings to see a division that the
second sees at once. Departs from the paper in calling a division by the distance from the flipped tables in standard deviations.

Random numbers come from the position of a rating in the log, so that names change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from yearling.feedback.exact import Floats, exact_sum, mix, on_grid, scatter, symmetric_start
from yearling.feedback.model import FitParameters, Ratings, fit

GAIN_FIT = FitParameters(factors=1, rater_penalty=4.0, item_penalty=2.0, factor_penalty=3.0, rounds=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionParameters:
    """`flips` tables with random signs; a division is seen at `threshold` standard deviations above them."""

    flips: int = 40
    threshold: float = 4.0
    power_rounds: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """`strength` is the leading singular value of the residuals, `chance` its mean under random signs, `distance` in spreads."""

    seen: bool
    strength: float
    chance: float
    distance: float


def division_test(ratings: Ratings, p: DivisionParameters | None = None) -> Division:
    """Whether the residuals beyond leanings share a direction."""
    p = p or DivisionParameters()
    residuals = _residuals(ratings)
    if ratings.size < 4 or not residuals.any():
        return Division(seen=False, strength=0.0, chance=0.0, distance=0.0)
    shape = (ratings.num_raters, ratings.num_items)
    index = sparse.csr_matrix((np.arange(ratings.size) + 1.0, (ratings.raters, ratings.items)), shape=shape)
    entry = index.data.astype(np.int64) - 1
    values = residuals[entry]
    bits = scatter(ratings.size, p.seed)[entry]
    strength = _leading(values, index, p)
    chances = []
    for flip in range(p.flips):
        if flip and flip % 64 == 0:
            bits = mix(bits)
        negative = (bits >> np.uint64(flip % 64)) & np.uint64(1)
        chances.append(_leading(np.where(negative == 1, -values, values), index, p))
    chance = sum(chances) / len(chances)
    spread = float(np.sqrt(sum((c - chance) ** 2 for c in chances) / len(chances)))
    # A table too small for its signs to matter has no spread: nothing can be said, so nothing is seen.
    distance = (strength - chance) / spread if spread > 1e-6 else 0.0
    return Division(seen=distance >= p.threshold, strength=strength, chance=chance, distance=distance)


def _residuals(ratings: Ratings) -> Floats:
    biases = fit(ratings, FitParameters(factors=0, rater_penalty=2.0, item_penalty=2.0))
    expected = biases.level + biases.rater_bias[ratings.raters] + biases.item_bias[ratings.items]
    # Damped by how much the rater and the item are rated, lest one busy row be taken for a direction.
    busy_rater = np.bincount(ratings.raters, minlength=ratings.num_raters)[ratings.raters]
    busy_item = np.bincount(ratings.items, minlength=ratings.num_items)[ratings.items]
    return on_grid((ratings.values - expected) / np.sqrt(np.sqrt(busy_rater * 1.0) * np.sqrt(busy_item * 1.0)))


def _leading(values: Floats, pattern: sparse.csr_matrix, p: DivisionParameters) -> float:
    """Leading singular value by power iteration, from below; all sums exact (values on a half-width grid)."""
    largest = float(np.max(np.abs(values), initial=0.0))
    table = sparse.csr_matrix((_half_grid(values), pattern.indices, pattern.indptr), shape=pattern.shape, copy=False)
    back = table.T
    x = np.rint(symmetric_start(pattern.shape[1], p.seed + 1) * 2.0**13) / 2.0**13
    size = 0.0
    for _ in range(p.power_rounds):
        z = _half_grid(table @ x)
        x = back @ z
        size = float(np.max(np.abs(x), initial=0.0))
        if size == 0.0:
            return 0.0
        x = _half_grid(x)
    image = table @ x
    return largest * float(np.sqrt(exact_sum(image * image) / max(exact_sum(x * x), 2.0**-26)))


def _half_grid(x: Floats) -> Floats:
    """`x` scaled to at most 1 in size, on multiples of 2**-13: products of two such numbers are on the fine grid."""
    largest = float(np.max(np.abs(x), initial=0.0))
    return np.rint(x / largest * 2.0**13) / 2.0**13 if largest > 0.0 else x


def five_fold_gain(ratings: Ratings, p: FitParameters = GAIN_FIT, folds: int = 5) -> float:
    """Share of the left-out squared error of leanings that one factor removes; negative when it adds error."""
    if ratings.size < 2 * folds:
        return 0.0
    fold = scatter(ratings.size, p.seed + 5) % np.uint64(folds)
    without = with_factor = 0.0
    for k in range(folds):
        left_out = fold == k
        raters, items, truth = (x[left_out] for x in (ratings.raters, ratings.items, ratings.values))
        known = ratings.only(~left_out)
        for factors in (0, p.factors):
            error = truth - fit(known, replace(p, factors=factors)).predict(raters.astype(np.int64), items.astype(np.int64))
            if factors:
                with_factor += exact_sum(error * error)
            else:
                without += exact_sum(error * error)
    return 1.0 - with_factor / without if without > 0.0 else 0.0
