"""How much of a division the ratings show, as a number from 0 to 1 without random numbers.

The measure compares the joint deviations of all pairs of raters with their expectation when each item's ratings are dealt to its
raters anew, in closed form. Where the yes or no of `division.detect_division` would make a cliff, one more rating changes this
number by a little only. `item_labels` uses it.

Legend: R ratings, U raters, N items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from yearling.feedback.exact_arithmetic import (
    Floats,
    Ints,
    exact_mean,
    exact_sum,
    pseudo_random_uint64,
    round_to_grid,
)
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit_rater_model

if TYPE_CHECKING:
    from scipy import sparse

_RESIDUAL_STEPS = 2.0**13
"""Residuals are multiples of 2**-13, so that their products lie on the grid of `exact_arithmetic`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleDivisionParameters:
    """The half points of the three factors of the degree, and the model whose residuals are compared."""

    half_distance: float = 3.0
    """Distance from chance, in standard deviations, at which its factor is one half."""
    half_correlation: float = 0.004
    """Mean squared correlation between raters beyond chance at which its factor is one half."""
    half_people: float = 20.0
    """Effective number of people at which its factor is one half. The factor rises with the fourth power, so that a dozen people
    decide together and a hundred by sides."""
    penalty: float = 0.15
    """Penalty of the biases of raters and items whose residuals are compared."""
    max_pairs: int = 20_000_000
    """With more pairs of ratings of one item than this, raters drawn by lot stand for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleDivision:
    """What pairs of raters share beyond chance, and the degree of division that follows.

    `distance` is in standard deviations of the joint deviation under chance; `correlation` is the mean squared correlation
    between two raters beyond chance; `degree` in [0, 1) is the share with which the two sides decide in place of everybody
    together.
    """

    distance: float
    correlation: float
    degree: float


def measure_visible_division(ratings: SparseRatings, p: VisibleDivisionParameters | None = None) -> VisibleDivision:
    """Return the visible division. No ratings, or no two raters of one item, show none.

    A rater's weight below 1 leaves that share of the rater's entries, so that a few very active raters show no division.
    """
    p = p or VisibleDivisionParameters()
    num_people = effective_number(np.bincount(ratings.raters))
    ratings = _limit_pairs(_limit_active_raters(ratings), p.max_pairs)
    if not ratings.size:
        return VisibleDivision(distance=0.0, correlation=0.0, degree=0.0)
    biases = fit_rater_model(ratings, FitParameters(factors=0, rater_penalty=p.penalty, item_penalty=p.penalty))
    expected = biases.level + biases.rater_bias[ratings.raters] + biases.item_bias[ratings.items]
    residuals = np.rint((ratings.values - expected) * _RESIDUAL_STEPS) / _RESIDUAL_STEPS
    distance, correlation = _compare_with_chance(ratings, residuals, p.penalty)
    above, shared = max(distance, 0.0), max(correlation, 0.0)
    degree = (
        _saturate(above, p.half_distance)
        * _saturate(shared, p.half_correlation)
        * _saturate(num_people * num_people, p.half_people * p.half_people)
    )
    return VisibleDivision(distance=distance, correlation=correlation, degree=degree)


def effective_number(counts: Ints) -> float:
    """Return the effective number of people with these numbers of ratings, (Σ n)² / Σ n²: as many as there are if all rate alike.

    Somebody with one rating does not count like somebody with a hundred.
    """
    total, squares = float(counts.sum()), float(np.sum(counts.astype(np.float64) ** 2))
    return total * total / squares if squares else 0.0


def _saturate(x: float, half: float) -> float:
    return x * x / (x * x + half * half)


def _limit_active_raters(ratings: SparseRatings) -> SparseRatings:
    """Return the ratings in which a weight is the share of a rater's entries, drawn by lot, that remain."""
    if ratings.weights is None:
        return ratings
    limited = ratings.select(_lots(ratings.size) < ratings.weights)
    return replace(limited, weights=None)


