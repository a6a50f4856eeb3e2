"""The rater model: predicts a rating from a general level, a rater bias, an item bias, and a few axes of division.

`r̂_un = μ + i_u + i_n + f_u · f_n` with ratings 1 / 0.5 / 0, fitted by deterministic, sparse, full-batch alternating least
squares on `Σ w (r − r̂)² + λ_rater i_u² + λ_item i_n² + λ_factor (f_u² + f_n²)`; μ is not penalised. With one factor and
`PAPER_FIT`, this is the form of Wojcik et al. 2022 (arXiv 2210.15723, equation 1). It departs from X's published code in that the
penalties are sums over parameters instead of means, which would shrink μ too far. `PREDICTION_FIT` has three factors and stronger
penalties. It predicts better, and approvals are shrunk towards it; the paper form decides the sides.

Every sum over ratings is exact (see `exact_arithmetic`), so the result does not depend on order, threads or machine. This file
does not know who raters are or what items contain.

Legend: R ratings, U raters, N items, K factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yearling.errors import BadInput
from yearling.feedback.exact_arithmetic import Floats, Ints, exact_mean, exact_sum, pseudo_random_symmetric, round_to_grid

WEIGHT_STEPS = 8
"""Weights and win shares are multiples of 1/8, so that products with grid numbers stay exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitParameters:
    """Penalties and numbers of iterations of one fit. `rounds` counts alternations between raters and items."""

    factors: int = 1
    rater_penalty: float = 0.15
    item_penalty: float = 0.15
    factor_penalty: float = 0.03
    rounds: int = 25
    bias_rounds: int = 8
    start_rounds: int = 8
    seed: int = 0


PAPER_FIT = FitParameters()
AXIS_FIT = FitParameters(start_rounds=60)
"""The paper form as it finds the sides. Eight start rounds leave the axis of few raters dependent on the order of the log."""
PREDICTION_FIT = FitParameters(factors=3, rater_penalty=4.0, item_penalty=2.0, factor_penalty=3.0, rounds=15)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRatings:
    """A sparse table of ratings, with one entry for each (rater, item).

    `raters` and `items` (R,) are numbers below `num_raters` and `num_items`. `values` (R,) lie in [0, 1] and `weights` (R,) in
    (0, 1]; both are multiples of 1/8. Raises BadInput for other values.
    """

    raters: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    values: Floats
    num_raters: int
    num_items: int
    weights: Floats | None = None

    def __post_init__(self) -> None:
        if self.values.size and not (float(self.values.min()) >= 0.0 and float(self.values.max()) <= 1.0):
            raise BadInput("Ratings must be between 0 and 1.", advice="Map your scale to 0, 0.5 and 1.")
        for numbers in (self.values, self.weights):
            if numbers is not None and not bool(np.all(numbers * WEIGHT_STEPS == np.rint(numbers * WEIGHT_STEPS))):
                raise BadInput("Ratings and weights must be multiples of 1/8.", advice="Round them first.")

    @property
    def size(self) -> int:
        """Number of entries, R."""
        return int(self.values.size)

    def select(self, keep: npt.NDArray[np.bool_]) -> SparseRatings:
        """Return the entries where `keep` (R,) is true. Raters and items keep their numbers."""
        weights = None if self.weights is None else self.weights[keep]
        return SparseRatings(self.raters[keep], self.items[keep], self.values[keep], self.num_raters, self.num_items, weights)


@dataclass(frozen=True, slots=True, eq=False)
class RaterModel:
    """A fitted model: `rater_bias` (U,), `item_bias` (N,), `rater_factors` (U, K), `item_factors` (N, K).

    The sign of each factor is fixed: most raters have a positive value.
    """

    level: float
    rater_bias: Floats
    item_bias: Floats
    rater_factors: Floats
    item_factors: Floats
    parameters: FitParameters

    def predict(self, raters: Ints, items: Ints) -> Floats:
        """Return the predicted ratings of pairs (raters[i], items[i]), clipped to [0, 1]."""
        total = self.level + self.rater_bias[raters] + self.item_bias[items]
        for k in range(self.rater_factors.shape[1]):
            total = total + self.rater_factors[raters, k] * self.item_factors[items, k]
        return np.clip(total, 0.0, 1.0)

    def predict_item_means(self, members: npt.NDArray[np.bool_]) -> Floats:
        """Return (N,) predicted mean ratings by the raters in `members` (U,), clipped to [0, 1]; by all raters if none is in
        it."""
        group = members if bool(members.any()) else np.ones_like(members)
        if not group.size:
            return np.clip(self.level + self.item_bias, 0.0, 1.0)
        total = self.level + exact_mean(self.rater_bias[group]) + self.item_bias
        for k in range(self.rater_factors.shape[1]):
            total = total + exact_mean(self.rater_factors[group, k]) * self.item_factors[:, k]
        return np.clip(total, 0.0, 1.0)


