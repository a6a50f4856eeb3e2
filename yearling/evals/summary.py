"""Aggregates the samples of a run: metrics with intervals, overall and by part, and statistics over the draws of each case.

It reads stored samples only, so a run that was interrupted ends like one that was not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from yearling.evals.case import ExamMetric, Grader, SummarisingGrader
from yearling.evals.extreme_values import MIN_SAMPLES, forecast_worst_case
from yearling.evals.statistics import bootstrap_ratio_interval, clopper_pearson_interval, sum_by_cluster
from yearling.store import GradedSample

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FORECAST_NUM_SAMPLES = 10_000
_MIN_DISTINCT_SCORES = 20
"""With fewer distinct scores there is no tail to fit a forecast to."""


def summarise(grader: Grader, samples: Sequence[GradedSample]) -> dict[str, object]:
    """The summary that is stored with a run, as plain JSON."""
    metrics = [score_metric(samples), *ratio_metrics(samples)]
    if isinstance(grader, SummarisingGrader):
        metrics += grader.compute_metrics(samples)
    parts: defaultdict[str, list[GradedSample]] = defaultdict(list)
    for sample in samples:
        parts[sample.part].append(sample)
    labels = [sample.label for sample in samples if sample.label]
    return {
        "measures": [_metric_to_json(metric) for metric in metrics],
        "parts": {name: _metric_to_json(score_metric(members)) for name, members in sorted(parts.items())}
        if len(parts) > 1
        else {},
        "labels": {label: labels.count(label) for label in sorted(set(labels))},
        "cases": len({sample.case_key for sample in samples}),
        "samples": len(samples),
        "errors": sum(1 for sample in samples if sample.error),
        "cut_off": sum(1 for sample in samples if sample.finish_reason == "length"),
        "draws": draw_statistics(samples),
        "forecast": _forecast_json(samples),
        "prompt_tokens": sum(sample.prompt_tokens for sample in samples),
        "completion_tokens": sum(sample.completion_tokens for sample in samples),
    }


def score_metric(samples: Sequence[GradedSample]) -> ExamMetric:
    """The mean score, with an exact interval for pass/fail on independent cases and otherwise a bootstrap over clusters."""
    scores, clusters = [sample.score for sample in samples], [sample.cluster for sample in samples]
    if set(scores) <= {0.0, 1.0} and len(set(clusters)) == len(clusters):
        interval = clopper_pearson_interval(int(sum(scores)), len(scores))
    else:
        interval = bootstrap_ratio_interval(*sum_by_cluster(scores, clusters))
    return ExamMetric.from_interval("score", interval, len(set(clusters)))


def ratio_metrics(samples: Sequence[GradedSample]) -> list[ExamMetric]:
    """The ratio of sums for every further metric that the verdicts carry."""
    names = dict.fromkeys(name for sample in samples for name in sample.verdict["parts"])
    return [_ratio_metric(name, [sample for sample in samples if name in sample.verdict["parts"]]) for name in names]


def _ratio_metric(name: str, samples: Sequence[GradedSample]) -> ExamMetric:
    clusters = [sample.cluster for sample in samples]
    numerators, _ = sum_by_cluster([sample.verdict["parts"][name][0] for sample in samples], clusters)
    denominators, _ = sum_by_cluster([sample.verdict["parts"][name][1] for sample in samples], clusters)
    interval = bootstrap_ratio_interval(numerators, denominators)
    return ExamMetric.from_interval(name, interval, len(numerators))


def draw_statistics(samples: Sequence[GradedSample]) -> dict[str, object]:
    """Over the cases: the mean score, the mean of the worst and of the best draw, and quantiles of the case means."""
    scores_by_case: defaultdict[str, list[float]] = defaultdict(list)
    for sample in samples:
        scores_by_case[sample.case_key].append(sample.score)
    means = [float(np.mean(scores)) for scores in scores_by_case.values()]
    return {
        "per_case": max(len(scores) for scores in scores_by_case.values()),
        "mean": float(np.mean(means)),
        "worst": float(np.mean([min(scores) for scores in scores_by_case.values()])),
        "best": float(np.mean([max(scores) for scores in scores_by_case.values()])),
        "quantiles": {f"{q:g}": float(np.quantile(means, q)) for q in QUANTILES},
    }


def _forecast_json(samples: Sequence[GradedSample]) -> dict[str, float] | None:
    """A forecast of the worst of FORECAST_NUM_SAMPLES answers, where there are enough samples and scores are fine enough."""
    severities = [1 - sample.score for sample in samples]
    if len(severities) < MIN_SAMPLES or len(set(severities)) < _MIN_DISTINCT_SCORES:
        return None
    forecast = forecast_worst_case(severities, FORECAST_NUM_SAMPLES)
    return {"of": forecast.num_samples, "score": 1 - forecast.median, "low": 1 - forecast.high, "high": 1 - forecast.low}


def _metric_to_json(metric: ExamMetric) -> dict[str, object]:
    """JSON has no NaN, so an undefined number becomes null."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(metric).items()}
