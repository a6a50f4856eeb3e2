"""The change that makes a release the champion, with the gate's decision behind it: one way for page, command and settings."""

from __future__ import annotations

from yearling.loop.gating import preview_gate
from yearling.release import (
    Change,
    GateVerdict,
    ReleaseState,
    default_rules_text,
    find_decision,
    newest_gate_record,
    parse_rules,
)
from yearling.store import Release, Store


def prepare_promotion(
    store: Store, release: Release, state: ReleaseState, *, actor: str, override: str = "", reason: str = ""
) -> Change:
    """The change that promotes a release. `override` is the reason to use it without proof; it is signed and stays visible.

    A release that the gate has not decided on is decided now, and the decision is recorded if it allows the release or finds a
    broken limit: leaving out the gate is no way around one. Raises Conflict ("Not proven ...") as `find_decision` does.
    """
    champion = state.releases.get(state.champion) if state.champion is not None else None
    if champion is not None and can_compare(release, champion) and not newest_gate_record(store, release, champion, state.rules):
        _record_decisive_gate(store, release, champion, state.rules, actor)
    decision = find_decision(store, release, champion, override=override, rules=state.rules)
    return Change(kind="promote", release=release.number, reason=reason, decision=decision)


def can_compare(release: Release, champion: Release) -> bool:
    """Whether a gate can tell the two apart: both have weights that can be verified, and not the same ones."""
    return bool(release.model_hash and champion.model_hash) and release.model_hash != champion.model_hash


def breaks_a_limit(verdict: GateVerdict) -> bool:
    """Whether the gate found a broken limit that nobody can override."""
    return any(finding.decision == "REJECT" and not finding.overridable for finding in verdict.findings)


def _record_decisive_gate(store: Store, release: Release, champion: Release, rules: str, actor: str) -> None:
    models = {"champion": champion.model_hash, "challenger": release.model_hash}
    verdict, body = preview_gate(store, parse_rules(rules or default_rules_text()), **models, run_id=release.run_id)
    if verdict.decision == "ALLOW" or breaks_a_limit(verdict):
        store.gates.record(**models, decision=verdict.decision, body=body, actor=actor)
