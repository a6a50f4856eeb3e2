"""Releases: what may be served, who decides it by signatures, gates as rules, and the stop switch. Runs no exams, loads no models."""

from yearling.release.authority import ReleaseAuthority
from yearling.release.changes import rollback_target
from yearling.release.decisions import check_decision, find_decision, gate_record_sha256
from yearling.release.gate_rules import GateRule, GateRuleKind, GateRuleRole, GateRules, default_rules_text, parse_rules
from yearling.release.gates import (
    BoundEvidence,
    ClauseBugs,
    GateDecision,
    GateEvidence,
    GateFinding,
    GateVerdict,
    IncidentEvidence,
    MeasuredEvidence,
    MissingEvidence,
    PairedEvidence,
    RuleEvidence,
    decide,
)
from yearling.release.state import (
    Change,
    ChangeKind,
    HolderKey,
    KeyHolder,
    PendingChange,
    ReleaseDecision,
    ReleaseStage,
    ReleaseState,
)
from yearling.release.stop import StopNotice, StopSwitch

__all__ = [
    "BoundEvidence",
    "Change",
    "ChangeKind",
    "ClauseBugs",
    "GateDecision",
    "GateEvidence",
    "GateFinding",
    "GateRule",
    "GateRuleKind",
    "GateRuleRole",
    "GateRules",
    "GateVerdict",
    "HolderKey",
    "IncidentEvidence",
    "KeyHolder",
    "MeasuredEvidence",
    "MissingEvidence",
    "PairedEvidence",
    "PendingChange",
    "ReleaseAuthority",
    "ReleaseDecision",
    "ReleaseStage",
    "ReleaseState",
    "RuleEvidence",
    "StopNotice",
    "StopSwitch",
    "check_decision",
    "decide",
    "default_rules_text",
    "find_decision",
    "gate_record_sha256",
    "parse_rules",
    "rollback_target",
]
