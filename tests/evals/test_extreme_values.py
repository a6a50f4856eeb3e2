"""Worst-case forecasts from few samples."""

from __future__ import annotations

import numpy as np
import pytest

from yearling.errors import BadInput
from yearling.evals.extreme_values import fit_pareto_tail, forecast_worst_case


def test_exponential_tail_has_shape_zero_and_its_own_scale() -> None:
    tail = fit_pareto_tail(np.random.default_rng(0).exponential(2.0, size=20_000))
    assert tail.shape == pytest.approx(0.0, abs=0.08)
    assert tail.scale == pytest.approx(2.0, rel=0.1)


@pytest.mark.slow
def test_forecast_interval_covers_the_worst_nine_times_in_ten() -> None:
    rng = np.random.default_rng(1)
    num_covered = 0
    for trial in range(40):
        forecast = forecast_worst_case(list(rng.normal(size=1000)), 10_000, seed=trial, resamples=100)
        num_covered += forecast.low <= rng.normal(size=10_000).max() <= forecast.high
    assert num_covered >= 32


def test_forecast_of_bounded_and_tied_severities_stays_bounded() -> None:
    forecast = forecast_worst_case([0.0] * 500 + [1.0] * 500, 10_000, resamples=50)
    assert forecast.high <= 1.0 + 1e-9
    forecast = forecast_worst_case([0.0] * 300 + [1.0] * 200, 10_000, resamples=50)
    assert (forecast.median, forecast.low, forecast.high) == (1.0, 1.0, 1.0)


def test_too_few_samples_are_rejected() -> None:
    with pytest.raises(BadInput):
        fit_pareto_tail([0.0] * 10)
