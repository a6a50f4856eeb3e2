"""What a run adds up to: each measure with its interval, per part too, and over the draws of a case the mean, worst and best."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from yearling.evals.case import ExamMetric, ExamSample, Grader, SummarisingGrader
from yearling.evals.extreme_values import MIN_SAMPLES, forecast_worst_case
from yearling.evals.statistics import Interval, bootstrap_ratio_interval, clopper_pearson_interval, sum_by_cluster

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FORECAST_NUM_SAMPLES = 10_000


def summarise(grader: Grader, samples: Sequence[ExamSample]) -> dict[str, Any]:
    """Plain JSON, from the samples alone."""
    measures = [score_metric(samples), *ratio_metrics(samples)]
    if isinstance(grader, SummarisingGrader):
        measures += grader.compute_metrics(samples)
    parts: defaultdict[str, list[ExamSample]] = defaultdict(list)
    for sample in samples:
        parts[sample.part].append(sample)
    labels = [sample.verdict.label for sample in samples if sample.verdict.label]
    return {
        "measures": [_metric_to_json(measure) for measure in measures],
        "parts": {name: _metric_to_json(score_metric(some)) for name, some in sorted(parts.items())} if len(parts) > 1 else {},
        "labels": {label: labels.count(label) for label in sorted(set(labels))},
        "cases": len({sample.case_key for sample in samples}),
        "samples": len(samples),
        "errors": sum(1 for sample in samples if sample.verdict.error),
        "cut_off": sum(1 for sample in samples if sample.finish_reason == "length"),
        "draws": draw_statistics(samples),
        "forecast": _forecast_json(samples),
        "prompt_tokens": sum(sample.prompt_tokens for sample in samples),
        "completion_tokens": sum(sample.completion_tokens for sample in samples),
    }


def score_metric(samples: Sequence[ExamSample]) -> ExamMetric:
    """The mean score: an exact interval for pass/fail on independent cases, else a bootstrap over clusters."""
    scores, units = [sample.verdict.score for sample in samples], [sample.cluster for sample in samples]
    if set(scores) <= {0.0, 1.0} and len(set(units)) == len(units):
        found = clopper_pearson_interval(int(sum(scores)), len(scores))
    else:
        found = bootstrap_ratio_interval(*sum_by_cluster(scores, units))
    return ExamMetric(name="score", value=found.value, low=found.low, high=found.high, n=len(set(units)))


def ratio_metrics(samples: Sequence[ExamSample]) -> list[ExamMetric]:
    """The ratio of sums of every further measure that verdicts carry."""
    names = dict.fromkeys(name for sample in samples for name in sample.verdict.ratios)
    return [_ratio_metric(name, [sample for sample in samples if name in sample.verdict.ratios]) for name in names]


def _ratio_metric(name: str, samples: Sequence[ExamSample]) -> ExamMetric:
    units = [sample.cluster for sample in samples]
    tops, _ = sum_by_cluster([sample.verdict.ratios[name][0] for sample in samples], units)
    bottoms, _ = sum_by_cluster([sample.verdict.ratios[name][1] for sample in samples], units)
    found: Interval = bootstrap_ratio_interval(tops, bottoms)
    return ExamMetric(name=name, value=found.value, low=found.low, high=found.high, n=len(tops))


def draw_statistics(samples: Sequence[ExamSample]) -> dict[str, Any]:
    """Over the cases: their mean, the mean of their worst and of their best draw, and the quantiles of the cases' means."""
    cases: defaultdict[str, list[float]] = defaultdict(list)
    for sample in samples:
        cases[sample.case_key].append(sample.verdict.score)
    means = [float(np.mean(scores)) for scores in cases.values()]
    return {
        "per_case": max(len(scores) for scores in cases.values()),
        "mean": float(np.mean(means)),
        "worst": float(np.mean([min(scores) for scores in cases.values()])),
        "best": float(np.mean([max(scores) for scores in cases.values()])),
        "quantiles": {f"{q:g}": float(np.quantile(means, q)) for q in QUANTILES},
    }


def _forecast_json(samples: Sequence[ExamSample]) -> dict[str, Any] | None:
    """The worst of ten thousand from those here, where scores are graded finely enough to have a tail."""
    severities = [1 - sample.verdict.score for sample in samples]
    if len(severities) < MIN_SAMPLES or len(set(severities)) < 20:
        return None
    found = forecast_worst_case(severities, FORECAST_NUM_SAMPLES)
    return {"of": found.num_samples, "score": 1 - found.median, "low": 1 - found.high, "high": 1 - found.low}


def _metric_to_json(measure: ExamMetric) -> dict[str, Any]:
    """JSON knows no NaN: a figure that is not defined is null."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(measure).items()}
