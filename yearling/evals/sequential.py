"""A sequential test for canaries: it may be evaluated after every pair, and stops when the challenger is flagged more often.

A canary gives a small share of real requests to the challenger and compares it with the champion, in pairs
(`loop/canary.py`). `yearling bench gates` measures the test's error rates by simulation.

Only pairs in which exactly one of the two models is flagged carry information; without a difference each falls either way with
probability ½. After d such discordant pairs the canary stops when the challenger has `stopping_thresholds()[d]` of them. The
thresholds spend the allowed probability of a false stop along a fixed curve (Lan and DeMets 1983) and come exactly from the
binomial walk. The probability of ever stopping without a difference therefore stays below it, however often one evaluates and
whenever one gives up. Most of it is spent early, on large regressions; the rest is for slow ones.

A mixture SPRT with the same guarantee needs two fifths more pairs for a regression from 2 % to 6 %, since its thresholds
overshoot; `benchmarks/gates/sequential.py` has it for comparison. SciPy has no sequential test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

MAX_DISCORDANT_PAIRS = 1000
"""Thresholds end after this many discordant pairs: a canary is over long before."""

_EARLY, _EARLY_PAIRS, _LATE_PAIRS = 0.95, 6.0, 60.0


def alpha_spent(discordant: int, alpha: float) -> float:
    """How much of the probability `alpha` of a false stop may be spent after that many discordant pairs."""
    early = 1 - float(np.exp(-discordant / _EARLY_PAIRS))
    return alpha * (_EARLY * early + (1 - _EARLY) * discordant / (discordant + _LATE_PAIRS))


@lru_cache(maxsize=32)
def stopping_thresholds(alpha: float = 0.05, horizon: int = MAX_DISCORDANT_PAIRS) -> tuple[int, ...]:
    """Element d is how many flags of the challenger among d discordant pairs stop the canary; d + 1 means never."""
    # probabilities[k]: the walk has not stopped yet and the challenger has k flags.
    probabilities = np.zeros(horizon + 2)
    probabilities[0] = 1.0
    spent, thresholds = 0.0, [1]
    for d in range(1, horizon + 1):
        probabilities[1 : d + 1], probabilities[0] = (probabilities[1 : d + 1] + probabilities[:d]) / 2, probabilities[0] / 2
        at_least = np.cumsum(probabilities[d::-1])  # P(at least d flags), P(at least d − 1 flags), ...
        count = int(np.searchsorted(at_least, alpha_spent(d, alpha) - spent, side="right"))
        count = min(count, d - d // 2)
        spent += float(at_least[count - 1]) if count else 0.0
        probabilities[d - count + 1 :] = 0.0
        thresholds.append(d - count + 1)
    return tuple(thresholds)


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The state of a canary after its latest pair."""

    num_pairs: int
    discordant: int
    challenger_only: int
    """Discordant pairs in which the challenger is the one that is flagged."""
    decision: Literal["stop", "continue"]
    stopped_at_pair: int | None
    """The pair after which it stopped, counted from 1."""


def run_canary_test(champion: Sequence[bool], challenger: Sequence[bool], *, alpha: float = 0.05) -> CanaryResult:
    """Follow pairs of flags in the order in which they came; a flag is a bad answer. Pairs after a stop change nothing."""
    thresholds = stopping_thresholds(alpha)
    discordant = challenger_only = 0
    for num_pairs, (champion_flag, challenger_flag) in enumerate(zip(champion, challenger, strict=True), start=1):
        if bool(champion_flag) == bool(challenger_flag):
            continue
        discordant += 1
        challenger_only += bool(challenger_flag)
        if discordant < len(thresholds) and challenger_only >= thresholds[discordant]:
            return CanaryResult(num_pairs, discordant, challenger_only, "stop", num_pairs)
    return CanaryResult(len(champion), discordant, challenger_only, "continue", None)


def find_stop(challenger_flags: Sequence[bool], *, alpha: float = 0.05) -> int | None:
    """The discordant pair after which the canary stops, counted from 1; None if it goes on.

    `challenger_flags` tells of each discordant pair, in the order in which they came, whether the challenger is the one flagged.
    """
    thresholds = stopping_thresholds(alpha)
    challenger_only = 0
    for discordant, is_challenger in enumerate(challenger_flags, start=1):
        challenger_only += is_challenger
        if discordant < len(thresholds) and challenger_only >= thresholds[discordant]:
            return discordant
    return None


@lru_cache(maxsize=128)
def stop_probabilities(alpha: float, rate: float, horizon: int = MAX_DISCORDANT_PAIRS) -> tuple[float, ...]:
    """Element d: the exact probability of a stop within d discordant pairs, each the challenger's with probability `rate`."""
    thresholds = stopping_thresholds(alpha, horizon)
    probabilities = np.zeros(horizon + 2)
    probabilities[0] = 1.0
    stopped = [0.0]
    for d in range(1, horizon + 1):
        probabilities[1 : d + 1], probabilities[0] = (
            probabilities[1 : d + 1] * (1 - rate) + probabilities[:d] * rate,
            probabilities[0] * (1 - rate),
        )
        probabilities[thresholds[d] :] = 0.0
        stopped.append(1.0 - float(probabilities.sum()))
    return tuple(stopped)


def detection_probability(num_pairs: int, champion_rate: float, challenger_rate: float, *, alpha: float = 0.05) -> float:
    """The exact probability that a canary stops within that many pairs when the models are flagged at these rates.

    The two answers of a pair count as independent; where hard prompts trip both models, fewer pairs are needed than this says.
    """
    from scipy.stats import binom

    only_challenger, only_champion = challenger_rate * (1 - champion_rate), champion_rate * (1 - challenger_rate)
    discordant_rate = only_challenger + only_champion
    if num_pairs < 1 or discordant_rate <= 0:
        return 0.0
    largest = min(num_pairs, MAX_DISCORDANT_PAIRS)
    weights = binom.pmf(np.arange(largest + 1), num_pairs, discordant_rate)
    weights[-1] += binom.sf(largest, num_pairs, discordant_rate)
    stopped = np.array(stop_probabilities(alpha, round(only_challenger / discordant_rate, 6)))[: largest + 1]
    return float(weights @ stopped)


def smallest_detectable_rate(num_pairs: int, champion_rate: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The lowest flag rate of a challenger, in whole percent, that this many pairs detect with that power; infinite for none."""
    percents = range(int(champion_rate * 100) + 1, 101)
    low, high = 0, len(percents)
    while low < high:
        middle = (low + high) // 2
        if detection_probability(num_pairs, champion_rate, percents[middle] / 100, alpha=alpha) >= power:
            high = middle
        else:
            low = middle + 1
    return percents[low] / 100 if low < len(percents) else float("inf")
