"""The conductor's view: comparison of exam runs, lineage, and the audit by an outside referee. The cycle itself is planned."""

from yearling.loop.exam_comparison import compare_exam_runs
from yearling.loop.lineage import (
    LineageExam,
    LineageGate,
    LineageJudgement,
    LineageLessonSet,
    LineageRelease,
    LineageRun,
    ModelLineage,
    NextLessonSet,
    PersonLineage,
    PersonModel,
    StageOf,
    TracedModel,
    list_traced_models,
    trace_model,
    trace_person,
)
from yearling.loop.training_history import find_training_history

__all__ = [
    "LineageExam",
    "LineageGate",
    "LineageJudgement",
    "LineageLessonSet",
    "LineageRelease",
    "LineageRun",
    "ModelLineage",
    "NextLessonSet",
    "PersonLineage",
    "PersonModel",
    "StageOf",
    "TracedModel",
    "compare_exam_runs",
    "find_training_history",
    "list_traced_models",
    "trace_model",
    "trace_person",
]
