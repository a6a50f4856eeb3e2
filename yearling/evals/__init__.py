"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.case import Case, Exam, ExamSample, Grader, GraderCard, Measure, Response, Summarising, Verdict
from yearling.evals.gate import (
    Decision,
    Finding,
    GateResult,
    GateRule,
    Paired,
    decide,
    difference_interval,
    pair_counts,
    pair_scores,
)
from yearling.evals.proofs import ProofLine, prove
from yearling.evals.sequential import Look, canary

__all__ = [
    "Case",
    "Decision",
    "Exam",
    "ExamSample",
    "Finding",
    "GateResult",
    "GateRule",
    "Grader",
    "GraderCard",
    "Look",
    "Measure",
    "Paired",
    "ProofLine",
    "Response",
    "Summarising",
    "Verdict",
    "canary",
    "decide",
    "difference_interval",
    "pair_counts",
    "pair_scores",
    "prove",
]
