"""Labels of answers from ratings, for any number of people: a smooth blend of what everybody says and what both sides say.

With few people, or where no division is visible, the label comes from everybody together. The more of a division the ratings
show, the more each of two sides must agree. A rater belongs to both sides by shares, so that no rating moves a whole person from
one side to the other. q is the estimate of the weaker side, and the weight of a lesson is 2q − 1.

Runs of the consensus do not use these labels yet; `benchmarks/consensus/small_teams.py` measures them beside the status rule.

Legend: R ratings, U raters, N items, S = 2 sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from yearling.feedback.exact_arithmetic import Floats, Ints, exact_mean, exp, round_to_grid
from yearling.feedback.rater_model import FitParameters, RaterModel, SparseRatings, fit_rater_model
from yearling.feedback.visible_division import VisibleDivision, VisibleDivisionParameters, measure_visible_division

AXIS_FIT = FitParameters(start_rounds=60)
"""Eight start rounds leave the axis of few raters dependent on the order of the log; sixty do not."""

DECIDED = "decided"
PEOPLE_ARE_DIVIDED = "people_are_divided"
NOTHING_DECIDED = "nothing_decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelParameters:
    """Prior strengths in ratings, and the fit that finds the sides."""

    axis: FitParameters = AXIS_FIT
    """The rater model that places people on the axis."""
    level_people: float = 5.0
    """Number of people at which the mean rating counts half as the level that answers are shrunk to."""
    level_range: tuple[float, float] = (0.3, 0.7)
    level_prior: float = 2.0
    """Weight of the level in the estimate of everybody together, in ratings."""
    side_prior_everybody: float = 1.0
    """Weight of everybody's estimate in the estimate of a side, in ratings."""
    side_prior_half: float = 3.0
    """Weight of one half in the estimate of a side, in ratings."""
    side_sharpness: float = 2.0
    """Factor on a rater's standardised position before it becomes a share of side 0."""
    min_spread: float = 0.1
    """The spread of residuals counts as at least this much."""
    division: VisibleDivisionParameters = field(default_factory=VisibleDivisionParameters)


@dataclass(frozen=True, slots=True, eq=False)
class ItemLabels:
    """The labels of all items, each (N,): `labels` 1 good, −1 bad, 0 none; `q` the weaker side's probability of that label, ½
    without one; `weights` 2q − 1; `reasons`.

    `estimates` (S, N) are the approval estimates of both sides, `shares` (U,) each rater's share of side 0, and `division` says
    how much the sides decide.
    """

    labels: Ints
    q: Floats
    weights: Floats
    reasons: tuple[str, ...]
    estimates: Floats
    shares: Floats
    division: VisibleDivision


def label_items(ratings: SparseRatings, p: LabelParameters | None = None) -> ItemLabels:
    """Label every item from its ratings (1, ½ or 0), one for each (rater, item)."""
    p = p or LabelParameters()
    division = measure_visible_division(ratings, p.division)
    model = fit_rater_model(ratings, p.axis)
    counts = np.bincount(ratings.items, minlength=ratings.num_items).astype(np.float64)
    approvals = np.bincount(ratings.items, ratings.values, ratings.num_items).astype(np.float64)
    everybody = _estimate_everybody(ratings, counts, approvals, p)
    shares = _side_shares(ratings, model, p)
    sides = []
    for share in (shares, 1.0 - shares):
        heard = np.bincount(ratings.items, share[ratings.raters], ratings.num_items)
        liked = np.bincount(ratings.items, share[ratings.raters] * ratings.values, ratings.num_items)
        prior = p.side_prior_everybody * everybody + p.side_prior_half * 0.5
        side = (liked + prior) / (heard + p.side_prior_everybody + p.side_prior_half)
        sides.append((1.0 - division.degree) * everybody + division.degree * side)
    low, high = np.minimum(*sides), np.maximum(*sides)
    is_good = (low > 0.5) & (approvals > counts / 2.0)
    is_bad = (high < 0.5) & (approvals < counts / 2.0)
    q = np.where(is_good, low, np.where(is_bad, 1.0 - high, 0.5))
    reasons = np.where(
        is_good | is_bad, DECIDED, np.where((low < 0.5) & (high > 0.5), PEOPLE_ARE_DIVIDED, NOTHING_DECIDED)
    ).tolist()
    labels = is_good.astype(np.int64) - is_bad.astype(np.int64)
    return ItemLabels(labels, q, 2.0 * q - 1.0, tuple(reasons), np.array(sides), shares, division)


def _estimate_everybody(ratings: SparseRatings, counts: Floats, approvals: Floats, p: LabelParameters) -> Floats:
    """Return (N,) mean approvals shrunk to the level of all ratings, which itself is shrunk to one half."""
    num_people = int(np.unique(ratings.raters).size)
    mean = exact_mean(ratings.values) if ratings.size else 0.5
    level = 0.5 + (mean - 0.5) * num_people / (num_people + p.level_people)
    level = min(max(level, p.level_range[0]), p.level_range[1])
    return np.asarray((approvals + p.level_prior * level) / (counts + p.level_prior))


def _side_shares(ratings: SparseRatings, model: RaterModel, p: LabelParameters) -> Floats:
    """Return (U,) each rater's share of side 0: the probability that the rater's position on the axis is positive."""
    expected = np.clip(model.level + model.rater_bias[ratings.raters] + model.item_bias[ratings.items], 0.0, 1.0)
    residuals = ratings.values - expected
    factors = model.item_factors[ratings.items, 0]
    along = np.bincount(ratings.raters, round_to_grid(residuals * factors), ratings.num_raters)
    length = np.bincount(ratings.raters, round_to_grid(factors * factors), ratings.num_raters)
    spread = max(float(np.sqrt(exact_mean(residuals * residuals))), p.min_spread)
    position = np.where(length > 1e-12, along / (spread * np.sqrt(np.maximum(length, 1e-12))), 0.0)
    return round_to_grid(normal_cdf(p.side_sharpness * position))


def normal_cdf(x: Floats) -> Floats:
    """Return Φ(x), the normal distribution function, to about 1e-11; |x| above 7 counts as 7.

    Uses ½ + φ(x) · (x + x³/3 + x⁵/(3·5) + …) (Marsaglia 2004, J. Stat. Softw. 11(4)).
    """
    x = np.clip(x, -7.0, 7.0)
    square = x * x
    term = x.copy()
    total = x.copy()
    for k in range(3, 261, 2):
        term = term * square / k
        total = total + term
    return np.asarray(np.clip(0.5 + total * exp(-0.5 * square) / np.sqrt(2.0 * np.pi), 0.0, 1.0))
