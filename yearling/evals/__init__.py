"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.blind_preference import blinded_wins, strengths
from yearling.evals.case import Case, Exam, ExamSample, Grader, GraderCard, Measure, Response, Summarising, Verdict
from yearling.evals.comparison import CasePair, Comparison, compare, gate_body, gate_over, last_user_text
from yearling.evals.exams.catalogue import Entry, exam_entries, open_exam
from yearling.evals.exams.fingerprints import exam_fingerprints
from yearling.evals.exams.sources import ExamFiles, Places, SourceFile, exam_files
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
from yearling.evals.graders.answers import validate_answers
from yearling.evals.graders.judge import JudgedPair, judge_card, judge_exam, llmbar_pairs
from yearling.evals.graders.refusal import refuses, validate_refusals
from yearling.evals.inspect_tasks import LogSubject, inspect_task
from yearling.evals.leaks import Leak, find_leaks
from yearling.evals.preference_correlation import Usefulness, useful_exams, usefulness_of
from yearling.evals.reports.model_card import ModelCard, Training, card_markdown, card_page, learnt_from, model_card
from yearling.evals.reports.pages import comparison_facts, comparison_page, run_page
from yearling.evals.runner import Regraded, grade, read_samples, regrade, run_exam
from yearling.evals.sequential import Look, canary
from yearling.evals.spec.check import check_spec, write_ids
from yearling.evals.spec.run import SpecReport, regrade_spec, run_spec, spec_exam, worst_outputs
from yearling.evals.statistics import wilson
from yearling.evals.subject import AssistantSubject, EngineSubject, Subject, score_options

__all__ = [
    "AssistantSubject",
    "Case",
    "CasePair",
    "Comparison",
    "Decision",
    "EngineSubject",
    "Entry",
    "Exam",
    "ExamFiles",
    "ExamSample",
    "Finding",
    "GateResult",
    "GateRule",
    "Grader",
    "GraderCard",
    "JudgedPair",
    "Leak",
    "LogSubject",
    "Look",
    "Measure",
    "ModelCard",
    "Paired",
    "Places",
    "Regraded",
    "Response",
    "SourceFile",
    "SpecReport",
    "Subject",
    "Summarising",
    "Training",
    "Usefulness",
    "Verdict",
    "blinded_wins",
    "canary",
    "card_markdown",
    "card_page",
    "check_spec",
    "compare",
    "comparison_facts",
    "comparison_page",
    "decide",
    "difference_interval",
    "exam_entries",
    "exam_files",
    "exam_fingerprints",
    "find_leaks",
    "gate_body",
    "gate_over",
    "grade",
    "inspect_task",
    "judge_card",
    "judge_exam",
    "last_user_text",
    "learnt_from",
    "llmbar_pairs",
    "model_card",
    "open_exam",
    "pair_counts",
    "pair_scores",
    "read_samples",
    "refuses",
    "regrade",
    "regrade_spec",
    "run_exam",
    "run_page",
    "run_spec",
    "score_options",
    "spec_exam",
    "strengths",
    "useful_exams",
    "usefulness_of",
    "validate_answers",
    "validate_refusals",
    "wilson",
    "worst_outputs",
    "write_ids",
]
