"""Does a gate measure what people want? Rank correlation of its scores with blinded, bridged preference, over checkpoints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from yearling.evals.blind_preference import bradley_terry_strengths, count_blind_wins
from yearling.evals.statistics import spearman_correlation
from yearling.store import Store

MIN_CHECKPOINTS = 5
MIN_CORRELATION = 0.3


@dataclass(frozen=True, slots=True)
class PreferenceCorrelation:
    """One suite. With too few checkpoints nothing is known, and the figures are None; a suite then keeps its power."""

    suite: str
    checkpoints: int
    """Those that have both a score and a preference."""
    correlation: float | None
    low: float | None
    high: float | None
    may_gate: bool
    said: str


def correlate_with_preference(
    suite: str, scores: Mapping[str, float], preference: Mapping[str, float], *, seed: int = 0
) -> PreferenceCorrelation:
    """Over the checkpoints (by model hash) that have both; Spearman with a 95 % bootstrap interval.

    A suite whose correlation falls below the least that is useful loses its gating power, and one without a correlation too (the
    same score, or the same preference, for all).
    """
    both = sorted(set(scores) & set(preference))
    if len(both) < MIN_CHECKPOINTS:
        said = (
            f"Not known: it takes {MIN_CHECKPOINTS} checkpoints with scores and blinded preferences, and there are {len(both)}."
        )
        return PreferenceCorrelation(suite, len(both), None, None, None, True, said)
    x, y = np.array([scores[one] for one in both]), np.array([preference[one] for one in both])
    found = spearman_correlation(list(x), list(y))
    if math.isnan(found):
        return PreferenceCorrelation(
            suite, len(both), None, None, None, False, "All scores, or all preferences, are the same: it tells nothing."
        )
    rng = np.random.default_rng(seed)
    drawn = [spearman_correlation(list(x[i]), list(y[i])) for i in rng.integers(0, len(both), size=(1000, len(both)))]
    low, high = np.quantile([value for value in drawn if not math.isnan(value)], [0.025, 0.975])
    useful = found >= MIN_CORRELATION
    said = "People want what it measures." if useful else f"Below {MIN_CORRELATION:g}: it has lost its gating power."
    return PreferenceCorrelation(suite, len(both), found, float(low), float(high), useful, said)


def correlate_exams_with_preference(store: Store) -> list[PreferenceCorrelation]:
    """Every exam that was sat, by name: its scores against what people preferred blind."""
    preference = bradley_terry_strengths(count_blind_wins(store))
    return [
        correlate_with_preference(suite, scores, preference)
        for suite, scores in sorted(_newest_scores(store, preference).items())
    ]


def _newest_scores(store: Store, rated_models: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Exam -> model -> the newest score. Of several ways to put an exam the one that most of the wanted models sat."""
    ways: defaultdict[str, defaultdict[tuple[str, str], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for run in store.exams.list(limit=10_000):
        if run.finished_utc is not None and run.summary["measures"][0]["value"] is not None:
            way = ways[run.exam][run.exam_hash, run.subject]
            way.setdefault(run.model_hash, run.summary["measures"][0]["value"])
    return {
        exam: max(some.values(), key=lambda way: (len(way.keys() & rated_models.keys()), len(way))) for exam, some in ways.items()
    }
