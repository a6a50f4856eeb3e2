"""Exams on the assistant as served, graders, paired statistics, reports."""

from yearling.evals.answer_flags import ANSWER_FLAGS, AnswerFlag, flag_answer
from yearling.evals.blind_preference import blind_preference_test, bradley_terry_strengths, count_blind_wins
from yearling.evals.case import Case, Exam, ExamMetric, Grader, GraderCard, SubjectResponse, SummarisingGrader, Verdict
from yearling.evals.comparison import CasePair, ExamComparison, compare_runs, find_gating_objection, last_user_text
from yearling.evals.drift import DRIFT_EXAM, DriftModels, DriftSubject, build_drift_exam
from yearling.evals.exam_archive import (
    SampleRegrade,
    exam_from_json,
    exam_to_json,
    rebuild_exam,
    regrade_samples,
    regrade_spec_run,
    summarise_again,
)
from yearling.evals.exams.catalogue import ExamEntry, exam_entries, open_exam
from yearling.evals.exams.custom import CustomExamGrader, parse_custom_case
from yearling.evals.exams.fingerprints import fingerprint_exams
from yearling.evals.exams.incidents import build_incident_exam, parse_incident_case
from yearling.evals.exams.sources import ExamDataFolders, ExamDownload, SourceFile, exam_downloads
from yearling.evals.graders.answers import validate_answers
from yearling.evals.graders.judge import LLMBarPair, build_judge_card, build_judge_exam, load_llmbar_pairs
from yearling.evals.graders.refusal import is_refusal, validate_refusals
from yearling.evals.graders.taught_answers import TaughtAnswerGrader
from yearling.evals.inspect_tasks import InspectLogSubject, build_inspect_task
from yearling.evals.leaks import LessonLeak, find_leaks
from yearling.evals.lookup.subject import LookupSubject
from yearling.evals.paired_tests import (
    PairedTestLevels,
    PairedTestResult,
    difference_interval,
    paired_test_from_counts,
    paired_test_from_scores,
)
from yearling.evals.practised_kinds import KindsComparison, compare_practised_kinds
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
from yearling.evals.sequential import CanaryResult, detection_probability, find_stop, run_canary_test, smallest_detectable_rate
from yearling.evals.spec.check import check_spec, write_unlisted_ids
from yearling.evals.spec.levels import ClauseComparison, SpecLevelComparison, compare_served_spec_level
from yearling.evals.spec.run import SpecReport, build_spec_exam, regrade_spec_outputs, run_spec, worst_outputs
from yearling.evals.statistics import holm_adjust, wilson_interval
from yearling.evals.subject import AssistantSubject, EngineSubject, Subject, is_same_model, score_options, served_model_hash

__all__ = [
    "ANSWER_FLAGS",
    "DRIFT_EXAM",
    "AnswerFlag",
    "AssistantSubject",
    "CanaryResult",
    "Case",
    "CasePair",
    "ClauseComparison",
    "CustomExamGrader",
    "DriftModels",
    "DriftSubject",
    "EngineSubject",
    "Exam",
    "ExamComparison",
    "ExamDataFolders",
    "ExamDownload",
    "ExamEntry",
    "ExamMetric",
    "Grader",
    "GraderCard",
    "InspectLogSubject",
    "KindsComparison",
    "LLMBarPair",
    "LessonLeak",
    "LookupSubject",
    "ModelCard",
    "PairedTestLevels",
    "PairedTestResult",
    "PreferenceCorrelation",
    "RegradeResult",
    "SampleRegrade",
    "SourceFile",
    "SpecLevelComparison",
    "SpecReport",
    "Subject",
    "SubjectResponse",
    "SummarisingGrader",
    "TaughtAnswerGrader",
    "TrainingHistory",
    "Verdict",
    "blind_preference_test",
    "bradley_terry_strengths",
    "build_drift_exam",
    "build_incident_exam",
    "build_inspect_task",
    "build_judge_card",
    "build_judge_exam",
    "build_model_card",
    "build_spec_exam",
    "check_spec",
    "compare_practised_kinds",
    "compare_runs",
    "compare_served_spec_level",
    "comparison_to_json",
    "correlate_exams_with_preference",
    "correlate_with_preference",
    "count_blind_wins",
    "count_training_data",
    "detection_probability",
    "difference_interval",
    "exam_downloads",
    "exam_entries",
    "exam_from_json",
    "exam_to_json",
    "find_gating_objection",
    "find_leaks",
    "find_stop",
    "fingerprint_exams",
    "flag_answer",
    "grade_response",
    "holm_adjust",
    "is_refusal",
    "is_same_model",
    "last_user_text",
    "load_llmbar_pairs",
    "open_exam",
    "paired_test_from_counts",
    "paired_test_from_scores",
    "parse_custom_case",
    "parse_incident_case",
    "rebuild_exam",
    "regrade_run",
    "regrade_samples",
    "regrade_spec_outputs",
    "regrade_spec_run",
    "render_comparison_page",
    "render_model_card_markdown",
    "render_model_card_page",
    "render_run_page",
    "run_canary_test",
    "run_exam",
    "run_spec",
    "score_options",
    "served_model_hash",
    "smallest_detectable_rate",
    "summarise_again",
    "validate_answers",
    "validate_refusals",
    "wilson_interval",
    "worst_outputs",
    "write_unlisted_ids",
]