class _RatingSums:
    """The sums over ratings that a fit needs in one direction: (rows, columns) are (raters, items) or the reverse."""

    def __init__(
        self, rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32], shape: tuple[int, int], ratings: SparseRatings
    ) -> None:
        from scipy import sparse  # late: it takes half a second, and most commands never fit a model

        weights = np.ones(ratings.size) if ratings.weights is None else ratings.weights
        counts = sparse.csr_matrix((weights, (rows, columns)), shape=shape)
        self.counts = counts
        order = sparse.csr_matrix((weights * ratings.values, (rows, columns)), shape=shape)
        # Same sparsity pattern: the index arrays are shared, so that the second table costs only its values.
        self.values = sparse.csr_matrix((order.data, counts.indices, counts.indptr), shape=shape, copy=False)
        self.total_weight = self.counts @ np.ones(shape[1])
        self.total_value = self.values @ np.ones(shape[1])


def fit_rater_model(ratings: SparseRatings, parameters: FitParameters = PAPER_FIT) -> RaterModel:
    """Fit the model. The last step solves the items with the rater side frozen."""
    return _AlternatingLeastSquares(ratings, parameters).run()


class _AlternatingLeastSquares:
    """One fit by alternating least squares; holds the current estimates."""

    def __init__(self, ratings: SparseRatings, parameters: FitParameters) -> None:
        shape = (ratings.num_raters, ratings.num_items)
        self.parameters = parameters
        self.by_rater = _RatingSums(ratings.raters, ratings.items, shape, ratings)
        self.by_item = _RatingSums(ratings.items, ratings.raters, (shape[1], shape[0]), ratings)
        self.total_weight = float(np.sum(self.by_item.total_weight))
        self.total_value = float(np.sum(self.by_item.total_value))
        self.level = self.total_value / self.total_weight if self.total_weight else 0.5
        self.rater_bias, self.item_bias = np.zeros(shape[0]), np.zeros(shape[1])
        self.rater_factors = np.zeros((shape[0], parameters.factors))
        self.item_factors = np.zeros((shape[1], parameters.factors))

    def run(self) -> RaterModel:
        """Alternate for the configured number of rounds: biases only, then biases and factors."""
        p = self.parameters
        for _ in range(p.bias_rounds):
            self.rater_bias = self._solve_biases(self.by_rater, self.item_bias, p.rater_penalty)
            self.item_bias = self._solve_biases(self.by_item, self.rater_bias, p.item_penalty)
            self._update_level()
        if p.factors and self.total_weight:
            self._initialise_factors()
            for _ in range(p.rounds):
                self.rater_bias, self.rater_factors = self._solve_rows_and_factors(
                    self.by_rater, self.item_bias, self.item_factors, p.rater_penalty
                )
                self._update_level()
                self.item_bias, self.item_factors = self._solve_rows_and_factors(
                    self.by_item, self.rater_bias, self.rater_factors, p.item_penalty
                )
            self._fix_factor_signs()
        return RaterModel(self.level, self.rater_bias, self.item_bias, self.rater_factors, self.item_factors, p)

    def _solve_biases(self, table: _RatingSums, other: Floats, penalty: float) -> Floats:
        return round_to_grid(
            (table.total_value - self.level * table.total_weight - table.counts @ other) / (table.total_weight + penalty)
        )

    def _update_level(self) -> None:
        """Set the level to the value at which the mean residual is zero."""
        if not self.total_weight:
            return
        explained = exact_sum(self.rater_bias * self.by_rater.total_weight)
        explained += exact_sum(self.item_bias * self.by_item.total_weight)
        if self.item_factors.any():
            for k in range(self.parameters.factors):
                explained += exact_sum(self.rater_factors[:, k] * (self.by_rater.counts @ self.item_factors[:, k]))
        self.level = (self.total_value - explained) / self.total_weight

    def _solve_rows_and_factors(
        self, table: _RatingSums, other_bias: Floats, other_factors: Floats, penalty: float
    ) -> tuple[Floats, Floats]:
        sums = table.counts @ _normal_equation_terms(other_bias, other_factors)
        products = table.values @ other_factors
        return solve_rows(table.total_weight, table.total_value, sums, products, self.level, penalty, self.parameters)

    def _initialise_factors(self) -> None:
        """Start from the leading directions of the residuals, by block power iteration from a fixed pseudo-random start."""
        factors = self.parameters.factors
        x = pseudo_random_symmetric(len(self.item_bias) * factors, self.parameters.seed).reshape(len(self.item_bias), factors)
        damp_rater = np.sqrt(self.by_rater.total_weight + 1.0)[:, None]
        damp_item = np.sqrt(self.by_item.total_weight + 1.0)[:, None]
        for _ in range(self.parameters.start_rounds):
            z = round_to_grid(self._multiply_residuals(self.by_rater, self.rater_bias, self.item_bias, x) / damp_rater)
            x = self._multiply_residuals(self.by_item, self.item_bias, self.rater_bias, z) / damp_item
            x = _orthonormalise(x)
        self.item_factors = round_to_grid(x * 0.3)

    def _multiply_residuals(self, table: _RatingSums, row_bias: Floats, column_bias: Floats, x: Floats) -> Floats:
        plain = table.values @ x - (self.level + row_bias)[:, None] * (table.counts @ x)
        return np.asarray(plain - table.counts @ round_to_grid(column_bias[:, None] * x), dtype=np.float64)

    def _fix_factor_signs(self) -> None:
        """Make the factor of most raters positive; the earliest rater decides a tie."""
        for k in range(self.parameters.factors):
            f = self.rater_factors[:, k]
            balance = int(np.sum(f > 0)) - int(np.sum(f < 0))
            first = f[np.flatnonzero(f)[:1]]
            if balance < 0 or (balance == 0 and first.size and first[0] < 0):
                self.rater_factors[:, k] *= -1.0
                self.item_factors[:, k] *= -1.0


