"""The conductor: comparison of exam runs, evidence of gates, lineage, and the audit by an outside referee. The cycle itself is planned."""

from yearling.loop.exam_comparison import compare_exam_runs
from yearling.loop.gating import GateOutcome, decide_what_if, gate_challenger, hash_gate_body, replay_gate, resolve_model_hash
from yearling.loop.incidents import (
    IncidentCaseResult,
    accept_incident,
    check_incidents,
    open_incident_exam,
    record_incident_results,
)
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
    "GateOutcome",
    "IncidentCaseResult",
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
    "accept_incident",
    "check_incidents",
    "compare_exam_runs",
    "decide_what_if",
    "find_training_history",
    "gate_challenger",
    "hash_gate_body",
    "list_traced_models",
    "open_incident_exam",
    "record_incident_results",
    "replay_gate",
    "resolve_model_hash",
    "trace_model",
    "trace_person",
]
