"""Is there a line along which raters divide, or is what looks like one only chance?

Two measures. `five_fold_gain` asks whether a factor predicts left-out ratings better than leanings alone. `division_test` asks
whether raters deviate together more than after dealing each item's ratings anew among its raters, which keeps what everybody
thinks of each item and destroys only that (parallel analysis by permutation: Horn 1965; Buja and Eyuboglu 1992). It looks at the
leading direction of the residuals, which sees one clear line, and at how much all pairs of raters deviate together, which sees a
division that is spread over several; either is enough. The second measure decides: the first needs many ratings to see a division
that the second sees at once.

Random numbers come from the position of a rating in the log, so that names change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from yearling.feedback.exact_arithmetic import Floats, exact_sum, pseudo_random_symmetric, pseudo_random_uint64, round_to_grid
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit_rater_model

if TYPE_CHECKING:
    from scipy import sparse

_MAX_DENSE_CELLS = 200_000

GAIN_FIT_PARAMETERS = FitParameters(factors=1, rater_penalty=4.0, item_penalty=2.0, factor_penalty=3.0, rounds=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionParameters:
    """`deals` random tables; a division is seen at `threshold` standard deviations above their mean."""

    deals: int = 20
    threshold: float = 3.0
    power_rounds: int = 10
    most_pairs: int = 3_000_000
    """Beyond so many pairs of ratings of one item the leading direction alone is looked at: there it sees enough."""
    penalty: float = 2.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """`strength` is the residuals' leading singular value, `chance` its mean in random tables. `distance` is how many spreads the
    residuals lie above random ones, by that value or by what all pairs of raters share, whichever tells more."""

    seen: bool
    strength: float
    chance: float
    distance: float


def detect_division(ratings: SparseRatings, p: DivisionParameters | None = None) -> Division:
    """Whether the residuals beyond leanings share a direction."""
    p = p or DivisionParameters()
    if ratings.size < 4:
        return Division(seen=False, strength=0.0, chance=0.0, distance=0.0)
    found = _residual_strengths(ratings, p)
    dealt = [_residual_strengths(shuffle_within_items(ratings, p.seed + k), p) for k in range(p.deals)]
    chances = [sum(one[k] for one in dealt) / len(dealt) for k in range(len(found))]
    distance = max(_standardised_distance(found[k], chances[k], [one[k] for one in dealt]) for k in range(len(found)))
    return Division(seen=distance >= p.threshold, strength=found[0], chance=chances[0], distance=distance)


def _standardised_distance(strength: float, chance: float, dealt: Sequence[float]) -> float:
    spread = float(np.sqrt(sum((one - chance) ** 2 for one in dealt) / len(dealt)))
    # A table too small to be dealt in different ways has no spread: nothing can be said, so nothing is seen.
    return (strength - chance) / spread if spread > 1e-6 else 0.0


def shuffle_within_items(ratings: SparseRatings, seed: int) -> SparseRatings:
    """Each item's ratings dealt anew among its raters."""
    lots = pseudo_random_uint64(ratings.size, seed) >> np.uint64(32)
    drawn = np.argsort((ratings.items.astype(np.uint64) << np.uint64(32)) | lots, kind="stable")
    place = np.argsort(ratings.items, kind="stable")
    values = ratings.values.copy()
    values[place] = ratings.values[drawn]
    return replace(ratings, values=values)


def _residual_strengths(ratings: SparseRatings, p: DivisionParameters) -> tuple[float, ...]:
    """Of the residuals beyond leanings: the leading singular value and, unless the table is large, what pairs of raters share."""
    from scipy import sparse  # late, as in model.py

    biases = fit_rater_model(ratings, FitParameters(factors=0, rater_penalty=p.penalty, item_penalty=p.penalty))
    expected = biases.level + biases.rater_bias[ratings.raters] + biases.item_bias[ratings.items]
    residuals = round_to_grid(ratings.values - expected)
    largest = float(np.max(np.abs(residuals), initial=0.0))
    shape = (ratings.num_raters, ratings.num_items)
    table = sparse.csr_matrix((_round_to_half_grid(residuals), (ratings.raters, ratings.items)), shape=shape)
    leading = largest * _leading_singular_value(table, p)
    work = int(np.sum(np.bincount(ratings.items, minlength=1).astype(np.int64) ** 2))
    return (leading, largest * largest * _shared_deviation_norm(table)) if work <= p.most_pairs else (leading,)


def _leading_singular_value(table: sparse.csr_matrix, p: DivisionParameters) -> float:
    """Leading singular value by power iteration, from below; all sums exact."""
    back = table.T
    x = _round_to_half_grid(pseudo_random_symmetric(table.shape[1], p.seed + 1))
    size = 0.0
    for _ in range(p.power_rounds):
        z = _round_to_half_grid(table @ x)
        x = back @ z
        size = float(np.max(np.abs(x), initial=0.0))
        if size == 0.0:
            return 0.0
        x = _round_to_half_grid(x)
    image = table @ x
    return float(np.sqrt(exact_sum(image * image) / max(exact_sum(x * x), 2.0**-26)))


def _shared_deviation_norm(table: sparse.csr_matrix) -> float:
    """Frobenius norm of the products of every two different raters' residuals; all sums exact."""
    if table.shape[0] * table.shape[1] <= _MAX_DENSE_CELLS:  # quicker for a small table, and exact all the same
        dense = table.toarray()
        products = dense @ dense.T
        apart = products[~np.eye(len(products), dtype=np.bool_)]
    else:
        sparse_products = (table @ table.T).tocoo()
        apart = sparse_products.data[sparse_products.row != sparse_products.col]
    largest = float(np.max(np.abs(apart), initial=0.0))
    return largest * float(np.sqrt(exact_sum((apart / largest) ** 2))) if largest > 0.0 else 0.0


def _round_to_half_grid(x: Floats) -> Floats:
    """`x` scaled to at most 1 in size, on multiples of 2**-13: products of two such numbers are on the fine grid."""
    largest = float(np.max(np.abs(x), initial=0.0))
    return np.rint(x / largest * 2.0**13) / 2.0**13 if largest > 0.0 else x


def cross_validated_gain(ratings: SparseRatings, p: FitParameters = GAIN_FIT_PARAMETERS, folds: int = 5) -> float:
    """Share of the left-out squared error of leanings that one factor removes; negative when it adds error."""
    if ratings.size < 2 * folds:
        return 0.0
    fold = pseudo_random_uint64(ratings.size, p.seed + 5) % np.uint64(folds)
    without = with_factor = 0.0
    for k in range(folds):
        left_out = fold == k
        raters, items, truth = (x[left_out] for x in (ratings.raters, ratings.items, ratings.values))
        known = ratings.select(~left_out)
        for factors in (0, p.factors):
            error = truth - fit_rater_model(known, replace(p, factors=factors)).predict(
                raters.astype(np.int64), items.astype(np.int64)
            )
            if factors:
                with_factor += exact_sum(error * error)
            else:
                without += exact_sum(error * error)
    return 1.0 - with_factor / without if without > 0.0 else 0.0