def _lots(count: int) -> Floats:
    return (pseudo_random_uint64(count, 0) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _limit_pairs(ratings: SparseRatings, max_pairs: int) -> SparseRatings:
    """Return the ratings of as many raters, drawn by lot, as keep the number of pairs of ratings of one item below the limit."""
    num_pairs = int(np.sum(np.bincount(ratings.items, minlength=1).astype(np.int64) ** 2))
    if num_pairs <= max_pairs:
        return ratings
    share = float(np.sqrt(max_pairs / num_pairs))
    return ratings.select((_lots(ratings.num_raters) < share)[ratings.raters])


def _compare_with_chance(ratings: SparseRatings, residuals: Floats, penalty: float) -> tuple[float, float]:
    """Return the distance of the joint deviation from its mean under chance in standard deviations, and the mean squared
    correlation beyond chance.

    The joint deviation is Σ over u ≠ v of (Σ_i ρ_ui ρ_vi)². If each item's residuals are dealt to its raters anew, the product of
    two of them has a mean m_i and a variance v_i, both known from the sums of their powers, and the products of different items
    are independent. The mean of the joint deviation is then Σ (Σ_i v_i + (Σ_i m_i)²), and its variance is close to
    4 Σ (Σ_i v_i)², as for the squares of normal variables.

    The mean is raised by `_shared_by_centring`, which no dealing within items shows.
    """
    counts = np.bincount(ratings.items, minlength=ratings.num_items).astype(np.float64)
    squared = residuals * residuals
    sums = [np.bincount(ratings.items, x, ratings.num_items) for x in (residuals, squared, round_to_grid(squared * squared))]
    pairs = counts * (counts - 1.0)
    total_pairs = float(np.sum(pairs))
    if total_pairs == 0.0:
        return 0.0, 0.0
    divisor = np.maximum(pairs, 1.0)
    mean = round_to_grid(np.where(pairs > 0.0, (sums[0] * sums[0] - sums[1]) / divisor, 0.0))
    mean_square = np.where(pairs > 0.0, (sums[1] * sums[1] - sums[2]) / divisor, 0.0)
    variance = round_to_grid(np.maximum(mean_square - mean * mean, 0.0))
    ones = np.ones(ratings.size)
    common = _pair_products(ratings, ones, ones)
    joint = _sum_of_squares(_pair_products(ratings, residuals, residuals).data)
    # Shares of all pairs keep the sum within the range of exact sums, however many ratings there are.
    by_chance = total_pairs * exact_sum(pairs / total_pairs * variance) + _sum_of_squares(
        _pair_products(ratings, mean[ratings.items], ones).data
    )
    by_chance += _shared_by_centring(ratings, common, squared, penalty)
    spread = _sum_of_squares(_pair_products(ratings, variance[ratings.items], ones).data)
    distance = (joint - by_chance) / float(np.sqrt(4.0 * spread)) if spread > 1e-12 else 0.0
    scale = _sum_of_squares(common.data) * exact_mean(squared) ** 2
    return distance, (joint - by_chance) / scale if scale > 1e-12 else 0.0


def _shared_by_centring(ratings: SparseRatings, common: sparse.coo_matrix, squared: Floats, penalty: float) -> float:
    """Return what the joint deviation owes to the bias that is taken off each rater's ratings.

    It makes the residuals of a rater with n ratings sum to about zero: two of them have the covariance −κσ² with κ = (n + 2λ) /
    (n + λ)². The product sum of two raters over c common items then has c(c − 1)κ_uκ_vσ⁴ more variance. Without this term, a
    community that agrees but rates few answers each looks divided.
    """
    num_rated = np.bincount(ratings.raters, minlength=ratings.num_raters).astype(np.float64)
    coupling = np.where(num_rated > 0.0, (num_rated + 2.0 * penalty) / np.maximum(num_rated + penalty, 1.0) ** 2, 0.0)
    total = exact_sum(common.data * (common.data - 1.0) * coupling[common.row] * coupling[common.col])
    # A residual's variance is smaller than that of the rating by the share that its own bias explains.
    variance = exact_mean(squared) / max(1.0 - exact_mean(coupling[ratings.raters]), 0.1)
    return total * variance * variance


def _pair_products(ratings: SparseRatings, left: Floats, right: Floats) -> sparse.coo_matrix:
    """Return Σ_i left_ui · right_vi of every two different raters u and v with a common item.

    Products of entries lie on the grid, so that the sums are exact.
    """
    products = (_rater_table(ratings, left) @ _rater_table(ratings, right).T).tocoo()
    products.setdiag(0.0)
    products.eliminate_zeros()
    return products


def _sum_of_squares(values: Floats) -> float:
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest * largest * exact_sum((values / largest) ** 2) if largest > 0.0 else 0.0


def _rater_table(ratings: SparseRatings, values: Floats) -> sparse.csr_matrix:
    from scipy import sparse  # late, as in rater_model.py

    return sparse.csr_matrix((values, (ratings.raters, ratings.items)), shape=(ratings.num_raters, ratings.num_items))
