"""The conductor: exam comparisons, evidence of gates, lineage, an outside referee's audit. The cycle is planned."""

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
from yearling.loop.referee.export import WrittenExport, write_audit_export
from yearling.loop.referee.log_checks import AuditFault
from yearling.loop.referee.recheck import RecheckedFigure, RefereeReport, check_audit_export
from yearling.loop.referee.verification import AuditCheck, AuditReport, verify_audit
from yearling.loop.training_history import find_training_history

__all__ = [
    "AuditCheck",
    "AuditFault",
    "AuditReport",
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
    "RecheckedFigure",
    "RefereeReport",
    "StageOf",
    "TracedModel",
    "WrittenExport",
    "accept_incident",
    "check_audit_export",
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
    "verify_audit",
    "write_audit_export",
]
