"""Releases, changes, key-holders and stops as JSON data. Everything here blocks on the store or on files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc_offset
from yearling.api.release.proofs import find_proof, proof_view
from yearling.errors import NotFound, Untrusted, UserError
from yearling.loop import CanaryReport, assess_canary
from yearling.records import AuditEntry, Person
from yearling.release import CanaryRules, parse_rules, release_name

if TYPE_CHECKING:
    from yearling.release import KeyHolder, PendingChange, ReleaseAuthority, ReleaseState, StopNotice
    from yearling.store import Release, Store

MAX_EVENTS = 100

EVENT_ACTIONS = ("release.publish", "release.renew", "release.resume", "release.stop")
"""Entries of the audit log that the time line shows."""

_PROGRAM = "yearling"


class Names:
    """Names of people by id, each looked up once. The program itself is `Yearling`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = {_PROGRAM: "Yearling"}

    def __call__(self, person_id: str) -> str:
        """The name; `Somebody` for a person whose account is gone."""
        if person_id not in self._known:
            try:
                self._known[person_id] = self._store.people.get(person_id).name
            except NotFound:
                self._known[person_id] = "Somebody"
        return self._known[person_id]


def holder_view(holder: KeyHolder, person: Person) -> JsonObject:
    """A `KeyHolderView`."""
    return {
        "key_id": holder.key_id,
        "name": holder.name,
        "is_me": holder.person_id == person.id,
        "is_stored": holder.is_stored,
        "is_protected": holder.is_protected,
    }


def stop_view(notice: StopNotice, names: Names) -> JsonObject:
    """A `StopView`."""
    return {
        "id": notice.id,
        "created_utc": format_utc_offset(notice.created_utc),
        "model": notice.model,
        "by": names(notice.actor),
        "reason": notice.reason,
    }


def change_view(
    pending: PendingChange, state: ReleaseState, authority: ReleaseAuthority, store: Store, person: Person
) -> JsonObject:
    """A `ReleaseChangeView`."""
    names = Names(store)
    change = pending.change
    votes = {holder.key_id: holder.name for holder in state.holders}
    own = [key for key in authority.keys.list() if key.person_id == person.id and key.key_id not in pending.signed_by]
    added = {key.public for key in change.add}
    own = [key for key in own if key.key_id in votes or key.public in added]
    is_holder = any(holder.person_id == person.id for holder in state.holders)
    missing = 0 if pending.is_published else max(1, pending.threshold - len(pending.signed_by))
    return {
        "object": "release.change",
        "id": pending.id,
        "kind": change.kind,
        "release": change.release,
        "release_name": _name_of(store, change.release),
        "reason": change.reason,
        "override": change.decision.override if change.decision else "",
        "details": _key_details(pending, votes),
        "proposed_by": names(pending.proposed_by),
        "proposed_utc": format_utc_offset(pending.proposed_utc),
        "threshold": pending.threshold,
        "signed_by": [votes.get(key_id, key_id[:12]) for key_id in pending.signed_by],
        "waiting_for": [name for key_id, name in votes.items() if key_id not in pending.signed_by],
        "num_missing": missing,
        "is_published": pending.is_published,
        "can_sign": bool(own) and not pending.is_published,
        "needs_passphrase": any(key.is_protected for key in own),
        "can_cancel": not pending.is_published and (is_holder or pending.proposed_by == person.id),
    }


def _key_details(pending: PendingChange, votes: dict[str, str]) -> list[str]:
    change = pending.change
    details = [f"+ {key.name}" for key in change.add]
    details += [f"- {votes.get(key_id, key_id[:12])}" for key_id in change.revoke]
    if change.threshold is not None:
        details.append(f"= {change.threshold}")
    return details


def release_view(
    release: Release,
    state: ReleaseState,
    store: Store,
    *,
    names: Names,
    title_of: Callable[[str], str],
    is_stopped: Callable[[str], str],
) -> JsonObject:
    """A `ReleaseView`."""
    stage = state.stage(release.number)
    decision = state.decisions.get(release.number)
    has_proof = stage not in ("champion", "withdrawn")
    return {
        "object": "release",
        "number": release.number,
        "name": release_name(release),
        "title": release.title,
        "model": release.model,
        "model_title": title_of(release.base_model or release.model),
        "kind": release.kind,
        "stage": stage,
        "created_utc": format_utc_offset(release.created_utc),
        "created_by": names(release.created_by),
        "is_verifiable": release.kind != "endpoint",
        "num_lessons": release.num_lessons,
        "decision": decision and {"decision": decision.decision, "gate": decision.gate, "override": decision.override},
        "proof": proof_view(find_proof(store, release, state)) if has_proof else None,
        "can_roll_back": release.number in state.champions and stage not in ("champion", "withdrawn"),
        "stopped": is_stopped(release.model),
    }


