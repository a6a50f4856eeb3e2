"""A canary's test that may be looked at after every pair: stop when the challenger is flagged more often than the champion.

Only pairs in which exactly one of the two is flagged say anything; without a difference each falls either way with equal chance.
After d such pairs the canary stops when the challenger has `threshold[d]` of them. The thresholds spend the allowed chance of a
false stop along a fixed curve (Lan and DeMets 1983), and are computed exactly from the binomial walk, so that the chance of ever
stopping without a difference stays below it however often one looks and whenever one gives up. Most is spent early, on
regressions that matter; the rest is for slow ones. A mixture SPRT with the same guarantee (also here, for comparison) needs
two fifths more pairs for a regression from 2 % to 6 %, since it wastes what its threshold overshoots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MAX_DISCORDANT_PAIRS = 1000
"""Discordant pairs after which the thresholds are not continued: the canary is over long before."""

_EARLY, _EARLY_PAIRS, _LATE_PAIRS = 0.95, 6.0, 60.0


def alpha_spent(discordant: int, alpha: float) -> float:
    """How much of the chance of a false stop may have been used up after so many discordant pairs."""
    early = 1 - float(np.exp(-discordant / _EARLY_PAIRS))
    return alpha * (_EARLY * early + (1 - _EARLY) * discordant / (discordant + _LATE_PAIRS))


@lru_cache(maxsize=8)
def stopping_thresholds(alpha: float = 0.05, horizon: int = MAX_DISCORDANT_PAIRS) -> tuple[int, ...]:
    """`thresholds()[d]`: flags of the challenger, among d discordant pairs, that stop the canary. d + 1 means never."""
    alive = np.zeros(horizon + 2)
    alive[0] = 1.0
    used, found = 0.0, [1]
    for d in range(1, horizon + 1):
        alive[1 : d + 1], alive[0] = (alive[1 : d + 1] + alive[:d]) / 2, alive[0] / 2
        # Chance of having at least so many, from above.
        tail = np.cumsum(alive[d::-1])
        count = int(np.searchsorted(tail, alpha_spent(d, alpha) - used, side="right"))
        count = min(count, d - d // 2)
        used += float(tail[count - 1]) if count else 0.0
        alive[d - count + 1 :] = 0.0
        found.append(d - count + 1)
    return tuple(found)


def false_stop_probability(alpha: float = 0.05, horizon: int = MAX_DISCORDANT_PAIRS, *, rate: float = 0.5) -> float:
    """Chance of ever stopping when each discordant pair is the challenger's with probability `rate`: exact."""
    limits = stopping_thresholds(alpha, horizon)
    alive = np.zeros(horizon + 2)
    alive[0] = 1.0
    for d in range(1, horizon + 1):
        alive[1 : d + 1], alive[0] = alive[1 : d + 1] * (1 - rate) + alive[:d] * rate, alive[0] * (1 - rate)
        alive[limits[d] :] = 0.0
    return 1.0 - float(alive.sum())


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """Where a canary stands."""

    num_pairs: int
    discordant: int
    challenger_only: int
    decision: Literal["stop", "go on"]
    stopped_at_pair: int | None
    """The pair after which it stopped."""


def run_canary_test(champion: Sequence[bool], challenger: Sequence[bool], *, alpha: float = 0.05) -> CanaryResult:
    """Follow pairs in the order in which they came; a flag is a bad answer. Once stopped, later pairs change nothing."""
    limits = stopping_thresholds(alpha)
    discordant = challenger_only = 0
    for at, (old, new) in enumerate(zip(champion, challenger, strict=True), start=1):
        if bool(old) == bool(new):
            continue
        discordant += 1
        challenger_only += bool(new)
        if discordant < len(limits) and challenger_only >= limits[discordant]:
            return CanaryResult(at, discordant, challenger_only, "stop", at)
    return CanaryResult(len(champion), discordant, challenger_only, "go on", None)


def find_stopping_pairs(
    champion: NDArray[np.bool_], challenger: NDArray[np.bool_], *, alpha: float = 0.05, mixture: bool = False
) -> NDArray[np.int64]:
    """For each row (a canary) of flags: the pair at which it stops, or 0. `mixture` uses the mixture SPRT instead."""
    only_new = np.cumsum(challenger & ~champion, axis=1)
    discordant = np.cumsum(challenger ^ champion, axis=1)
    limits = np.array(_mixture_sprt_thresholds(alpha) if mixture else stopping_thresholds(alpha))
    stops = only_new >= limits[np.minimum(discordant, len(limits) - 1)]
    stops &= (discordant > 0) & (discordant < len(limits))
    return np.where(stops.any(axis=1), stops.argmax(axis=1) + 1, 0).astype(np.int64)


@lru_cache(maxsize=2)
def _mixture_sprt_thresholds(alpha: float, horizon: int = MAX_DISCORDANT_PAIRS) -> tuple[int, ...]:
    """Where the likelihood ratio of a uniform rate above ½ to ½ reaches 1/α (Robbins 1970; Ville's inequality)."""
    from scipy.special import betainc, betaln

    found = [1]
    for d in range(1, horizon + 1):
        b = np.arange(d + 1)
        with np.errstate(divide="ignore"):
            above = np.log1p(-betainc(b + 1.0, d - b + 1.0, 0.5))
        ratio = betaln(b + 1, d - b + 1) + above + (d + 1) * np.log(2)
        found.append(int(np.searchsorted(ratio, -np.log(alpha))))
    return tuple(found)
