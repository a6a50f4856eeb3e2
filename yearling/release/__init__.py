"""Which model may be served: gates as rules, canary routing, incidents."""

from yearling.release.canary import CANARY_STAGES, CanaryPlan, is_in_canary, plan_canary
from yearling.release.gate_rules import (
    CanaryRules,
    GateRule,
    GateRuleKind,
    GateRuleRole,
    GateRules,
    default_rules_text,
    parse_rules,
)
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
from yearling.release.incidents import IncidentHistory, IncidentRecurrence, incident_history

__all__ = [
    "CANARY_STAGES",
    "BoundEvidence",
    "CanaryPlan",
    "CanaryRules",
    "ClauseBugs",
    "GateDecision",
    "GateEvidence",
    "GateFinding",
    "GateRule",
    "GateRuleKind",
    "GateRuleRole",
    "GateRules",
    "GateVerdict",
    "IncidentEvidence",
    "IncidentHistory",
    "IncidentRecurrence",
    "MeasuredEvidence",
    "MissingEvidence",
    "PairedEvidence",
    "RuleEvidence",
    "decide",
    "default_rules_text",
    "incident_history",
    "is_in_canary",
    "parse_rules",
    "plan_canary",
]
