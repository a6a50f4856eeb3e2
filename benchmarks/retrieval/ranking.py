"""Recall, mean reciprocal rank and AUC, with bootstrap intervals over passages: questions about one passage are alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 1000


def recall_at(ranks: NDArray[np.int64], depth: int) -> float:
    """The share of questions whose passage is among the first; ranks count from 1, 0 is not found."""
    return float(((ranks > 0) & (ranks <= depth)).mean())


def mean_reciprocal_rank(ranks: NDArray[np.int64], depth: int = 10) -> float:
    """The mean of 1 / rank, 0 for ranks below `depth`."""
    return float(np.where((ranks > 0) & (ranks <= depth), 1 / np.maximum(ranks, 1), 0).mean())


def area_under_curve(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """The probability that a positive scores higher than a negative; ties count half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))


def bootstrap(groups: NDArray[np.int64], measure: Callable[[NDArray[np.int64]], float], *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a measure of questions, given by their positions, when groups of questions are drawn anew."""
    rng = np.random.default_rng(seed)
    names = np.unique(groups)
    members = [np.flatnonzero(groups == name) for name in names]
    values = []
    for _ in range(NUM_RESAMPLES):
        drawn = rng.integers(0, len(names), len(names))
        values.append(measure(np.concatenate([members[number] for number in drawn])))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def best_threshold(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """The threshold with the highest mean of the shares that are right on both sides."""
    values = np.unique(np.concatenate([positive, negative]))
    middles = (values[1:] + values[:-1]) / 2
    sensitivity = 1 - np.searchsorted(np.sort(positive), middles, "left") / len(positive)
    specificity = np.searchsorted(np.sort(negative), middles, "left") / len(negative)
    return float(middles[(sensitivity + specificity).argmax()])