def event_views(store: Store, state: ReleaseState, names: Names, *, release: int | None = None) -> list[JsonObject]:
    """`ReleaseEventView`s, newest first: all, or those about one release."""
    votes = {holder.key_id: holder.name for holder in state.holders}
    found = [_event_view(entry, votes, names) for entry in store.audit.entries(actions=EVENT_ACTIONS)]
    if release is not None:
        found = [event for event in found if event["release"] == release]
    return found[::-1][:MAX_EVENTS]


def champion_since(events: Iterable[JsonObject], champion: int | None) -> str | None:
    """When the champion was put in force. `events` are newest first."""
    for event in events:
        if event["release"] == champion and event["kind"] in ("first", "promote", "rollback"):
            return str(event["at_utc"])
    return None


def _event_view(entry: AuditEntry, votes: dict[str, str], names: Names) -> JsonObject:
    detail: dict[str, Any] = entry.detail
    change: dict[str, Any] = detail.get("change", {})
    kind = "stop" if entry.action == "release.stop" else change.get("kind", "first")
    return {
        "at_utc": format_utc_offset(entry.created_utc),
        "kind": kind,
        "release": detail.get("release", change.get("release")),
        "by": names(entry.actor),
        "reason": detail.get("reason", change.get("reason", "")),
        "signed_by": [votes.get(key_id, key_id[:12]) for key_id in detail.get("signed_by", [])],
    }


def status_view(
    authority: ReleaseAuthority, state: ReleaseState, store: Store, person: Person, problems: list[str]
) -> JsonObject:
    """A `ReleaseStatusView`. `problems` are those of serving."""
    names = Names(store)
    try:
        stops, stop_problem = [stop_view(notice, names) for notice in authority.stops.notices()], ""
    except Untrusted as error:
        stops, stop_problem = [], str(error)
    is_holder = any(holder.person_id == person.id for holder in state.holders)
    try:
        pending = authority.pending()
    except UserError as error:
        pending, problems = [], [*problems, str(error)]
    waiting = [each for each in pending if change_view(each, state, authority, store, person)["can_sign"]]
    return {
        "object": "release_status",
        "is_enabled": True,
        "stops": stops,
        "stop_problem": stop_problem,
        "problem": " ".join(problems),
        "can_stop": is_holder or person.role == "owner",
        "is_holder": is_holder,
        "signs_alone": is_holder and len(state.holders) == 1 and not state.holders[0].is_protected,
        "num_waiting": len(waiting),
    }


def _name_of(store: Store, number: int | None) -> str:
    if number is None:
        return ""
    try:
        return release_name(store.releases.get(number))
    except (NotFound, Untrusted):
        return f"Release {number}"


def canary_view(store: Store, state: ReleaseState) -> JsonObject:
    """A `CanaryView`. Raises NotFound, and BadInput if the signed rules cannot be read."""
    if state.challenger is None:
        return _no_canary()
    rules = parse_rules(state.rules).canary if state.rules else CanaryRules()
    report = assess_canary(store, state, rules=rules)
    return _canary_report_view(report, release_name(state.releases[state.challenger]))


def _canary_report_view(report: CanaryReport, name: str) -> JsonObject:
    return {
        "object": "canary",
        "release": report.release,
        "release_name": name,
        "decision": report.decision,
        "percent": report.percent,
        "num_people": report.num_people,
        "expected_people": report.plan.expected_people,
        "live_pairs": report.live_pairs,
        "replayed_pairs": report.replayed_pairs,
        "monitors": [
            {
                "name": monitor.name,
                "pairs": monitor.pairs,
                "discordant": monitor.discordant,
                "challenger_only": monitor.challenger_only,
                "stopped_at": monitor.stopped_at,
            }
            for monitor in report.monitors
        ],
        "claims": [
            {
                "champion_rate": claim.champion_rate,
                "challenger_rate": claim.challenger_rate,
                "probability": claim.probability,
                "is_seen": claim.is_seen,
            }
            for claim in report.claims
        ],
        "reason": report.reason,
        "seen": report.seen,
        "plan": report.plan.sentence,
    }


def _no_canary() -> JsonObject:
    return {
        "object": "canary",
        "release": None,
        "release_name": "",
        "decision": "",
        "percent": 0,
        "num_people": 0,
        "expected_people": 0.0,
        "live_pairs": 0,
        "replayed_pairs": 0,
        "monitors": [],
        "claims": [],
        "reason": "",
        "seen": "",
        "plan": "",
    }
