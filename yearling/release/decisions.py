"""The gate decision that a promotion rests on. The gate itself decides elsewhere; this module reads its record.

ALLOW promotes. Anything else needs an override with a reason, which is signed and stays visible. A rejection whose record says
`"overridable": false` (a broken floor, bound or forgetting budget) cannot be overridden.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from yearling.canonical import canonical_json
from yearling.errors import Conflict
from yearling.release.state import ReleaseDecision
from yearling.store import GateRecord, Release

if TYPE_CHECKING:
    from yearling.store import Store

ALLOW, REJECT = "ALLOW", "REJECT"
MAX_DECISIONS_SEARCHED = 1000


def gate_record_sha256(record: GateRecord) -> str:
    """The hash by which signed metadata names a gate decision."""
    return hashlib.sha256(canonical_json({**asdict(record), "created_utc": record.created_utc.isoformat()})).hexdigest()


def find_decision(
    store: Store, release: Release, champion: Release | None, *, override: str = "", rules: str = ""
) -> ReleaseDecision:
    """The newest decision of the gate about this release against the champion, as a promotion states it.

    `rules` is the signed text of the rules (`ReleaseState.rules`): a decision by other rules does not count. Without it any does.
    Raises Conflict ("Not proven ...") if it is not ALLOW and no reason for an override is given, or if it cannot be overridden.
    """
    record = newest_gate_record(store, release, champion, rules)
    _require_no_broken_limit(store, release, record, rules)
    if record is None:
        if not override:
            raise _not_proven(release, f"nobody has compared release {release.number} with the champion")
        return ReleaseDecision(override=override)
    decision = ReleaseDecision(gate=record.id, gate_sha256=gate_record_sha256(record), decision=record.decision)
    if record.decision == ALLOW:
        if not (late := _accepted_since(store, record)):
            return decision
        if not override:
            raise _not_proven(release, f"the incident {late} was accepted after the gate had decided")
        return replace(decision, override=override)
    _require_overridable(record, release)
    if not override:
        raise _not_proven(release, f"the gate's decision on release {release.number} is {record.decision}")
    return ReleaseDecision(gate=record.id, gate_sha256=decision.gate_sha256, decision=record.decision, override=override)


def check_decision(
    store: Store, release: Release, champion: Release | None, decision: ReleaseDecision | None, *, rules: str
) -> None:
    """Check a decision against the records. `decision` is None for a canary, which only a final rejection prevents.

    Raises Conflict if it does not say what the newest record says, or lacks an override that it needs.
    """
    record = newest_gate_record(store, release, champion, rules)
    if record is not None and record.decision != ALLOW:
        _require_overridable(record, release)
    if decision is None:
        return
    if find_decision(store, release, champion, override=decision.override, rules=rules) != decision:
        raise Conflict(
            f"The decision on release {release.number} is not the newest one of the gate.", advice="Propose the change again."
        )


def newest_gate_record(store: Store, release: Release, champion: Release | None, rules: str) -> GateRecord | None:
    """The newest decision about a release against the champion by these rules (empty: by any), which a promotion rests on."""
    if champion is None:
        return None
    for record in _by_rules(store, rules):
        if _is_model(record.challenger, release) and _is_model(record.champion, champion):
            return record
    return None


def _by_rules(store: Store, rules: str) -> list[GateRecord]:
    """The decisions by these rules, newest first; without rules, all."""
    sha256 = hashlib.sha256(rules.encode()).hexdigest()
    records = store.gates.list(limit=MAX_DECISIONS_SEARCHED)
    return [record for record in records if not rules or record.body.get("rules_sha256") == sha256]


def _is_model(recorded: str, release: Release) -> bool:
    """Whether a gate's record is about the model of a release: an adapter is recorded alone, or after the hash of its base."""
    model_hash = release.model_hash
    return bool(model_hash) and (recorded == model_hash or (release.kind == "adapter" and recorded.endswith(f"+{model_hash}")))


def _require_overridable(record: GateRecord, release: Release) -> None:
    if record.body.get("overridable") is not False:
        return
    if record.decision == REJECT:
        raise Conflict(
            f"Release {release.number} broke a limit that nobody can override.",
            advice="Improve the model, and let the gate decide again.",
        )
    raise Conflict(
        f"The gate could not measure a limit of release {release.number} that nobody can override.",
        advice="Run `yearling exam gate`: it names what was not measured. Then let it decide again.",
    )


def _require_no_broken_limit(store: Store, release: Release, decided: GateRecord | None, rules: str) -> None:
    """Raises Conflict if the gate found a broken limit of the release against another champion since it was `decided`.

    Otherwise another champion, or a rollback, would be the way around the limit.
    """
    for record in _by_rules(store, rules):
        if decided is not None and record.id == decided.id:
            return
        if _is_model(record.challenger, release):
            if record.decision == REJECT and record.body.get("overridable") is False:
                raise Conflict(
                    f"Release {release.number} broke a limit that nobody can override, against another champion.",
                    advice="Let the gate decide against the present champion.",
                )
            return


def _accepted_since(store: Store, record: GateRecord) -> str:
    """The id of an incident that was accepted after a decision, whose case it therefore lacks; empty if there is none."""
    for incident in store.incidents.list(state={"accepted"}):
        if incident.reviewed_utc is not None and incident.reviewed_utc > record.created_utc:
            return incident.id
    return ""


def _not_proven(release: Release, why: str) -> Conflict:
    return Conflict(
        f"Not proven: {why}.",
        advice=f"Run the exams and the gate, or use it without proof: `yearling release promote {release.number} "
        "--without-proof REASON`.",
    )
