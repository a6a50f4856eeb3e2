"""Tests whether raters divide along a line, or whether chance explains what looks like one.

The test asks whether raters deviate together more than after shuffling each item's ratings among its raters. Shuffling keeps the
ratings of each item and destroys only the joint deviations (parallel analysis by permutation: Horn 1965; Buja and Eyuboglu 1992).
The test uses two statistics, and either is enough: the leading direction of the residuals, which shows one clear line, and the
joint deviation of all pairs of raters, which shows a division over several lines. It departs from cross-validation, which needs
many more ratings to see a division (`benchmarks/consensus/cross_validation.py` measures it).

Random numbers depend on the position of a rating in the log, so names change nothing.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionParameters:
    """`deals` is the number of shuffled tables. A division is seen from `threshold` standard deviations above their mean."""

    deals: int = 20
    threshold: float = 3.0
    power_rounds: int = 10
    most_pairs: int = 3_000_000
    """With more pairs of ratings of one item than this, the test uses the leading direction only, which is then enough."""
    penalty: float = 2.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """`strength` is the leading singular value of the residuals, `chance` its mean in shuffled tables.

    `distance` is the distance from the shuffled tables in standard deviations, by the statistic for which it is larger. `seen` is
    whether it reaches the threshold.
    """

    seen: bool
    strength: float
    chance: float
    distance: float


def detect_division(ratings: SparseRatings, p: DivisionParameters | None = None) -> Division:
    """Test whether the residuals beyond the biases of raters and items share a direction."""
    p = p or DivisionParameters()
    if ratings.size < 4:
        return Division(seen=False, strength=0.0, chance=0.0, distance=0.0)
    strengths = _residual_strengths(ratings, p)
    shuffled = [_residual_strengths(shuffle_within_items(ratings, p.seed + k), p) for k in range(p.deals)]
    chances = [sum(table[k] for table in shuffled) / len(shuffled) for k in range(len(strengths))]
    distance = max(
        _standardised_distance(strengths[k], chances[k], [table[k] for table in shuffled]) for k in range(len(strengths))
    )
    return Division(seen=distance >= p.threshold, strength=strengths[0], chance=chances[0], distance=distance)


def _standardised_distance(strength: float, chance: float, shuffled: Sequence[float]) -> float:
    spread = float(np.sqrt(sum((value - chance) ** 2 for value in shuffled) / len(shuffled)))
    # A table too small to be shuffled in different ways has no spread, and shows no division.
    return (strength - chance) / spread if spread > 1e-6 else 0.0


def shuffle_within_items(ratings: SparseRatings, seed: int) -> SparseRatings:
    """Return the ratings with each item's values shuffled among its raters, deterministically by `seed`."""
    lots = pseudo_random_uint64(ratings.size, seed) >> np.uint64(32)
    shuffled_order = np.argsort((ratings.items.astype(np.uint64) << np.uint64(32)) | lots, kind="stable")
    order = np.argsort(ratings.items, kind="stable")
    values = ratings.values.copy()
    values[order] = ratings.values[shuffled_order]
    return replace(ratings, values=values)


def _residual_strengths(ratings: SparseRatings, p: DivisionParameters) -> tuple[float, ...]:
    """Return the leading singular value of the residuals and, unless the table is large, the joint deviation of pairs of
    raters."""
    from scipy import sparse  # late, as in rater_model.py

    biases = fit_rater_model(ratings, FitParameters(factors=0, rater_penalty=p.penalty, item_penalty=p.penalty))
    expected = biases.level + biases.rater_bias[ratings.raters] + biases.item_bias[ratings.items]
    residuals = round_to_grid(ratings.values - expected)
    largest = float(np.max(np.abs(residuals), initial=0.0))
    shape = (ratings.num_raters, ratings.num_items)
    table = sparse.csr_matrix((_round_to_half_grid(residuals), (ratings.raters, ratings.items)), shape=shape)
    leading = largest * _leading_singular_value(table, p)
    num_pairs = int(np.sum(np.bincount(ratings.items, minlength=1).astype(np.int64) ** 2))
    return (leading, largest * largest * _shared_deviation_norm(table)) if num_pairs <= p.most_pairs else (leading,)


def _leading_singular_value(table: sparse.csr_matrix, p: DivisionParameters) -> float:
    """Return the leading singular value by power iteration, which approaches it from below. All sums are exact."""
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
    """Return the Frobenius norm of the products of residuals of every two different raters. All sums are exact."""
    if table.shape[0] * table.shape[1] <= _MAX_DENSE_CELLS:  # faster for a small table, and equally exact
        dense = table.toarray()
        products = dense @ dense.T
        off_diagonal = products[~np.eye(len(products), dtype=np.bool_)]
    else:
        sparse_products = (table @ table.T).tocoo()
        off_diagonal = sparse_products.data[sparse_products.row != sparse_products.col]
    largest = float(np.max(np.abs(off_diagonal), initial=0.0))
    return largest * float(np.sqrt(exact_sum((off_diagonal / largest) ** 2))) if largest > 0.0 else 0.0


def _round_to_half_grid(x: Floats) -> Floats:
    """Scale `x` to a maximum of 1 and round to multiples of 2**-13, so that products of two numbers lie on the fine grid."""
    largest = float(np.max(np.abs(x), initial=0.0))
    return np.rint(x / largest * 2.0**13) / 2.0**13 if largest > 0.0 else x