def _normal_equation_terms(bias: Floats, factors: Floats) -> Floats:
    """Return the columns whose sums over ratings form the normal equations: f, bias, f_k·f_l for k ≤ l, f·bias, on the grid."""
    K = factors.shape[1]
    pairs = [factors[:, k] * factors[:, j] for k in range(K) for j in range(k, K)]
    mixed = [factors[:, k] * bias for k in range(K)]
    return (
        round_to_grid(np.column_stack([factors, bias, *pairs, *mixed]))
        if len(bias)
        else np.zeros((0, 2 * K + 1 + K * (K + 1) // 2))
    )


def solve_rows(
    weight: Floats, value: Floats, sums: Floats, products: Floats, level: float, penalty: float, p: FitParameters
) -> tuple[Floats, Floats]:
    """Return the ridge solutions (bias (M,), factors (M, K)) of M rows from their sums.

    `weight` and `value` (M,) are Σw and Σwr, `sums` (M, ·) the sums of `_normal_equation_terms`, `products` (M, K) is Σ w r f.
    """
    K = p.factors
    f, bias = sums[:, :K], sums[:, K]
    pairs = iter(range(K + 1, K + 1 + K * (K + 1) // 2))
    matrix: list[list[Floats]] = [[np.zeros(0)] * (K + 1) for _ in range(K + 1)]
    matrix[0][0] = weight + penalty
    right = [value - level * weight - bias]
    for k in range(K):
        matrix[0][k + 1] = matrix[k + 1][0] = f[:, k]
        right.append(products[:, k] - level * f[:, k] - sums[:, K + 1 + K * (K + 1) // 2 + k])
        for j in range(k, K):
            entry = sums[:, next(pairs)]
            matrix[k + 1][j + 1] = matrix[j + 1][k + 1] = entry + p.factor_penalty if j == k else entry
    solution = _solve_linear_systems(matrix, right)
    return round_to_grid(solution[0]), round_to_grid(np.column_stack(solution[1:])) if K else np.zeros((len(weight), 0))


def _solve_linear_systems(matrix: list[list[Floats]], right: list[Floats]) -> list[Floats]:
    """Solve many small positive definite systems by elementwise Gaussian elimination, so that no library affects rounding."""
    size = len(right)
    for pivot in range(size):
        for row in range(pivot + 1, size):
            ratio = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot + 1, size):
                matrix[row][column] = matrix[row][column] - ratio * matrix[pivot][column]
            right[row] = right[row] - ratio * right[pivot]
    solution: list[Floats] = [np.zeros(0)] * size
    for row in range(size - 1, -1, -1):
        rest = right[row]
        for column in range(row + 1, size):
            rest = rest - matrix[row][column] * solution[column]
        solution[row] = rest / matrix[row][row]
    return solution


def _orthonormalise(x: Floats) -> Floats:
    """Apply Gram–Schmidt with exact sums and scale columns to a mean square of 1. A column that vanishes becomes zero."""
    columns: list[Floats] = []
    for k in range(x.shape[1]):
        largest = float(np.max(np.abs(x[:, k]), initial=0.0))
        column = x[:, k] / largest if largest > 1e-6 else np.zeros(len(x))
        for other in columns:
            column = column - other * exact_mean(column * other)
        size = exact_mean(column * column)
        columns.append(round_to_grid(column / np.sqrt(size)) if size > 1e-9 else np.zeros(len(x)))
    return np.column_stack(columns)
