"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.case import Case, Exam, ExamSample, Grader, GraderCard, Measure, Response, Summarising, Verdict
from yearling.evals.comparison import CasePair, Comparison, compare, gate, gate_body
from yearling.evals.fingerprints import exam_fingerprints
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
from yearling.evals.runner import Regraded, grade, read_samples, regrade, run_exam
from yearling.evals.sequential import Look, canary
from yearling.evals.spec_check import check_spec, write_ids
from yearling.evals.spec_run import SpecReport, regrade_spec, run_spec, worst_outputs
from yearling.evals.statistics import wilson
from yearling.evals.subject import AssistantSubject, EngineSubject, Subject, score_options

__all__ = [
    "AssistantSubject",
    "Case",
    "CasePair",
    "Comparison",
    "Decision",
    "EngineSubject",
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
    "Regraded",
    "Response",
    "SpecReport",
    "Subject",
    "Summarising",
    "Verdict",
    "canary",
    "check_spec",
    "compare",
    "decide",
    "difference_interval",
    "exam_fingerprints",
    "gate",
    "gate_body",
    "grade",
    "pair_counts",
    "pair_scores",
    "prove",
    "read_samples",
    "regrade",
    "regrade_spec",
    "run_exam",
    "run_spec",
    "score_options",
    "wilson",
    "worst_outputs",
    "write_ids",
]
