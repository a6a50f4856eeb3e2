"""Is there a line along which raters divide, or is what looks like one only chance?

Two measures. `five_fold_gain` asks whether a factor predicts left-out ratings better than leanings alone. `division_test` asks
whether the leading direction of the residuals is stronger than after dealing each item's ratings anew among its raters, which
keeps what everybody thinks of each item and destroys only that people deviate together (parallel analysis by permutation: Horn
1965; Buja and Eyuboglu 1992). The second decides: the first needs many ratings to see a division that the second sees at once.

Random numbers come from the position of a rating in the log, so that names change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from yearling.feedback.exact import Floats, exact_sum, on_grid, scatter, symmetric_start
from yearling.feedback.model import FitParameters, Ratings, fit

if TYPE_CHECKING:
    from scipy import sparse

GAIN_FIT = FitParameters(factors=1, rater_penalty=4.0, item_penalty=2.0, factor_penalty=3.0, rounds=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionParameters:
    """`deals` random tables; a division is seen at `threshold` standard deviations above their mean."""

    deals: int = 20
    threshold: float = 3.0
    power_rounds: int = 10
    penalty: float = 2.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """`strength` is the residuals' leading singular value, `chance` its mean in random tables, `distance` in spreads."""

    seen: bool
    strength: float
    chance: float
    distance: float


def division_test(ratings: Ratings, p: DivisionParameters | None = None) -> Division:
    """Whether the residuals beyond leanings share a direction."""
    p = p or DivisionParameters()
    if ratings.size < 4:
        return Division(seen=False, strength=0.0, chance=0.0, distance=0.0)
    strength = _strength(ratings, p)
    chances = [_strength(deal(ratings, p.seed + k), p) for k in range(p.deals)]
    chance = sum(chances) / len(chances)
    spread = float(np.sqrt(sum((c - chance) ** 2 for c in chances) / len(chances)))
    # A table too small to be dealt in different ways has no spread: nothing can be said, so nothing is seen.
    distance = (strength - chance) / spread if spread > 1e-6 else 0.0
    return Division(seen=distance >= p.threshold, strength=strength, chance=chance, distance=distance)


def deal(ratings: Ratings, seed: int) -> Ratings:
    """Each item's ratings dealt anew among its raters."""
    lots = scatter(ratings.size, seed) >> np.uint64(32)
    drawn = np.argsort((ratings.items.astype(np.uint64) << np.uint64(32)) | lots, kind="stable")
    place = np.argsort(ratings.items, kind="stable")
    values = ratings.values.copy()
    values[place] = ratings.values[drawn]
    return replace(ratings, values=values)


def _strength(ratings: Ratings, p: DivisionParameters) -> float:
    from scipy import sparse  # late, as in model.py

    biases = fit(ratings, FitParameters(factors=0, rater_penalty=p.penalty, item_penalty=p.penalty))
    expected = biases.level + biases.rater_bias[ratings.raters] + biases.item_bias[ratings.items]
    shape = (ratings.num_raters, ratings.num_items)
    return _leading(sparse.csr_matrix((on_grid(ratings.values - expected), (ratings.raters, ratings.items)), shape=shape), p)


def _leading(residuals: sparse.csr_matrix, p: DivisionParameters) -> float:
    """Leading singular value by power iteration, from below; all sums exact."""
    from scipy import sparse

    largest = float(np.max(np.abs(residuals.data), initial=0.0))
    table = sparse.csr_matrix(
        (_half_grid(residuals.data), residuals.indices, residuals.indptr), shape=residuals.shape, copy=False
    )
    back = table.T
    x = _half_grid(symmetric_start(table.shape[1], p.seed + 1))
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
