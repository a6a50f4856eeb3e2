"""How bad is the worst of many answers? A forecast from fewer, by the generalised Pareto distribution.

Peaks over a threshold (Pickands 1975; Coles 2001, chapter 4): the excesses over a high quantile of severity follow a generalised
Pareto distribution, fitted by probability-weighted moments (Hosking and Wallis 1987), which needs no search and cannot fail to
converge. The worst of N then has the distribution function (1 − share · (1 − G))^N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yearling.errors import BadInput

MIN_SAMPLES = 200
TAIL_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class ParetoTail:
    """Excesses over `threshold`, which a share of the samples has. `shape` below 0: there is a worst that nothing exceeds."""

    threshold: float
    fraction: float
    shape: float
    scale: float

    def quantile(self, p: float) -> float:
        """The severity that a share 1 − p of all samples exceeds; p must lie above 1 − share."""
        above = (1 - p) / self.fraction
        if abs(self.shape) < 1e-9:
            return self.threshold - self.scale * math.log(above)
        return self.threshold + self.scale / self.shape * (math.pow(above, -self.shape) - 1)


@dataclass(frozen=True, slots=True)
class WorstCaseForecast:
    """The worst of `of` samples: median, and what it lies between in nine of ten cases, with the doubt of the fit."""

    num_samples: int
    median: float
    low: float
    high: float
    tail: ParetoTail


def fit_pareto_tail(severities: Sequence[float] | NDArray[np.float64], *, tail_fraction: float = TAIL_FRACTION) -> ParetoTail:
    """Raises BadInput for fewer samples than a tail can be fitted to."""
    x = np.sort(np.asarray(severities, dtype=np.float64))
    if len(x) < MIN_SAMPLES:
        raise BadInput(f"A forecast of the worst needs {MIN_SAMPLES} samples; there are {len(x)}.")
    threshold = float(np.quantile(x, 1 - tail_fraction))
    excess = x[x > threshold] - threshold
    if len(excess) < 5:  # ties at the top: what was seen is the worst there is
        return ParetoTail(threshold, max(len(excess), 1) / len(x), -1.0, float(excess.max()) if len(excess) else 0.0)
    n = len(excess)
    mean = float(excess.mean())
    weighed = float((excess * (n - np.arange(1, n + 1)) / (n - 1)).mean())
    if mean - 2 * weighed <= 0:  # no spread that moments could tell
        return ParetoTail(threshold, n / len(x), -1.0, float(excess.max()))
    shape = 2 - mean / (mean - 2 * weighed)
    scale = 2 * mean * weighed / (mean - 2 * weighed)
    return ParetoTail(threshold, n / len(x), shape, scale)


def forecast_worst_case(
    severities: Sequence[float], num_samples: int, *, seed: int = 0, resamples: int = 500
) -> WorstCaseForecast:
    """The worst of `of` further samples like these. Severity grows with badness."""
    x = np.asarray(severities, dtype=np.float64)
    tail = fit_pareto_tail(x)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        again = fit_pareto_tail(x[rng.integers(0, len(x), size=len(x))])
        # The largest of N uniforms has the N-th root of a uniform as its distribution.
        p = max(float(rng.random()) ** (1 / num_samples), 1 - again.fraction + 1e-12)
        drawn.append(again.quantile(min(p, 1 - 1e-15)))
    low, high = np.quantile(drawn, [0.05, 0.95])
    return WorstCaseForecast(
        num_samples, tail.quantile(max(0.5 ** (1 / num_samples), 1 - tail.fraction)), float(low), float(high), tail
    )
