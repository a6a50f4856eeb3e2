"""What proves that a release is better than the champion, as people see it before they decide.

The newest recorded decision of the gate counts. Without one, the page shows what the gate would decide over what is stored now.
Everything here blocks on the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from yearling.api.http.json_response import JsonObject
from yearling.errors import Conflict
from yearling.loop import breaks_a_limit, can_compare, preview_gate
from yearling.release import GateRules, default_rules_text, find_decision, newest_gate_record, parse_rules

if TYPE_CHECKING:
    from yearling.release import ReleaseState
    from yearling.store import Release, Store

PREVIEW_S = 60.0
"""How long a preview is shown before it is computed anew, in seconds."""
_ANY_REASON = "whether an override is possible"

ProofStatus = Literal["proven", "unproven", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of a release against the champion. `gate` is the id of a recorded decision; empty for a preview."""

    status: ProofStatus
    sentence: str
    gate: str
    findings: tuple[Mapping[str, Any], ...]


_NOTHING = Proof(status="unproven", sentence="", gate="", findings=())

_previews: WeakKeyDictionary[Store, dict[tuple[str, str, str], tuple[float, Proof]]] = WeakKeyDictionary()


def find_proof(store: Store, release: Release, state: ReleaseState) -> Proof:
    """What the authority would say of a promotion, from the newest decision or from what the gate would decide now."""
    champion = state.releases.get(state.champion) if state.champion is not None else None
    record = newest_gate_record(store, release, champion, state.rules)
    if record is None:
        return _preview(store, release, champion, state.rules)
    try:
        decision = find_decision(store, release, champion, override=_ANY_REASON, rules=state.rules)
    except Conflict:
        status: ProofStatus = "refused"
    else:
        status = "unproven" if decision.override else "proven"
    findings: Any = record.body.get("findings", [])
    return Proof(status=status, sentence=str(record.body.get("summary", "")), gate=record.id, findings=tuple(findings))


def proof_view(proof: Proof) -> JsonObject:
    """A `ProofView`."""
    return {
        "status": proof.status,
        "sentence": proof.sentence,
        "gate": proof.gate or None,
        "findings": [
            {
                "rule": str(finding.get("rule", "")),
                "role": str(finding.get("role", "")),
                "decision": str(finding.get("decision", "")),
                "why": str(finding.get("why", "")),
                "overridable": finding.get("overridable") is not False,
            }
            for finding in proof.findings
        ],
    }


def compared_runs(findings: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The exam runs behind findings, the champion's first."""
    return [
        (str(finding["champion_run"]), str(finding["challenger_run"]))
        for finding in findings
        if finding.get("champion_run") and finding.get("challenger_run")
    ]


def _preview(store: Store, release: Release, champion: Release | None, rules: str) -> Proof:
    if champion is None or not can_compare(release, champion):
        return _NOTHING
    kept = _previews.setdefault(store, {})
    key = (champion.model_hash, release.model_hash, rules)
    known = kept.get(key)
    if known is not None and time.monotonic() - known[0] < PREVIEW_S:
        return known[1]
    verdict, body = preview_gate(
        store, _rules(rules), champion=champion.model_hash, challenger=release.model_hash, run_id=release.run_id
    )
    status: ProofStatus = "proven" if verdict.decision == "ALLOW" else "refused" if breaks_a_limit(verdict) else "unproven"
    proof = Proof(status=status, sentence=verdict.summary, gate="", findings=tuple(body["findings"]))
    kept[key] = (time.monotonic(), proof)
    return proof


def _rules(text: str) -> GateRules:
    return parse_rules(text or default_rules_text())
