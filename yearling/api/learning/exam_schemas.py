"""Wire models of `/v1/exams`. Data only."""

from __future__ import annotations

from typing import Any, Literal

from yearling.api.http.schemas import ResponseModel


class ExamMetricView(ResponseModel):
    """A metric with its 95 % interval."""

    name: str
    """Name of the metric."""
    value: float | None
    """Value; null if the metric is undefined."""
    low: float | None
    """Lower end of the interval; null if undefined."""
    high: float | None
    """Upper end of the interval; null if undefined."""
    n: int
    """Number of independent units behind the value."""
    higher_is_better: bool | None
    """Direction of improvement; null if the metric has none."""


class ExamRunView(ResponseModel):
    """One model's run of one exam."""

    object: Literal["exam.run"]
    """Always `exam.run`."""
    id: str
    """ID of the run."""
    exam: str
    """Name of the exam."""
    title: str
    """Title of the exam, for people."""
    exam_hash: str
    """Hash of the exam's cases and settings."""
    model: str
    """Name of the model."""
    model_hash: str
    """Hash of the model."""
    subject: str
    """What was examined: `assistant`, the full turn as served, or `engine`, the bare model."""
    grader: str
    """Name and version of the grader."""
    may_gate: bool
    """Whether the exam may decide about a release."""
    seed: int
    """Seed of the run."""
    num_samples: int
    """Number of answers per case."""
    created_utc: str
    """Start time, ISO 8601 in UTC."""
    finished_utc: str | None
    """End time, ISO 8601 in UTC; null if the run is not complete."""
    measures: list[ExamMetricView]
    """The metrics; empty if the run is not complete."""


class ExamRunPage(ResponseModel):
    """Exam runs, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ExamRunView]
    """The runs."""


class ExamAnswerView(ResponseModel):
    """A graded answer, verbatim."""

    case: str
    """Key of the case."""
    draw: int
    """Number of the answer to this case, from 0."""
    part: str
    """Part of the exam that the case belongs to; empty if the exam has no parts."""
    messages: list[dict[str, Any]]
    """The conversation before the answer."""
    output_text: str
    """The answer."""
    finish_reason: str
    """Why the answer ended."""
    score: float
    """The grader's score."""
    label: str
    """The grader's label."""
    detail: dict[str, Any]
    """Details of the grading, which depend on the grader."""
    error: str
    """Why the answer could not be generated or graded; empty otherwise."""


class ExamView(ResponseModel):
    """An exam run with its worst answers."""

    object: Literal["exam"]
    """Always `exam`."""
    run: ExamRunView
    """The run."""
    settings: dict[str, Any]
    """Settings of the run."""
    summary: dict[str, Any]
    """Results of the run; empty if it is not complete."""
    worst: list[ExamAnswerView]
    """The answers with the lowest scores, worst first."""


class ScoreDifferenceView(ResponseModel):
    """The challenger's mean score minus the champion's, with its 95 % interval."""

    value: float
    """The difference."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


class PairedTestView(ResponseModel):
    """A paired test of two runs."""

    n: int
    """Number of independent units: cases, or clusters of cases."""
    difference: float
    """Mean difference, challenger minus champion."""
    p_better: float
    """One-sided p-value against "the challenger is not better"."""
    p_worse: float
    """One-sided p-value against "the challenger is not worse"."""
    p_tolerable: float
    """One-sided p-value against "the challenger is worse by the margin or more"."""
    detectable: float
    """Smallest difference that this number of units is likely to detect."""
    wins: int
    """Number of units on which the challenger is better."""
    losses: int
    """Number of units on which the challenger is worse."""
    test: str
    """Name of the test."""


class CasePairView(ResponseModel):
    """One case in both runs."""

    key: str
    """Key of the case."""
    part: str
    """Part of the exam that the case belongs to; empty if the exam has no parts."""
    champion: float
    """The champion's mean score."""
    challenger: float
    """The challenger's mean score."""
    champion_text: str
    """The champion's first answer."""
    challenger_text: str
    """The challenger's first answer."""
    prompt: str
    """The question."""


class ExamComparisonView(ResponseModel):
    """Two runs of one exam, case by case."""

    object: Literal["exam.comparison"]
    """Always `exam.comparison`."""
    exam: str
    """Name of the exam."""
    champion: ExamRunView
    """The champion's run."""
    challenger: ExamRunView
    """The challenger's run."""
    interval: ScoreDifferenceView
    """Difference of the mean scores."""
    paired: PairedTestView
    """Paired test of the difference."""
    may_gate: bool
    """Whether the exam may decide about a release."""
    lost: list[CasePairView]
    """Cases on which the challenger is worse, largest change first."""
    won: list[CasePairView]
    """Cases on which the challenger is better, largest change first."""


class GateView(ResponseModel):
    """A gate's decision about a challenger."""

    object: Literal["gate"]
    """Always `gate`."""
    id: str
    """ID of the decision."""
    created_utc: str
    """Time of the decision, ISO 8601 in UTC."""
    champion: str
    """Hash of the champion model."""
    challenger: str
    """Hash of the challenger model."""
    decision: str
    """The decision, such as `ALLOW`."""
    findings: list[dict[str, Any]]
    """Per exam: the difference, its interval and the test."""
    rule: dict[str, Any]
    """The rule that the gate applied."""


class GatePage(ResponseModel):
    """Gate decisions, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[GateView]
    """The decisions."""
