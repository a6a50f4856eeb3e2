"""Conducts what needs several rooms: comparisons of exam runs, gates, canaries, incidents. The cycle itself is planned."""

from yearling.loop.exam_comparison import compare_exam_runs
from yearling.loop.gating import GateOutcome, decide_what_if, gate_challenger, hash_gate_body, replay_gate, resolve_model_hash
from yearling.loop.incidents import (
    IncidentCaseResult,
    accept_incident,
    check_incidents,
    open_incident_exam,
    record_incident_results,
)

__all__ = [
    "GateOutcome",
    "IncidentCaseResult",
    "accept_incident",
    "check_incidents",
    "compare_exam_runs",
    "decide_what_if",
    "gate_challenger",
    "hash_gate_body",
    "open_incident_exam",
    "record_incident_results",
    "replay_gate",
    "resolve_model_hash",
]
