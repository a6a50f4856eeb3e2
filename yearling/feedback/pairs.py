"""Which of two answers is better, in the eyes of both sides: per-side Bradley–Terry, `q` and training weights.

Each side has strengths θ with P(a ≻ b) = σ(θ_a − θ_b), fitted to that side's comparisons and shrunk towards `scale` × what the
rater model says of the side (comparisons enter the rater model as win 1 / loss 0), and towards the pooled strengths. A pair
exists for training only when both sides prefer the same answer; `q` is then the weaker side's probability and the weight is
max(0, 2q − 1). Departs from the plain "shrink to the pooled fit" in its prior; `dev/LOG.md` has the measurement. Ties count half.

A side's log-odds are then shrunk by how many of its people have spoken of the two answers, so that few ratings leave q near one
half: with m people, by `confidence` · m / (m + `doubt_raters`). A side that has said nothing of one of them has no opinion, and q
is one half.

Legend: C comparisons, N items, P pairs, S = 2 sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yearling.feedback.exact_arithmetic import Floats, Ints, round_to_grid, sigmoid


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParameters:
    """`pooled_penalty` pulls pooled strengths to 0; `side_penalty` a side's to its prior, part pooled strengths, part model."""

    pooled_penalty: float = 0.15
    side_penalty: float = 16.0
    pooled_share: float = 0.0
    """Share of the pooled strengths in a side's prior; the rest is the rater model's."""
    scale: float = 8.0
    """Log-odds for one unit of predicted rating."""
    doubt_raters: float = 4.0
    """A side's log-odds count for half when so many of its people have spoken of both answers."""
    confidence: float = 0.55
    """What of a side's log-odds holds for its people who were not asked; from left-out raters, as `doubt_raters` is."""
    rounds: int = 150
    provisional_raters: int = 20
    provisional_weight: float = 0.5
    """Under so many raters nothing beats a plain fit: pairs are marked and train with this much less weight."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonArrays:
    """`raters`, `winners`, `losers` (C,) numbers; `wins` (C,) 1 for a win and 0.5 for a tie; `weights` (C,) at most 1."""

    raters: npt.NDArray[np.int32]
    winners: npt.NDArray[np.int32]
    losers: npt.NDArray[np.int32]
    wins: Floats
    weights: Floats

    def select(self, keep: npt.NDArray[np.bool_]) -> ComparisonArrays:
        """The comparisons where `keep` (C,) holds."""
        return ComparisonArrays(self.raters[keep], self.winners[keep], self.losers[keep], self.wins[keep], self.weights[keep])


def fit_bradley_terry(comparisons: ComparisonArrays, prior: Floats, penalty: float, max_steps: int) -> Floats:
    """(N,) Strengths that maximise Σ w log P − penalty/2 · |θ − prior|², by accelerated gradient steps with a diagonal bound."""
    count = len(prior)
    if not comparisons.raters.size:
        return round_to_grid(prior)
    won, lost = comparisons.winners, comparisons.losers
    load = np.bincount(won, comparisons.weights, count) + np.bincount(lost, comparisons.weights, count)
    bound = penalty + 0.5 * load
    theta = round_to_grid(prior)
    ahead, pace = theta, 1.0
    for _ in range(max_steps):
        # Everything summed lies on the grid, so that bincount's order does not matter.
        pull = round_to_grid(comparisons.weights * (comparisons.wins - sigmoid(ahead[won] - ahead[lost])))
        gradient = np.bincount(won, pull, count) - np.bincount(lost, pull, count) - penalty * (ahead - prior)
        moved = round_to_grid(ahead + gradient / bound)
        next_pace = (1.0 + float(np.sqrt(1.0 + 4.0 * pace * pace))) / 2.0
        ahead = round_to_grid(moved + (pace - 1.0) / next_pace * (moved - theta))
        done = float(np.max(np.abs(moved - theta))) < 1e-7
        theta, pace = moved, next_pace
        if done:
            break
    return theta


def side_strengths(
    comparisons: ComparisonArrays, rater_sides: npt.NDArray[np.int8], predictions: Floats, p: PairParameters
) -> Floats:
    """(S, N) Strengths of the items on each side. `rater_side` (U,) is 0 or 1, `predictions` (S, N) the rater model's."""
    count = predictions.shape[1]
    pooled = fit_bradley_terry(comparisons, np.zeros(count), p.pooled_penalty, p.rounds)
    side_of = rater_sides[comparisons.raters]
    sides = []
    for side in (0, 1):
        prior = p.pooled_share * pooled + (1.0 - p.pooled_share) * p.scale * (predictions[side] - 0.5)
        sides.append(fit_bradley_terry(comparisons.select(side_of == side), prior, p.side_penalty, p.rounds))
    return np.array(sides)


def shrunk_odds(strengths: Floats, raters_by_side: Floats, a: Ints, b: Ints, p: PairParameters) -> Floats:
    """(S, P) Each side's log-odds of a ≻ b, after doubt. `strengths` and `heard` are (S, N), `a` and `b` (P,) items.

    `heard` counts a side's people who spoke of an item. Of two items the one heard of less decides: the harmonic mean is how many
    people a difference of two averages rests on.
    """
    first, second = raters_by_side[:, a], raters_by_side[:, b]
    people = 2.0 * first * second / np.maximum(first + second, 1.0)
    return np.asarray((strengths[:, a] - strengths[:, b]) * (p.confidence * people / (people + p.doubt_raters)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusPair:
    """`better` ≻ `worse` with probability `q` on the weaker side; weight 0 with a reason when the pair cannot train."""

    better: str
    worse: str
    q: float
    weight: float
    comparisons: tuple[int, int]
    """How often each side compared the two."""
    reason: str
    provisional: bool


def build_pair(
    a: str, b: str, odds: tuple[float, float], counts: tuple[int, int], num_raters: int, p: PairParameters
) -> ConsensusPair:
    """The pair with its label, `q` and weight, or with the reason for its drop. `odds` are each side's, after doubt."""
    provisional = num_raters < p.provisional_raters
    if min(counts) > 0 and min(odds) <= 0.0 <= max(odds):
        return ConsensusPair(
            better=a, worse=b, q=0.5, weight=0.0, comparisons=counts, reason="sides_disagree", provisional=provisional
        )
    better, worse = (a, b) if odds[0] + odds[1] > 0.0 else (b, a)
    if min(counts) == 0:
        # What one side alone has said is no consensus, however loud.
        return ConsensusPair(
            better=better, worse=worse, q=0.5, weight=0.0, comparisons=counts, reason="one_side_only", provisional=provisional
        )
    # From the size of the odds, so that naming a pair the other way round changes no bit.
    q = float(sigmoid(np.array([min(abs(side) for side in odds)]))[0])
    weight = max(0.0, 2.0 * q - 1.0) * (p.provisional_weight if provisional else 1.0)
    return ConsensusPair(better=better, worse=worse, q=q, weight=weight, comparisons=counts, reason="", provisional=provisional)
