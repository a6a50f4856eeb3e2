"""Calibration metrics against scikit-learn 1.9.1, whose results for these numbers are written here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yearling.evals.graders.calibration import auroc, bootstrap_metric_interval, brier_score, expected_calibration_error
from yearling.evals.statistics import FloatArray


def draw_answers() -> tuple[FloatArray, FloatArray]:
    """Stated confidences, and 1 for each correct answer."""
    rng = np.random.default_rng(7)
    confidence = np.round(rng.random(200), 2)
    return confidence, (rng.random(200) < confidence**1.5).astype(np.float64)


def test_metrics_equal_scikit_learn() -> None:
    """brier_score_loss, roc_auc_score, and calibration_curve weighted by its bins.

    Confidences on an edge between bins are moved off it, since the two libraries assign them to different bins.
    """
    confidence, correct = draw_answers()
    assert brier_score(confidence, correct) == pytest.approx(0.1542635)
    assert auroc(confidence, correct) == pytest.approx(0.870971063742148)
    off_edge = np.clip(np.where(confidence * 10 % 1 < 1e-9, confidence + 0.001, confidence), 0, 1)
    assert expected_calibration_error(off_edge, correct) == pytest.approx(0.088245)


def test_perfect_uninformative_and_undefined_confidence() -> None:
    confidence, correct = np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    assert brier_score(confidence, correct) == 0.0
    assert expected_calibration_error(confidence, correct) == 0.0
    assert auroc(confidence, correct) == 1.0
    assert math.isnan(auroc(confidence, np.ones(3)))
    assert auroc(np.full(4, 0.5), np.array([1.0, 0.0, 1.0, 0.0])) == 0.5


def test_interval_contains_the_value() -> None:
    confidence, correct = draw_answers()
    interval = bootstrap_metric_interval(auroc, list(confidence), [bool(value) for value in correct], resamples=300)
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.low < 0.2
