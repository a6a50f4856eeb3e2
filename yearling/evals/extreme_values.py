"""Forecasts the worst of many answers from fewer, with the generalised Pareto distribution.

Peaks over a threshold (Pickands 1975; Coles 2001, chapter 4): the excesses over a high quantile of severity follow a generalised
Pareto distribution. The worst of N samples then has the distribution function (1 − fraction · (1 − G))^N.

The fit uses probability-weighted moments (Hosking and Wallis 1987): a closed form that cannot fail to converge.
`scipy.stats.genpareto.fit` maximises the likelihood instead, by a search that may fail, and gives other numbers. Only the
quantile is SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yearling.errors import BadInput
from yearling.evals.statistics import FloatArray

MIN_SAMPLES = 200
TAIL_FRACTION = 0.1

_MIN_EXCESSES = 5
"""With fewer excesses the highest severities are ties, and the worst seen counts as the worst there is."""


@dataclass(frozen=True, slots=True)
class ParetoTail:
    """Excesses over `threshold`, which `fraction` of the samples exceed. A `shape` below 0 means that severity is bounded."""

    threshold: float
    fraction: float
    shape: float
    scale: float

    def quantile(self, p: float) -> float:
        """The severity that a share 1 − p of all samples exceeds. `p` must be at least 1 − fraction."""
        from scipy.stats import genpareto

        if self.scale == 0:
            return self.threshold
        return float(genpareto.isf(min(1.0, (1 - p) / self.fraction), self.shape, loc=self.threshold, scale=self.scale))


@dataclass(frozen=True, slots=True)
class WorstCaseForecast:
    """The worst of `num_samples` samples: its median, and a 90 % interval that includes the uncertainty of the fit."""

    num_samples: int
    median: float
    low: float
    high: float
    tail: ParetoTail


def fit_pareto_tail(severities: Sequence[float] | FloatArray, *, tail_fraction: float = TAIL_FRACTION) -> ParetoTail:
    """Fit the highest `tail_fraction` of the severities. Raises BadInput for fewer than MIN_SAMPLES."""
    x = np.sort(np.asarray(severities, dtype=np.float64))
    if len(x) < MIN_SAMPLES:
        raise BadInput(f"A worst-case forecast needs at least {MIN_SAMPLES} samples, but there are only {len(x)}.")
    threshold = float(np.quantile(x, 1 - tail_fraction))
    excess = x[x > threshold] - threshold
    n = len(excess)
    if n < _MIN_EXCESSES:
        return ParetoTail(threshold, max(n, 1) / len(x), -1.0, float(excess.max()) if n else 0.0)
    mean = float(excess.mean())
    weighted_mean = float((excess * (n - np.arange(1, n + 1)) / (n - 1)).mean())
    if mean - 2 * weighted_mean <= 0:  # the excesses are all alike, so moments determine no shape
        return ParetoTail(threshold, n / len(x), -1.0, float(excess.max()))
    shape = 2 - mean / (mean - 2 * weighted_mean)
    scale = 2 * mean * weighted_mean / (mean - 2 * weighted_mean)
    return ParetoTail(threshold, n / len(x), shape, scale)


def forecast_worst_case(
    severities: Sequence[float], num_samples: int, *, seed: int = 0, resamples: int = 500
) -> WorstCaseForecast:
    """Forecast the worst of `num_samples` further samples like these; higher severity is worse. Raises BadInput for too few."""
    x = np.asarray(severities, dtype=np.float64)
    tail = fit_pareto_tail(x)
    rng = np.random.default_rng(seed)
    worst = []
    for _ in range(resamples):
        refitted = fit_pareto_tail(x[rng.integers(0, len(x), size=len(x))])
        # The largest of N uniform variables has the N-th root of a uniform variable as its distribution.
        p = max(float(rng.random()) ** (1 / num_samples), 1 - refitted.fraction + 1e-12)
        worst.append(refitted.quantile(min(p, 1 - 1e-15)))
    low, high = np.quantile(worst, [0.05, 0.95])
    median = tail.quantile(max(0.5 ** (1 / num_samples), 1 - tail.fraction))
    return WorstCaseForecast(num_samples, median, float(low), float(high), tail)
