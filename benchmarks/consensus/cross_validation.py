"""Five-fold cross-validation of the division: does a factor predict left-out ratings better than biases alone?

The benchmark compares this measure with the permutation test of `yearling.feedback.division`, which decides in the product.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from yearling.feedback.exact_arithmetic import exact_sum, pseudo_random_uint64
from yearling.feedback.rater_model import FitParameters, SparseRatings, fit_rater_model

GAIN_FIT_PARAMETERS = FitParameters(factors=1, rater_penalty=4.0, item_penalty=2.0, factor_penalty=3.0, rounds=12)
"""A fit with strong penalties, so that a factor that fits chance gains nothing."""


def cross_validated_gain(ratings: SparseRatings, parameters: FitParameters = GAIN_FIT_PARAMETERS, folds: int = 5) -> float:
    """Return the share of the left-out squared error of the biases that the factors remove; negative if they add error.

    Returns 0 for fewer than two ratings per fold.
    """
    if ratings.size < 2 * folds:
        return 0.0
    fold = pseudo_random_uint64(ratings.size, parameters.seed + 5) % np.uint64(folds)
    error_of_biases = error_with_factors = 0.0
    for k in range(folds):
        left_out = fold == k
        raters, items, truth = (x[left_out] for x in (ratings.raters, ratings.items, ratings.values))
        known = ratings.select(~left_out)
        for factors in (0, parameters.factors):
            model = fit_rater_model(known, replace(parameters, factors=factors))
            error = truth - model.predict(raters.astype(np.int64), items.astype(np.int64))
            if factors:
                error_with_factors += exact_sum(error * error)
            else:
                error_of_biases += exact_sum(error * error)
    return 1.0 - error_with_factors / error_of_biases if error_of_biases > 0.0 else 0.0
