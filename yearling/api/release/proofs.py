"""What proves that a release is better than the champion: the newest decision of the gate, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from yearling.api.http.json_response import JsonObject
from yearling.errors import Conflict

if TYPE_CHECKING:
    from yearling.store import GateRecord, Release, Store

_ANY_REASON = "whether an override is possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The newest decision of the gate about a release against the champion; `record` is None if there is none."""

    status: Literal["proven", "unproven", "refused"]
    record: GateRecord | None


def find_proof(store: Store, release: Release, champion: Release | None) -> Proof:
    """What the authority would say of a promotion. Blocks on the store."""
    from yearling.release import find_decision

    try:
        decision = find_decision(store, release, champion, override=_ANY_REASON)
    except Conflict:
        return Proof(status="refused", record=_newest_record(store, release, champion))
    record = next((each for each in _records(store, release) if each.id == decision.gate), None)
    return Proof(status="unproven" if decision.override else "proven", record=record)


def proof_view(proof: Proof) -> JsonObject:
    """A `ProofView`."""
    record = proof.record
    return {
        "status": proof.status,
        "sentence": str(record.body.get("summary", "")) if record else "",
        "gate": record.id if record else None,
        "findings": gate_findings(record) if record else [],
    }


def gate_findings(record: GateRecord) -> list[JsonObject]:
    """The findings of a decision as `FindingView`s."""
    found: Any = record.body.get("findings", [])
    return [
        {
            "rule": str(finding.get("rule", "")),
            "role": str(finding.get("role", "")),
            "decision": str(finding.get("decision", "")),
            "why": str(finding.get("why", "")),
            "overridable": finding.get("overridable") is not False,
        }
        for finding in found
    ]


def _newest_record(store: Store, release: Release, champion: Release | None) -> GateRecord | None:
    against = champion.model_hash if champion else ""
    return next((record for record in _records(store, release) if record.champion == against), None)


def _records(store: Store, release: Release) -> list[GateRecord]:
    return store.gates.list(challenger=release.model_hash) if release.model_hash else []
