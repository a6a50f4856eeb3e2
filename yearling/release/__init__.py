"""Which model may be served: gates as rules, canary routing, incidents."""

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

__all__ = [
    "BoundEvidence",
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
    "MeasuredEvidence",
    "MissingEvidence",
    "PairedEvidence",
    "RuleEvidence",
    "decide",
    "default_rules_text",
    "parse_rules",
]
