"""Conducts what needs several rooms: exam comparisons, gates, canaries, incidents, lineage, audits. The cycle is planned."""

from yearling.loop.canary import (
    FAILED_ANSWER,
    CanaryReport,
    CanaryStopSwitch,
    DetectionClaim,
    MonitorReport,
    assess_canary,
    flag_answer,
    stop_canary_if_due,
)
from yearling.loop.canary_evidence import (
    CanaryState,
    collect_comparisons,
    collect_live_answers,
    counted_observations,
    is_sample_of_release,
)
from yearling.loop.costs import process_tree_cpu_s, read_joules
from yearling.loop.cycle.conduct import CycleParts, run_cycle
from yearling.loop.cycle.evidence import DRIFT_EXAM, SPEC_EXAM
from yearling.loop.cycle.folder import CycleEnd, CycleFolder, cycles_dir, find_cycle, list_cycles, new_cycle_id, open_cycle
from yearling.loop.cycle.ledger import CycleCost, list_cycle_costs, list_release_costs
from yearling.loop.cycle.lessons import practice_requests
from yearling.loop.cycle.options import STEPS, CycleOptions
from yearling.loop.cycle.plan import CyclePlan, plan_cycle, plan_text
from yearling.loop.cycle.report import make_report, report_text
from yearling.loop.cycle.tools import ChampionModel, CountProgress, CycleTools, ExamRequest, ExamResult, PracticeDraft
from yearling.loop.cycle.upkeep import discard_cycle, save_schedule
from yearling.loop.exam_comparison import compare_exam_runs
from yearling.loop.gating import (
    GateOutcome,
    decide_what_if,
    gate_challenger,
    preview_gate,
    recompute_evidence,
    replay_gate,
    resolve_model_hash,
)
from yearling.loop.incidents import (
    IncidentCaseResult,
    accept_incident,
    check_incidents,
    open_incident_exam,
    record_incident_results,
)
from yearling.loop.jobs.cluster import execute_job_on_cluster
from yearling.loop.jobs.context import JobContext, JobStoppedError
from yearling.loop.jobs.execution import INTERNAL_ERROR, execute_job
from yearling.loop.jobs.folders import JobFolders
from yearling.loop.jobs.kinds import (
    MAX_OPTION_CHARS,
    MAX_OPTION_ITEMS,
    JobKind,
    check_job_options,
    find_job_kind,
    list_job_kinds,
    parse_settings,
    read_options,
    register_job_kind,
)
from yearling.loop.jobs.schedule import is_quiet_now, last_due
from yearling.loop.jobs.worker import Worker, ask_worker_to_end, is_worker_running, start_worker, worker_command
from yearling.loop.jobs.yielding import PeopleWaitingMark
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
from yearling.loop.merging.bundle import MergeEntry, MergeSide, read_merge_folder
from yearling.loop.merging.commit import finish_interrupted_merge, merges_dir
from yearling.loop.merging.conduct import (
    MAX_FOLDERS,
    InstallationMerge,
    MergeOptions,
    MergeOutcome,
    describe_own_side,
    plan_merge,
    proof_to_json,
    run_merge,
)
from yearling.loop.merging.entries import MergeContradiction, MergedEntries
from yearling.loop.merging.export import installation_id, write_merge_folder
from yearling.loop.merging.proof import MergeProof, MergeTools, ProofPart, ProofQuestion, ProofRequest
from yearling.loop.promotion import breaks_a_limit, can_compare, prepare_promotion
from yearling.loop.referee.export import WrittenExport, write_audit_export
from yearling.loop.referee.log_checks import AuditFault
from yearling.loop.referee.recheck import RecheckedFigure, RefereeReport, check_audit_export
from yearling.loop.referee.verification import AuditCheck, AuditReport, verify_audit
from yearling.loop.training_history import find_training_history
from yearling.loop.training_plan import RunResult, TrainingPlan, run_training_plan, train_and_publish

__all__ = [
    "DRIFT_EXAM",
    "FAILED_ANSWER",
    "INTERNAL_ERROR",
    "MAX_FOLDERS",
    "MAX_OPTION_CHARS",
    "MAX_OPTION_ITEMS",
    "SPEC_EXAM",
    "STEPS",
    "AuditCheck",
    "AuditFault",
    "AuditReport",
    "CanaryReport",
    "CanaryState",
    "CanaryStopSwitch",
    "ChampionModel",
    "CountProgress",
    "CycleCost",
    "CycleEnd",
    "CycleFolder",
    "CycleOptions",
    "CycleParts",
    "CyclePlan",
    "CycleTools",
    "DetectionClaim",
    "ExamRequest",
    "ExamResult",
    "GateOutcome",
    "IncidentCaseResult",
    "InstallationMerge",
    "JobContext",
    "JobFolders",
    "JobKind",
    "JobStoppedError",
    "LineageExam",
    "LineageGate",
    "LineageJudgement",
    "LineageLessonSet",
    "LineageRelease",
    "LineageRun",
    "MergeContradiction",
    "MergeEntry",
    "MergeOptions",
    "MergeOutcome",
    "MergeProof",
    "MergeSide",
    "MergeTools",
    "MergedEntries",
    "ModelLineage",
    "MonitorReport",
    "NextLessonSet",
    "PeopleWaitingMark",
    "PersonLineage",
    "PersonModel",
    "PracticeDraft",
    "ProofPart",
    "ProofQuestion",
    "ProofRequest",
    "RecheckedFigure",
    "RefereeReport",
    "RunResult",
    "StageOf",
    "TracedModel",
    "TrainingPlan",
    "Worker",
    "WrittenExport",
    "accept_incident",
    "ask_worker_to_end",
    "assess_canary",
    "breaks_a_limit",
    "can_compare",
    "check_audit_export",
    "check_incidents",
    "check_job_options",
    "collect_comparisons",
    "collect_live_answers",
    "compare_exam_runs",
    "counted_observations",
    "cycles_dir",
    "decide_what_if",
    "describe_own_side",
    "discard_cycle",
    "execute_job",
    "execute_job_on_cluster",
    "find_cycle",
    "find_job_kind",
    "find_training_history",
    "finish_interrupted_merge",
    "flag_answer",
    "gate_challenger",
    "installation_id",
    "is_quiet_now",
    "is_sample_of_release",
    "is_worker_running",
    "last_due",
    "list_cycle_costs",
    "list_cycles",
    "list_job_kinds",
    "list_release_costs",
    "list_traced_models",
    "make_report",
    "merges_dir",
    "new_cycle_id",
    "open_cycle",
    "open_incident_exam",
    "parse_settings",
    "plan_cycle",
    "plan_merge",
    "plan_text",
    "practice_requests",
    "prepare_promotion",
    "preview_gate",
    "process_tree_cpu_s",
    "proof_to_json",
    "read_joules",
    "read_merge_folder",
    "read_options",
    "recompute_evidence",
    "record_incident_results",
    "register_job_kind",
    "replay_gate",
    "report_text",
    "resolve_model_hash",
    "run_cycle",
    "run_merge",
    "run_training_plan",
    "save_schedule",
    "start_worker",
    "stop_canary_if_due",
    "trace_model",
    "trace_person",
    "train_and_publish",
    "verify_audit",
    "worker_command",
    "write_audit_export",
    "write_merge_folder",
]
