"""Properties of the canary's sequential test, and a mixture SPRT to compare it with. Used by `yearling bench gates` and tests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from yearling.evals.sequential import MAX_DISCORDANT_PAIRS, stop_probabilities, stopping_thresholds


def false_stop_probability(alpha: float = 0.05, horizon: int = MAX_DISCORDANT_PAIRS, *, rate: float = 0.5) -> float:
    """Exact probability of ever stopping when each discordant pair is the challenger's with probability `rate`."""
    return stop_probabilities(alpha, rate, horizon)[-1]


def find_stopping_pairs(
    champion: NDArray[np.bool_], challenger: NDArray[np.bool_], *, alpha: float = 0.05, mixture: bool = False
) -> NDArray[np.int64]:
    """For each row of flags (one canary): the pair at which it stops, counted from 1, or 0 if it never does.

    `mixture` uses the mixture SPRT's thresholds instead of ours.
    """
    challenger_only = np.cumsum(challenger & ~champion, axis=1)
    discordant = np.cumsum(challenger ^ champion, axis=1)
    thresholds = np.array(_mixture_sprt_thresholds(alpha) if mixture else stopping_thresholds(alpha))
    stops = challenger_only >= thresholds[np.minimum(discordant, len(thresholds) - 1)]
    stops &= (discordant > 0) & (discordant < len(thresholds))
    return np.where(stops.any(axis=1), stops.argmax(axis=1) + 1, 0).astype(np.int64)


@lru_cache(maxsize=2)
def _mixture_sprt_thresholds(alpha: float, horizon: int = MAX_DISCORDANT_PAIRS) -> tuple[int, ...]:
    """Where the likelihood ratio of a uniform rate above ½ to ½ reaches 1/α (Robbins 1970; Ville's inequality)."""
    from scipy.special import betainc, betaln

    thresholds = [1]
    for d in range(1, horizon + 1):
        b = np.arange(d + 1)
        with np.errstate(divide="ignore"):
            above = np.log1p(-betainc(b + 1.0, d - b + 1.0, 0.5))
        ratio = betaln(b + 1, d - b + 1) + above + (d + 1) * np.log(2)
        thresholds.append(int(np.searchsorted(ratio, -np.log(alpha))))
    return tuple(thresholds)
