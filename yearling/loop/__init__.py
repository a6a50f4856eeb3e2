"""Conducts what needs several rooms: comparisons of exam runs, gates, canaries, incidents. The cycle itself is planned."""

from yearling.loop.canary import (
    FAILED_ANSWER,
    CanaryReport,
    CanaryState,
    CanaryStopSwitch,
    DetectionClaim,
    MonitorReport,
    assess_canary,
    collect_comparisons,
    flag_answer,
    is_sample_of_release,
    stop_canary_if_due,
)
from yearling.loop.exam_comparison import compare_exam_runs
from yearling.loop.gating import GateOutcome, decide_what_if, gate_challenger, preview_gate, replay_gate, resolve_model_hash
from yearling.loop.incidents import (
    IncidentCaseResult,
    accept_incident,
    check_incidents,
    open_incident_exam,
    record_incident_results,
)

__all__ = [
    "FAILED_ANSWER",
    "CanaryReport",
    "CanaryState",
    "CanaryStopSwitch",
    "DetectionClaim",
    "GateOutcome",
    "IncidentCaseResult",
    "MonitorReport",
    "accept_incident",
    "assess_canary",
    "check_incidents",
    "collect_comparisons",
    "compare_exam_runs",
    "decide_what_if",
    "flag_answer",
    "gate_challenger",
    "is_sample_of_release",
    "open_incident_exam",
    "preview_gate",
    "record_incident_results",
    "replay_gate",
    "resolve_model_hash",
    "stop_canary_if_due",
]
