"""Which of two answers is better: Bradley–Terry strengths of everybody together and of each side, `q`, and training weights.

Strengths θ with P(a ≻ b) = σ(θ_a − θ_b) are fitted to all comparisons together, and to those of each side. Ties count half. The
pooled strengths are shrunk to 0, so that a pair which nobody else compared gets about the rule of succession. A side's strengths
are shrunk towards `scale` times the rater model's predictions for that side (comparisons enter the rater model as win 1 and loss
0). That prior departs from the usual shrinkage to the pooled fit; `dev/LOG.md` has the measurement. A side's log-odds are then
shrunk according to how many of its raters rated or compared the two answers: with m raters, by `confidence` · m / (m +
`doubt_raters`). If nobody on a side judged one of the answers, that side has no opinion.

As for ratings (`item_labels`), the more of a division the ratings show, the more the sides decide in place of everybody together.
A pair can train only if both then prefer the same answer. `q` is the less convinced side's probability, and the weight 2q − 1.

Legend: C comparisons, N items, P pairs, S = 2 sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yearling.feedback.exact_arithmetic import Floats, Ints, round_to_grid, sigmoid
from yearling.feedback.item_labels import NOTHING_DECIDED, PEOPLE_ARE_DIVIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParameters:
    """`pooled_penalty` shrinks the pooled strengths to 0; `side_penalty` shrinks those of a side to its prior."""

    pooled_penalty: float = 1.0
    side_penalty: float = 16.0
    scale: float = 8.0
    """Log-odds that correspond to a difference of 1 in predicted rating."""
    doubt_raters: float = 4.0
    """Number of raters who judged both answers at which a side's log-odds count half."""
    confidence: float = 0.55
    """Share of a side's log-odds that holds for its other members; measured on left-out raters, as `doubt_raters` is."""
    rounds: int = 150


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonArrays:
    """Comparisons as arrays (C,): numbers of `raters`, `winners` and `losers`; `wins`, 1 or 0.5 for a tie; `weights`, at most
    1."""

    raters: npt.NDArray[np.int32]
    winners: npt.NDArray[np.int32]
    losers: npt.NDArray[np.int32]
    wins: Floats
    weights: Floats

    def select(self, keep: npt.NDArray[np.bool_]) -> ComparisonArrays:
        """Return the comparisons where `keep` (C,) is true."""
        return ComparisonArrays(self.raters[keep], self.winners[keep], self.losers[keep], self.wins[keep], self.weights[keep])


def fit_bradley_terry(comparisons: ComparisonArrays, prior: Floats, penalty: float, max_steps: int) -> Floats:
    """Return (N,) strengths that maximise Σ w log P − penalty/2 · |θ − prior|².

    Uses accelerated gradient steps (Nesterov) with a diagonal bound on the curvature, at most `max_steps` of them.
    """
    num_items = len(prior)
    if not comparisons.raters.size:
        return round_to_grid(prior)
    winners, losers = comparisons.winners, comparisons.losers
    load = np.bincount(winners, comparisons.weights, num_items) + np.bincount(losers, comparisons.weights, num_items)
    bound = penalty + 0.5 * load
    theta = round_to_grid(prior)
    lookahead, pace = theta, 1.0
    for _ in range(max_steps):
        # All summands lie on the grid, so the order in which bincount adds them does not matter.
        pull = round_to_grid(comparisons.weights * (comparisons.wins - sigmoid(lookahead[winners] - lookahead[losers])))
        likelihood_gradient = np.bincount(winners, pull, num_items) - np.bincount(losers, pull, num_items)
        gradient = likelihood_gradient - penalty * (lookahead - prior)
        next_theta = round_to_grid(lookahead + gradient / bound)
        next_pace = (1.0 + float(np.sqrt(1.0 + 4.0 * pace * pace))) / 2.0
        lookahead = round_to_grid(next_theta + (pace - 1.0) / next_pace * (next_theta - theta))
        has_converged = float(np.max(np.abs(next_theta - theta))) < 1e-7
        theta, pace = next_theta, next_pace
        if has_converged:
            break
    return theta


def side_strengths(
    comparisons: ComparisonArrays, rater_sides: npt.NDArray[np.int8], predictions: Floats, p: PairParameters
) -> Floats:
    """Return (S, N) strengths of the items on each side.

    `rater_sides` (U,) are 0, 1, or −1 for none; `predictions` (S, N) come from the rater model.
    """
    side_of = rater_sides[comparisons.raters]
    sides = []
    for side in (0, 1):
        prior = p.scale * (predictions[side] - 0.5)
        sides.append(fit_bradley_terry(comparisons.select(side_of == side), prior, p.side_penalty, p.rounds))
    return np.array(sides)


def pooled_strengths(comparisons: ComparisonArrays, num_items: int, p: PairParameters) -> Floats:
    """Return (N,) strengths of the items for everybody together. Every comparison has the same weight."""
    equal = replace(comparisons, weights=np.ones_like(comparisons.weights))
    return fit_bradley_terry(equal, np.zeros(num_items), p.pooled_penalty, p.rounds)


def shrunk_odds(strengths: Floats, raters_by_side: Floats, a: Ints, b: Ints, p: PairParameters) -> Floats:
    """Return (S, P) each side's shrunk log-odds of a ≻ b. `strengths` is (S, N); `a` and `b` (P,) are item numbers.

    `raters_by_side` (S, N) counts the raters of a side who judged an item. The harmonic mean of two counts is the number of
    raters on which the difference of two averages rests, so the item with fewer raters decides.
    """
    first, second = raters_by_side[:, a], raters_by_side[:, b]
    num_raters = 2.0 * first * second / np.maximum(first + second, 1.0)
    return np.asarray((strengths[:, a] - strengths[:, b]) * (p.confidence * num_raters / (num_raters + p.doubt_raters)))


def blend_odds(pooled: Floats, sides: Floats, degree: float) -> Floats:
    """Return (S, P) log-odds, a blend of the pooled ones (P,) and the sides' own (S, P).

    The pooled share is (1 − degree)²: pooled odds are not shrunk by what holds for people who were not asked, so that a plain
    share of 1 − degree would leave q too sure where people divide (`dev/LOG.md` has the measurement).
    """
    pooled_share = (1.0 - degree) * (1.0 - degree)
    return np.asarray(pooled_share * pooled + (1.0 - pooled_share) * sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusPair:
    """`better` ≻ `worse` with probability `q` on the less convinced side. A pair that cannot train has weight 0 and a reason."""

    better: str
    worse: str
    q: float
    weight: float
    comparisons: int
    """Number of counted comparisons of the two answers."""
    reason: str


def build_pair(a: str, b: str, odds: tuple[float, float], comparisons: int) -> ConsensusPair:
    """Return the pair with its label, `q` and weight, or with the reason why it cannot train. `odds` are from `blend_odds`."""
    if min(odds) <= 0.0 <= max(odds):
        reason = PEOPLE_ARE_DIVIDED if min(odds) < 0.0 < max(odds) else NOTHING_DECIDED
        return ConsensusPair(better=a, worse=b, q=0.5, weight=0.0, comparisons=comparisons, reason=reason)
    better, worse = (a, b) if odds[0] > 0.0 else (b, a)
    # Computed from the size of the odds, so that swapping the answers changes no bit.
    q = float(sigmoid(np.array([min(abs(side) for side in odds)]))[0])
    return ConsensusPair(better=better, worse=worse, q=q, weight=2.0 * q - 1.0, comparisons=comparisons, reason="")
