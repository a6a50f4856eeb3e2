"""What the release room writes into the audit log, and what it reads back from it after a loss.

The log is a hash chain in the database. It knows every stop and the hash of every root that was published, so that a damaged stop
file or trusted root can be put right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from yearling.errors import Untrusted
from yearling.records import AuditEntry
from yearling.release.state import Change, change_to_json
from yearling.release.stop import StopNotice, StopSwitch

if TYPE_CHECKING:
    from yearling.release.proposals import Proposal
    from yearling.release.verification import Verified
    from yearling.store import Store

PROPOSE, PUBLISH, RENEW = "release.propose", "release.publish", "release.renew"
RESUME, STOP = "release.resume", "release.stop"
_MAX_LOGGED_CHARS = 4000


class AuditTrail:
    """Entries about releases in the audit log of one store."""

    def __init__(self, store: Store) -> None:
        self._log = store.audit

    def append(self, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None) -> AuditEntry:
        """Add an entry; durable on return."""
        return self._log.append(actor, action, subject, detail)

    def propose(self, actor: str, proposal_id: str, change: Change) -> AuditEntry:
        """Record a proposal. The signed metadata names this entry as the head of the log."""
        return self.append(actor, PROPOSE, proposal_id, logged_change(change))

    def require_proposed(self, proposal: Proposal) -> None:
        """Raises Untrusted unless the entry that the proposal names as the head of the log is that of the proposal."""
        state = proposal.state
        entry = next(iter(self._log.entries(after=state.audit_sequence - 1, limit=1)), None)
        proposed = (state.audit_hash, state.proposed_by, PROPOSE, proposal.id, logged_change(state.change))
        if entry is None or (entry.hash, entry.actor, entry.action, entry.subject, entry.detail) != proposed:
            raise Untrusted(
                "The pending change is not the one that was proposed, by the audit log.",
                advice=f"Run `yearling release cancel {proposal.id}`, then propose it again.",
            )

    def publish(self, proposal: Proposal, verified: Verified) -> None:
        """Record that a change is in force, once, with who signed it."""
        state = proposal.state
        change, actor = state.change, state.proposed_by
        action = {"renew": RENEW, "resume": RESUME}.get(change.kind, PUBLISH)
        detail: dict[str, object] = {
            "version": verified.targets.version,
            "change": logged_change(change),
            "threshold": verified.root.roles["targets"].threshold,
            "signed_by": sorted(set(proposal.targets.signatures) | set(proposal.root.signatures if proposal.root else ())),
        }
        if proposal.root:
            detail["root_sha256"] = hashlib.sha256(verified.roots[-1]).hexdigest()
        known = {
            (entry.action, entry.subject)
            for entry in self._log.entries(after=state.audit_sequence, actions=[PUBLISH, RENEW, RESUME, "key.add", "key.revoke"])
        }
        for key in change.add:
            self._once(known, actor, "key.add", key.public, {"name": key.name, "person": key.person_id, "change": proposal.id})
        for key_id in change.revoke:
            self._once(known, actor, "key.revoke", key_id, {"change": proposal.id})
        self._once(known, actor, action, proposal.id, detail)

    def bootstrap(self, actor: str, root: bytes, release: int) -> None:
        """Record the first version."""
        detail = {"version": 1, "release": release, "threshold": 1, "root_sha256": hashlib.sha256(root).hexdigest()}
        self.append(actor, PUBLISH, "bootstrap", detail)

    def stop(self, notice: StopNotice) -> None:
        """Record a stop."""
        detail = {"model": notice.model, "reason": notice.reason, "created_utc": notice.created_utc.isoformat()}
        self.append(notice.actor, STOP, notice.id, detail)

    def mend_stops(self, switch: StopSwitch, lifted: tuple[str, ...]) -> None:
        """Bring the stop file in line: stops that the log knows and nobody lifted are in it, and the log knows every stop."""
        logged = {notice.id: notice for notice in map(_notice, self._log.entries(actions=[STOP]))}
        try:
            present = {notice.id: notice for notice in switch.notices()}
            is_damaged = not switch.path.exists()
        except Untrusted:
            present, is_damaged = {}, True
        for stop_id in present.keys() - logged.keys():
            self.stop(present[stop_id])
        missing = [notice for notice in logged.values() if notice.id not in present and notice.id not in lifted]
        over = [stop_id for stop_id in present if stop_id in lifted]
        if is_damaged or missing or over:
            switch.repair(missing, over)

    def lifted_stops(self) -> tuple[str, ...]:
        """The stops that were lifted, for an installation whose signed state is gone."""
        found: list[str] = []
        for entry in self._log.entries(actions=[RESUME]):
            change: Any = entry.detail.get("change", {})
            found += str(change.get("stop_id", "")).split()
        return tuple(dict.fromkeys(found))

    def newest_root(self) -> str | None:
        """SHA-256 of the newest root that was published."""
        found = self._newest("root_sha256")
        return None if found is None else str(found)

    def knows_root_of(self, verified: Verified) -> bool:
        """Whether the newest root of the log is among the verified ones; also if the log knows none, as in a new database."""
        known = self.newest_root()
        return known is None or known in {hashlib.sha256(root).hexdigest() for root in verified.roots}

    def lost_quorum(self) -> int:
        """How many people had to sign according to the newest publication; 0 if one or none."""
        threshold: Any = self._newest("threshold") or 0
        return threshold if isinstance(threshold, int) and threshold > 1 else 0

    def _newest(self, field: str) -> Any:
        entries = self._log.entries(actions=[PUBLISH, RENEW, RESUME])
        return next((entry.detail[field] for entry in reversed(entries) if field in entry.detail), None)

    def _once(self, known: set[tuple[str, str]], actor: str, action: str, subject: str, detail: Mapping[str, object]) -> None:
        if (action, subject) not in known:
            self.append(actor, action, subject, detail)


def logged_change(change: Change) -> dict[str, Any]:
    """A change as the log has it: of long rules only the hash."""
    fields = change_to_json(change)
    rules = fields.get("rules", "")
    if len(rules) > _MAX_LOGGED_CHARS:
        fields["rules"] = f"sha256:{hashlib.sha256(rules.encode()).hexdigest()}"
    return fields


def _notice(entry: AuditEntry) -> StopNotice:
    detail: dict[str, Any] = entry.detail
    return StopNotice(
        id=entry.subject,
        created_utc=datetime.fromisoformat(detail["created_utc"]),
        model=detail["model"],
        actor=entry.actor,
        reason=detail["reason"],
    )
