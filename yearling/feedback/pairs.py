"""Which of two answers is better in the view of both sides: Bradley–Terry strengths per side, `q`, and training weights.

Each side has strengths θ with P(a ≻ b) = σ(θ_a − θ_b). They are fitted to that side's comparisons and shrunk towards `scale`
times the rater model's predictions for that side (comparisons enter the rater model as win 1 and loss 0) and towards the pooled
strengths. A pair can train only if both sides prefer the same answer. `q` is then the weaker side's probability, and the weight
is max(0, 2q − 1). Ties count half. The prior departs from the usual shrinkage to the pooled fit; `dev/LOG.md` has the
measurement.

A side's log-odds are then shrunk according to how many of its raters rated or compared the two answers, so that few ratings leave
q near one half: with m raters, by `confidence` · m / (m + `doubt_raters`). If nobody on a side judged one of the answers, that
side has no opinion, and q is one half.

Legend: C comparisons, N items, P pairs, S = 2 sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yearling.feedback.exact_arithmetic import Floats, Ints, round_to_grid, sigmoid


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParameters:
    """`pooled_penalty` shrinks the pooled strengths to 0; `side_penalty` shrinks a side's strengths to its prior."""

    pooled_penalty: float = 0.15
    side_penalty: float = 16.0
    pooled_share: float = 0.0
    """Share of the pooled strengths in a side's prior. The rest comes from the rater model."""
    scale: float = 8.0
    """Log-odds that correspond to a difference of 1 in predicted rating."""
    doubt_raters: float = 4.0
    """Number of raters who judged both answers at which a side's log-odds count half."""
    confidence: float = 0.55
    """Share of a side's log-odds that holds for its other members; measured on left-out raters, as `doubt_raters` is."""
    rounds: int = 150
    provisional_raters: int = 20
    provisional_weight: float = 0.5
    """Factor for the weight of pairs from fewer than `provisional_raters` raters, for whom no method beats a simple count."""


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
    num_items = predictions.shape[1]
    pooled = fit_bradley_terry(comparisons, np.zeros(num_items), p.pooled_penalty, p.rounds)
    side_of = rater_sides[comparisons.raters]
    sides = []
    for side in (0, 1):
        prior = p.pooled_share * pooled + (1.0 - p.pooled_share) * p.scale * (predictions[side] - 0.5)
        sides.append(fit_bradley_terry(comparisons.select(side_of == side), prior, p.side_penalty, p.rounds))
    return np.array(sides)


def shrunk_odds(strengths: Floats, raters_by_side: Floats, a: Ints, b: Ints, p: PairParameters) -> Floats:
    """Return (S, P) each side's shrunk log-odds of a ≻ b. `strengths` is (S, N); `a` and `b` (P,) are item numbers.

    `raters_by_side` (S, N) counts the raters of a side who judged an item. The harmonic mean of two counts is the number of
    raters on which the difference of two averages rests, so the item with fewer raters decides.
    """
    first, second = raters_by_side[:, a], raters_by_side[:, b]
    num_raters = 2.0 * first * second / np.maximum(first + second, 1.0)
    return np.asarray((strengths[:, a] - strengths[:, b]) * (p.confidence * num_raters / (num_raters + p.doubt_raters)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusPair:
    """`better` ≻ `worse` with probability `q` on the weaker side. A pair that cannot train has weight 0 and a reason."""

    better: str
    worse: str
    q: float
    weight: float
    comparisons: tuple[int, int]
    """Number of comparisons of the two answers by each side."""
    reason: str
    provisional: bool


def build_pair(
    a: str, b: str, odds: tuple[float, float], counts: tuple[int, int], num_raters: int, p: PairParameters
) -> ConsensusPair:
    """Return the pair with its label, `q` and weight, or with the reason why it cannot train. `odds` are from `shrunk_odds`."""
    provisional = num_raters < p.provisional_raters
    if min(counts) > 0 and min(odds) <= 0.0 <= max(odds):
        return ConsensusPair(
            better=a, worse=b, q=0.5, weight=0.0, comparisons=counts, reason="sides_disagree", provisional=provisional
        )
    better, worse = (a, b) if odds[0] + odds[1] > 0.0 else (b, a)
    if min(counts) == 0:
        # The judgement of one side alone is no consensus, however many its raters are.
        return ConsensusPair(
            better=better, worse=worse, q=0.5, weight=0.0, comparisons=counts, reason="one_side_only", provisional=provisional
        )
    # Computed from the size of the odds, so that swapping the answers changes no bit.
    q = float(sigmoid(np.array([min(abs(side) for side in odds)]))[0])
    weight = max(0.0, 2.0 * q - 1.0) * (p.provisional_weight if provisional else 1.0)
    return ConsensusPair(better=better, worse=worse, q=q, weight=weight, comparisons=counts, reason="", provisional=provisional)
