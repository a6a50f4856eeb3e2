"""Does an exam measure what people want? Rank correlation of its scores with blind, bridged preference over checkpoints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from yearling.evals.blind_preference import bradley_terry_strengths, count_blind_wins
from yearling.evals.statistics import bootstrap_interval, spearman_correlation
from yearling.store import Store

MIN_CHECKPOINTS = 5
MIN_CORRELATION = 0.3
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class PreferenceCorrelation:
    """How well one exam agrees with people.

    With too few checkpoints the correlation is unknown: the numbers are None, and the exam keeps its power to gate.
    """

    exam: str
    checkpoints: int
    """Checkpoints that have both a score and a preference."""
    correlation: float | None
    low: float | None
    high: float | None
    may_gate: bool
    conclusion: str
    """The conclusion in one sentence, for people."""


def correlate_with_preference(
    exam: str, scores: Mapping[str, float], preference: Mapping[str, float], *, seed: int = 0
) -> PreferenceCorrelation:
    """Spearman's correlation with a 95 % bootstrap interval, over the checkpoints (model hashes) that both mappings have.

    An exam loses its power to gate when its correlation is below MIN_CORRELATION, or undefined because all scores or all
    preferences are the same.
    """
    checkpoints = sorted(set(scores) & set(preference))
    n = len(checkpoints)
    if n < MIN_CHECKPOINTS:
        conclusion = f"Unknown: this needs {MIN_CHECKPOINTS} checkpoints with scores and blind preferences, and there are {n}."
        return PreferenceCorrelation(exam, n, None, None, None, True, conclusion)
    x, y = (np.array([values[checkpoint] for checkpoint in checkpoints]) for values in (scores, preference))
    interval = bootstrap_interval(spearman_correlation, x, y, seed=seed, resamples=RESAMPLES, vectorized=True)
    if math.isnan(interval.value):
        conclusion = "All scores or all preferences are the same, so there is no correlation to measure."
        return PreferenceCorrelation(exam, n, None, None, None, False, conclusion)
    may_gate = interval.value >= MIN_CORRELATION
    conclusion = (
        "People prefer what it measures."
        if may_gate
        else f"The correlation is below {MIN_CORRELATION:g}, so the exam has lost its power to gate."
    )
    return PreferenceCorrelation(exam, n, interval.value, interval.low, interval.high, may_gate, conclusion)


def correlate_exams_with_preference(store: Store) -> list[PreferenceCorrelation]:
    """Every exam that has a finished run, by name: its scores against what people preferred blind."""
    preference = bradley_terry_strengths(count_blind_wins(store))
    return [
        correlate_with_preference(exam, scores, preference) for exam, scores in sorted(_newest_scores(store, preference).items())
    ]


def _newest_scores(store: Store, rated_models: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Exam -> model -> newest score.

    Scores compare only within one variant of an exam (its hash and its subject); of several, the one counts that most of the
    rated models have taken.
    """
    variants: defaultdict[str, defaultdict[tuple[str, str], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for run in store.exams.list(limit=10_000):
        if run.finished_utc is not None and run.summary["measures"][0]["value"] is not None:
            variant = variants[run.exam][run.exam_hash, run.subject]
            variant.setdefault(run.model_hash, run.summary["measures"][0]["value"])
    return {
        exam: max(by_variant.values(), key=lambda scores: (len(scores.keys() & rated_models.keys()), len(scores)))
        for exam, by_variant in variants.items()
    }
