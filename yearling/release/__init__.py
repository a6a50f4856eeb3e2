"""Releases: what may be served and who decides it by signatures, stops, gates as rules, canaries, incidents. Runs no exams."""

from yearling.release.audit_trail import logged_change
from yearling.release.authority import ReleaseAuthority
from yearling.release.canary import CANARY_STAGES, CanaryPlan, is_in_canary, plan_canary
from yearling.release.changes import rollback_target
from yearling.release.decisions import check_decision, find_decision, gate_record_sha256, newest_gate_record
from yearling.release.drafts import ReleaseLineage, find_lineage, new_draft, release_name, store_draft
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
from yearling.release.history import MAX_METADATA_BYTES, MetadataHistory, SignedRoot, SignedVersion, read_history
from yearling.release.incidents import IncidentHistory, IncidentRecurrence, incident_history
from yearling.release.key_files import protected_key_ids, write_key_file
from yearling.release.serving_checks import ServingChecks
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
    "CANARY_STAGES",
    "MAX_METADATA_BYTES",
    "BoundEvidence",
    "CanaryPlan",
    "CanaryRules",
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
    "IncidentHistory",
    "IncidentRecurrence",
    "KeyHolder",
    "MeasuredEvidence",
    "MetadataHistory",
    "MissingEvidence",
    "PairedEvidence",
    "PendingChange",
    "ReleaseAuthority",
    "ReleaseDecision",
    "ReleaseLineage",
    "ReleaseStage",
    "ReleaseState",
    "RuleEvidence",
    "ServingChecks",
    "SignedRoot",
    "SignedVersion",
    "StopNotice",
    "StopSwitch",
    "check_decision",
    "decide",
    "default_rules_text",
    "find_decision",
    "find_lineage",
    "gate_record_sha256",
    "incident_history",
    "is_in_canary",
    "logged_change",
    "new_draft",
    "newest_gate_record",
    "parse_rules",
    "plan_canary",
    "protected_key_ids",
    "read_history",
    "release_name",
    "rollback_target",
    "store_draft",
    "write_key_file",
]
