"""Labels of answers from ratings, for any number of people: a smooth blend of what everybody says and what both sides say.

With few people, or where no division is visible, the label comes from everybody together. The more of a division the ratings
show, the more each of two sides must agree. A rater belongs to both sides by shares, so that no rating moves a whole person from
one side to the other. q is the estimate of the weaker side, and the weight of a lesson is 2q − 1.

Legend: R ratings, U raters, N items, S = 2 sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yearling.feedback.exact_arithmetic import Floats, Ints, beta_cdf, exact_mean, exp, round_to_grid
from yearling.feedback.rater_model import RaterModel, SparseRatings
from yearling.feedback.visible_division import effective_number

DECIDED = "decided"
PEOPLE_ARE_DIVIDED = "people_are_divided"
NOTHING_DECIDED = "nothing_decided"

TWO_SIDES_DEGREE = 0.5
"""Degree of division from which two sides decide more than everybody together."""


def shows_two_sides(degree: float) -> bool:
    """Return whether a division of this degree is strong enough to speak of two sides."""
    return degree >= TWO_SIDES_DEGREE


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelParameters:
    """Prior strengths, in ratings and in people."""

    level_ratings: float = 220.0
    """Number of ratings at which the mean rating counts half as the level that answers are shrunk to. So many that one judgement
    moves the level by at most .0023, and the q of an answer with one rating by at most .0015."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What the labels of all items have in common.

    `num_people` is the effective number of people, (Σ n)² / Σ n² for people with n ratings each, so that somebody with one rating
    does not count like somebody with a hundred. `level` is the approval to which answers are shrunk. `degree`, from 0 to below 1,
    is the share with which two sides decide in place of everybody together.
    """

    num_people: float
    level: float
    degree: float

    @property
    def two_sides(self) -> bool:
        """Whether two sides decide more than everybody together, and a status may name both."""
        return shows_two_sides(self.degree)


@dataclass(frozen=True, slots=True, eq=False)
class ItemEvidence:
    """The counted ratings of each item: their number `counts` and sum `approvals`, (N,), and by side, (S, N), their number
    `side_counts`, and the weight `side_heard` and weighted sum `side_liked` of their voices.

    A voice weighs 1, but less if it comes from a very active account that nobody invited.
    """

    counts: Ints
    approvals: Floats
    side_counts: Floats
    side_heard: Floats
    side_liked: Floats

    @property
    def side_approvals(self) -> Floats:
        """(S, N) Sums of ratings by side: the mean of the voices, times the number of ratings. Voices move the mean only, so that
        weighing some less makes nobody less certain."""
        mean = np.where(self.side_heard > 0.0, self.side_liked / np.maximum(self.side_heard, 1e-12), 0.0)
        return np.asarray(mean * self.side_counts)


@dataclass(frozen=True, slots=True, eq=False)
class ItemLabels:
    """The labels of all items, each (N,): `labels` 1 good, −1 bad, 0 none; `q` the weaker side's probability of that label, ½
    without one; `weights` 2q − 1; `reasons`.

    `estimates` (S, N) are the approval estimates of both sides, and `strengths` (S, N) their worth in ratings.
    """

    labels: Ints
    q: Floats
    weights: Floats
    reasons: tuple[str, ...]
    estimates: Floats
    strengths: Floats

    def probability_below(self, threshold: float) -> Floats:
        """Return (S, N) the probability that a side's approval is below `threshold`."""
        likes = np.maximum(self.estimates * self.strengths, 1e-6)
        return beta_cdf(likes, np.maximum((1.0 - self.estimates) * self.strengths, 1e-6), threshold)


def describe_crowd(ratings: SparseRatings, degree: float, p: LabelParameters) -> Crowd:
    """Return what the labels of these ratings have in common; `degree` is that of the visible division."""
    num_people = effective_number(np.bincount(ratings.raters))
    mean = exact_mean(ratings.values) if ratings.size else 0.5
    level = 0.5 + (mean - 0.5) * ratings.size / (ratings.size + p.level_ratings)
    return Crowd(num_people=num_people, level=min(max(level, p.level_range[0]), p.level_range[1]), degree=degree)


def gather_evidence(ratings: SparseRatings, shares: Floats) -> ItemEvidence:
    """Count the ratings of each item. `shares` (U,) are the raters' shares of side 0; the weights of ratings are their voices."""
    voices = np.ones(ratings.size) if ratings.weights is None else ratings.weights

    def count(weights: Floats) -> Floats:
        return np.bincount(ratings.items, weights, ratings.num_items).astype(np.float64)

    parts = [share[ratings.raters] for share in (shares, 1.0 - shares)]
    return ItemEvidence(
        np.bincount(ratings.items, minlength=ratings.num_items),
        count(ratings.values),
        np.array([count(part) for part in parts]),
        np.array([count(part * voices) for part in parts]),
        np.array([count(part * voices * ratings.values) for part in parts]),
    )


def label_items(evidence: ItemEvidence, crowd: Crowd, p: LabelParameters) -> ItemLabels:
    """Label every item."""
    counts, approvals = evidence.counts.astype(np.float64), evidence.approvals
    everybody = (approvals + p.level_prior * crowd.level) / (counts + p.level_prior)
    prior = p.side_prior_everybody * everybody + p.side_prior_half * 0.5
    prior_weight = p.side_prior_everybody + p.side_prior_half
    sides = (evidence.side_approvals + prior) / (evidence.side_counts + prior_weight)
    estimates = (1.0 - crowd.degree) * everybody + crowd.degree * sides
    # The variance of an estimate goes with one over the ratings that it rests on, and both parts are weighed alike.
    strengths = 1.0 / ((1.0 - crowd.degree) / (counts + p.level_prior) + crowd.degree / (evidence.side_counts + prior_weight))
    low, high = estimates.min(axis=0), estimates.max(axis=0)
    is_good = (low > 0.5) & (approvals > counts / 2.0)
    is_bad = (high < 0.5) & (approvals < counts / 2.0)
    q = np.where(is_good, low, np.where(is_bad, 1.0 - high, 0.5))
    is_split = (low < 0.5) & (high > 0.5)
    reasons = np.where(is_good | is_bad, DECIDED, np.where(is_split, PEOPLE_ARE_DIVIDED, NOTHING_DECIDED)).tolist()
    labels = is_good.astype(np.int64) - is_bad.astype(np.int64)
    return ItemLabels(labels, q, 2.0 * q - 1.0, tuple(reasons), estimates, strengths)


def side_shares(ratings: SparseRatings, model: RaterModel, p: LabelParameters) -> Floats:
    """Return (U,) each rater's share of side 0: the probability that the rater's position on the axis is positive.

    The position is Σ ρ f / (s · √Σ f²), with f the item's factor in `model`, ρ the residual beyond the biases, and s the spread
    of residuals. Without any ratings of items with a factor it is 0, and the share one half.
    """
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
