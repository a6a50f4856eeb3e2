"""Releases: what may be served, who decides it by signatures, and the switch that stops it. Runs no exams and loads no models."""

from yearling.release.authority import ReleaseAuthority
from yearling.release.changes import rollback_target
from yearling.release.decisions import check_decision, find_decision, gate_record_sha256
from yearling.release.drafts import ReleaseLineage, find_lineage, new_draft, release_name, store_draft
from yearling.release.key_files import write_key_file
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
    "Change",
    "ChangeKind",
    "HolderKey",
    "KeyHolder",
    "PendingChange",
    "ReleaseAuthority",
    "ReleaseDecision",
    "ReleaseLineage",
    "ReleaseStage",
    "ReleaseState",
    "StopNotice",
    "StopSwitch",
    "check_decision",
    "find_decision",
    "find_lineage",
    "gate_record_sha256",
    "new_draft",
    "release_name",
    "rollback_target",
    "store_draft",
    "write_key_file",
]
