"""What proves that a release is better than the champion, as people see it before they decide.

The newest recorded decision of the gate counts. Without one, the page shows what the gate would decide over what is stored now;
a promotion then records that decision first if it is decisive, so that leaving out the gate is no way around a broken limit.
Everything here blocks on the store.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from yearling.api.http.json_response import JsonObject
from yearling.errors import Conflict
from yearling.loop import gate_challenger, preview_gate
from yearling.release import GateRules, default_rules_text, find_decision, parse_rules

if TYPE_CHECKING:
    from yearling.release import ReleaseState
    from yearling.store import GateRecord, Release, Store

PREVIEW_S = 60.0
"""How long a preview is shown before it is computed anew, in seconds."""
MAX_DECISIONS_SEARCHED = 1000
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
    record = _newest_record(store, release, champion, state.rules)
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


def record_decisive_gate(store: Store, release: Release, state: ReleaseState, actor: str) -> None:
    """Record the gate's decision about a release that has none, if it allows the release or finds a broken limit."""
    champion = state.releases.get(state.champion) if state.champion is not None else None
    if champion is None or not _can_compare(release, champion) or _newest_record(store, release, champion, state.rules):
        return
    if _preview(store, release, champion, state.rules, is_fresh=True).status != "unproven":
        gate_challenger(
            store,
            _rules(state.rules),
            champion=champion.model_hash,
            challenger=release.model_hash,
            actor=actor,
            run_id=release.run_id,
        )


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


def _preview(store: Store, release: Release, champion: Release | None, rules: str, *, is_fresh: bool = False) -> Proof:
    if champion is None or not _can_compare(release, champion):
        return _NOTHING
    kept = _previews.setdefault(store, {})
    key = (champion.model_hash, release.model_hash, rules)
    known = kept.get(key)
    if known is not None and not is_fresh and time.monotonic() - known[0] < PREVIEW_S:
        return known[1]
    verdict, body = preview_gate(
        store, _rules(rules), champion=champion.model_hash, challenger=release.model_hash, run_id=release.run_id
    )
    is_broken = any(finding.decision == "REJECT" and not finding.overridable for finding in verdict.findings)
    status: ProofStatus = "proven" if verdict.decision == "ALLOW" else "refused" if is_broken else "unproven"
    proof = Proof(status=status, sentence=verdict.summary, gate="", findings=tuple(body["findings"]))
    kept[key] = (time.monotonic(), proof)
    return proof


def _can_compare(release: Release, champion: Release) -> bool:
    return bool(release.model_hash and champion.model_hash) and release.model_hash != champion.model_hash


def _rules(text: str) -> GateRules:
    return parse_rules(text or default_rules_text())


def _newest_record(store: Store, release: Release, champion: Release | None, rules: str) -> GateRecord | None:
    """The record that `find_decision` finds."""
    if champion is None:
        return None
    rules_sha256 = hashlib.sha256(rules.encode()).hexdigest()
    for record in store.gates.list(limit=MAX_DECISIONS_SEARCHED):
        is_by_these_rules = not rules or record.body.get("rules_sha256") == rules_sha256
        if is_by_these_rules and _is_model(record.challenger, release) and _is_model(record.champion, champion):
            return record
    return None


def _is_model(recorded: str, release: Release) -> bool:
    model_hash = release.model_hash
    return bool(model_hash) and (recorded == model_hash or (release.kind == "adapter" and recorded.endswith(f"+{model_hash}")))
