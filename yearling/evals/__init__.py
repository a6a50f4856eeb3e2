"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.blind_preference import bradley_terry_strengths, count_blind_wins
from yearling.evals.case import (
    Case,
    Exam,
    ExamMetric,
    Grader,
    GraderCard,
    SubjectResponse,
    SummarisingGrader,
    Verdict,
)
from yearling.evals.comparison import CasePair, ExamComparison, compare_runs, evaluate_gate, gate_to_json, last_user_text
from yearling.evals.exams.catalogue import ExamEntry, exam_entries, open_exam
from yearling.evals.exams.fingerprints import fingerprint_exams
from yearling.evals.exams.sources import ExamDataFolders, ExamDownload, SourceFile, exam_downloads
from yearling.evals.gate import (
    ExamGateDecision,
    GateFinding,
    GateResult,
    GateRule,
    PairedTestResult,
    decide_gate,
    difference_interval,
    paired_test_from_counts,
    paired_test_from_scores,
)
from yearling.evals.graders.answers import validate_answers
from yearling.evals.graders.judge import LLMBarPair, build_judge_card, build_judge_exam, load_llmbar_pairs
from yearling.evals.graders.refusal import is_refusal, validate_refusals
from yearling.evals.inspect_tasks import InspectLogSubject, build_inspect_task
from yearling.evals.leaks import LessonLeak, find_leaks
from yearling.evals.preference_correlation import (
    PreferenceCorrelation,
    correlate_exams_with_preference,
    correlate_with_preference,
)
from yearling.evals.reports.model_card import (
    ModelCard,
    TrainingHistory,
    build_model_card,
    count_training_data,
    render_model_card_markdown,
    render_model_card_page,
)
from yearling.evals.reports.pages import comparison_to_json, render_comparison_page, render_run_page
from yearling.evals.runner import RegradeResult, grade_response, regrade_run, run_exam
from yearling.evals.sequential import CanaryResult, run_canary_test
from yearling.evals.spec.check import check_spec, write_unlisted_ids
from yearling.evals.spec.run import SpecReport, build_spec_exam, regrade_spec_outputs, run_spec, worst_outputs
from yearling.evals.statistics import wilson_interval
from yearling.evals.subject import AssistantSubject, EngineSubject, Subject, score_options

__all__ = [
    "AssistantSubject",
    "CanaryResult",
    "Case",
    "CasePair",
    "EngineSubject",
    "Exam",
    "ExamComparison",
    "ExamDataFolders",
    "ExamDownload",
    "ExamEntry",
    "ExamGateDecision",
    "ExamMetric",
    "GateFinding",
    "GateResult",
    "GateRule",
    "Grader",
    "GraderCard",
    "InspectLogSubject",
    "LLMBarPair",
    "LessonLeak",
    "ModelCard",
    "PairedTestResult",
    "PreferenceCorrelation",
    "RegradeResult",
    "SourceFile",
    "SpecReport",
    "Subject",
    "SubjectResponse",
    "SummarisingGrader",
    "TrainingHistory",
    "Verdict",
    "bradley_terry_strengths",
    "build_inspect_task",
    "build_judge_card",
    "build_judge_exam",
    "build_model_card",
    "build_spec_exam",
    "check_spec",
    "compare_runs",
    "comparison_to_json",
    "correlate_exams_with_preference",
    "correlate_with_preference",
    "count_blind_wins",
    "count_training_data",
    "decide_gate",
    "difference_interval",
    "evaluate_gate",
    "exam_downloads",
    "exam_entries",
    "find_leaks",
    "fingerprint_exams",
    "gate_to_json",
    "grade_response",
    "is_refusal",
    "last_user_text",
    "load_llmbar_pairs",
    "open_exam",
    "paired_test_from_counts",
    "paired_test_from_scores",
    "regrade_run",
    "regrade_spec_outputs",
    "render_comparison_page",
    "render_model_card_markdown",
    "render_model_card_page",
    "render_run_page",
    "run_canary_test",
    "run_exam",
    "run_spec",
    "score_options",
    "validate_answers",
    "validate_refusals",
    "wilson_interval",
    "worst_outputs",
    "write_unlisted_ids",
]
