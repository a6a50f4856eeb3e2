"""Calibration against scikit-learn 1.9.1, whose figures for these numbers are written here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yearling.evals.graders.calibration import auroc, bootstrap_metric_interval, brier_score, expected_calibration_error


def _stated() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    stated = np.round(rng.random(200), 2)
    return stated, (rng.random(200) < stated**1.5).astype(float)


def test_figures_are_those_of_scikit_learn() -> None:
    """brier_score_loss, roc_auc_score, and calibration_curve weighed by its bins.

    Confidences on an edge between bins are moved off it, since the two put them on different sides.
    """
    stated, right = _stated()
    assert brier_score(stated, right) == pytest.approx(0.1542635)
    assert auroc(stated, right) == pytest.approx(0.870971063742148)
    off_edge = np.clip(np.where(stated * 10 % 1 < 1e-9, stated + 0.001, stated), 0, 1)
    assert expected_calibration_error(off_edge, right) == pytest.approx(0.088245)


def test_extremes() -> None:
    sure, right = np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    assert (brier_score(sure, right), expected_calibration_error(sure, right), auroc(sure, right)) == (0.0, 0.0, 1.0)
    assert math.isnan(auroc(sure, np.ones(3)))
    assert auroc(np.full(4, 0.5), np.array([1.0, 0.0, 1.0, 0.0])) == 0.5


def test_intervals_hold_the_figure() -> None:
    stated, right = _stated()
    found = bootstrap_metric_interval(auroc, list(stated), [bool(one) for one in right], resamples=300)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2
