"""What `/v1/exams` tells."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class ExamMetricView(BaseModel):
    """A figure with its 95 % interval; null where it is not defined."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool | None


class ExamRunView(BaseModel):
    """One model's sitting of one exam. `measures` is empty, and `finished_utc` null, while it is not complete."""

    object: Literal["exam.run"]
    id: str
    exam: str
    title: str
    exam_hash: str
    model: str
    model_hash: str
    subject: str
    grader: str
    may_gate: bool
    seed: int
    num_samples: int
    created_utc: str
    finished_utc: str | None
    measures: list[ExamMetricView]


class ExamRunPage(BaseModel):
    """Newest first."""

    object: Literal["list"]
    data: list[ExamRunView]


class ExamAnswerView(BaseModel):
    """One answer verbatim, with what the grader found."""

    case: str
    draw: int
    part: str
    messages: list[dict[str, Any]]
    output_text: str
    finish_reason: str
    score: float
    label: str
    detail: dict[str, Any]
    error: str


class ExamView(BaseModel):
    """One run with everything that it adds up to, how it was put, and its worst answers."""

    object: Literal["exam"]
    run: ExamRunView
    settings: dict[str, Any]
    summary: dict[str, Any]
    worst: list[ExamAnswerView]


class ScoreDifferenceView(BaseModel):
    """The challenger's mean score less the champion's, and what it may lie between (95 %)."""

    value: float
    low: float
    high: float


class PairedTestView(BaseModel):
    """What the pairs say: independent units, how many got better and worse, one-sided p-values, and what so many pairs show."""

    n: int
    difference: float
    p_better: float
    p_worse: float
    p_tolerable: float
    detectable: float
    wins: int
    losses: int
    test: str


class CasePairView(BaseModel):
    """One case in both runs: mean scores, and the first answer of each verbatim."""

    key: str
    part: str
    champion: float
    challenger: float
    champion_text: str
    challenger_text: str
    prompt: str


class ExamComparisonView(BaseModel):
    """Two runs of one exam, case by case, and the cases that changed most each way."""

    object: Literal["exam.comparison"]
    exam: str
    champion: ExamRunView
    challenger: ExamRunView
    interval: ScoreDifferenceView
    paired: PairedTestView
    may_gate: bool
    lost: list[CasePairView]
    won: list[CasePairView]


class GateView(BaseModel):
    """What a gate decided of a challenger. `findings` has the difference, its interval and the test of every exam."""

    object: Literal["gate"]
    id: str
    created_utc: str
    champion: str
    challenger: str
    decision: str
    findings: list[dict[str, Any]]
    rule: dict[str, Any]


class GatePage(BaseModel):
    """Newest first."""

    object: Literal["list"]
    data: list[GateView]
