"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.case import (
    Case,
    Exam,
    ExamSample,
    Grader,
    GraderCard,
    Measure,
    Response,
    Summarising,
    Verdict,
)

__all__ = [
    "Case",
    "Exam",
    "ExamSample",
    "Grader",
    "GraderCard",
    "Measure",
    "Response",
    "Summarising",
    "Verdict",
]
