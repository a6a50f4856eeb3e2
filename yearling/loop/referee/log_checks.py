"""Is everything in the audit log that must be there? Pure functions over records, for a live store and for an export alike.

A chain proves that its entries were not changed. It does not prove that an entry was ever written, and whoever holds the database
can write the whole chain anew. So each check goes from another record to the log: from releases, gates and incidents in their
stores, from signed metadata, and from stops. The heads of the log that key-holders signed prove that the chain is the one that
they saw.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yearling.canonical import canonical_json
from yearling.records import AuditEntry
from yearling.store import GateRecord, Incident, IncidentCheck, Release

if TYPE_CHECKING:
    from yearling.release import MetadataHistory, SignedVersion, StopNotice

PUBLICATIONS = ("release.publish", "release.renew", "release.resume")
CHECKED_ACTIONS = frozenset(
    {
        *PUBLICATIONS,
        "release.create",
        "release.propose",
        "release.sign",
        "release.stop",
        "key.add",
        "key.revoke",
        "gate.decide",
        "incident.open",
        "incident.accepted",
        "incident.dismissed",
        "incident.check",
    }
)
"""The actions that the checks look at; other entries need not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFault:
    """Something that is not as the log says. `entry` is the sequence number of the entry that it is about, if there is one."""

    check: str
    sentence: str
    entry: int | None = None


class LogIndex:
    """Entries of the log by action and subject. `hashes` has the hash of every entry, by sequence number."""

    def __init__(self, entries: Iterable[AuditEntry], hashes: Mapping[int, str]) -> None:
        self.hashes = hashes
        self._by_subject: dict[tuple[str, str], list[AuditEntry]] = {}
        self._by_action: dict[str, list[AuditEntry]] = {}
        for entry in entries:
            self._by_subject.setdefault((entry.action, entry.subject), []).append(entry)
            self._by_action.setdefault(entry.action, []).append(entry)

    def find(self, action: str, subject: str) -> list[AuditEntry]:
        """The entries of this action on this subject, oldest first."""
        return self._by_subject.get((action, subject), [])

    def all(self, action: str) -> list[AuditEntry]:
        """The entries of this action, oldest first."""
        return self._by_action.get(action, [])


def check_releases(log: LogIndex, releases: Sequence[Release]) -> list[AuditFault]:
    """Every release was logged with its model, and no logged release is gone."""
    faults = []
    for release in releases:
        expected = {"model": release.model, "model_hash": release.model_hash}
        entries = log.find("release.create", str(release.number))
        if not entries:
            faults.append(_fault("releases", f"Release {release.number} is not in the log."))
        elif entries[0].detail != expected:
            faults.append(_fault("releases", f"Release {release.number} is not as it was logged.", entries[0]))
    known = {str(release.number) for release in releases}
    gone = [entry for entry in log.all("release.create") if entry.subject not in known]
    return faults + [_fault("releases", f"Release {entry.subject} was removed.", entry) for entry in gone]


def check_gates(log: LogIndex, gates: Sequence[GateRecord]) -> list[AuditFault]:
    """Every gate decision was logged as it is, and no logged decision is gone."""
    faults = []
    for gate in gates:
        expected = {"champion": gate.champion, "challenger": gate.challenger, "decision": gate.decision}
        entries = log.find("gate.decide", gate.id)
        if entries and "body_sha256" in entries[0].detail:  # earlier versions logged the decision alone
            expected["body_sha256"] = hashlib.sha256(canonical_json(gate.body)).hexdigest()
        if not entries:
            faults.append(_fault("gates", f"The gate decision {gate.id} is not in the log."))
        elif any(entries[0].detail.get(name) != value for name, value in expected.items()):
            faults.append(_fault("gates", f"The gate decision {gate.id} is not as it was logged.", entries[0]))
    known = {gate.id for gate in gates}
    gone = [entry for entry in log.all("gate.decide") if entry.subject not in known]
    return faults + [_fault("gates", f"The gate decision {entry.subject} was removed.", entry) for entry in gone]


def check_incidents(log: LogIndex, incidents: Sequence[Incident], checks: Sequence[IncidentCheck]) -> list[AuditFault]:
    """Every incident, its review and every check of its case were logged; none that was logged is gone."""
    faults = []
    for incident in incidents:
        if not log.find("incident.open", incident.id):
            faults.append(_fault("incidents", f"The incident {incident.id} is not in the log."))
        if incident.state != "open" and not log.find(f"incident.{incident.state}", incident.id):
            faults.append(_fault("incidents", f"The review of the incident {incident.id} is not in the log."))
        for entry in log.find("incident.accepted", incident.id):
            if entry.detail.get("case") != canonical_json(incident.case or {}).decode():
                faults.append(_fault("incidents", f"The case of the incident {incident.id} is not as it was accepted.", entry))
        reviews = log.find("incident.accepted", incident.id) + log.find("incident.dismissed", incident.id)
        if incident.state == "open" and reviews:
            faults.append(_fault("incidents", f"The incident {incident.id} was reviewed, but is open again.", reviews[0]))
    known = {incident.id for incident in incidents}
    gone = [entry for entry in log.all("incident.open") if entry.subject not in known]
    faults += [_fault("incidents", f"The incident {entry.subject} was removed.", entry) for entry in gone]
    stored = Counter[tuple[object, ...]](
        (check.incident_id, check.model_hash, check.passed, check.exam_run_id) for check in checks
    )
    logged = Counter[tuple[object, ...]](
        (entry.subject, entry.detail.get("model_hash"), entry.detail.get("passed"), entry.detail.get("exam_run"))
        for entry in log.all("incident.check")
    )
    for key in sorted((stored - logged) + (logged - stored), key=str):
        faults.append(_fault("incidents", f"The checks of the incident {key[0]} are not those that were logged."))
    return faults


def check_signatures(log: LogIndex, history: MetadataHistory) -> list[AuditFault]:
    """Every signed version lies on the chain, and was logged with its proposal, its signatures, its keys and its override."""
    faults = [_fault("signatures", sentence) for sentence in history.faults]
    published: dict[int, list[AuditEntry]] = {}
    for action in PUBLICATIONS:
        for entry in log.all(action):
            version = entry.detail.get("version")
            if isinstance(version, int):
                published.setdefault(version, []).append(entry)
    roots = {root.version: root for root in history.roots}
    for version in history.versions:
        faults += _check_version(log, version, published.get(version.version, []), roots[version.root_version].sha256)
    newest = max((version.version for version in history.versions), default=0)
    faults += [
        _fault("signatures", f"Version {number} of the releases was published, but its metadata is gone.", entries[0])
        for number, entries in sorted(published.items())
        if number > newest
    ]
    return faults + _check_keys(log, history)


def _check_version(log: LogIndex, version: SignedVersion, published: list[AuditEntry], root_sha256: str) -> list[AuditFault]:
    from yearling.release import logged_change

    faults, state, number = [], version.state, version.version
    head = log.hashes.get(state.audit_sequence)
    if head != state.audit_hash:
        sentence = f"Version {number} of the releases was signed over another log: it was rewritten or cut off since."
        faults.append(AuditFault(check="signatures", sentence=sentence, entry=state.audit_sequence))
    if not published:
        return [*faults, _fault("signatures", f"The publication of version {number} of the releases is not in the log.")]
    entry = published[-1]
    proposal, detail = entry.subject, entry.detail
    proposals = log.find("release.propose", proposal)
    if not any(found.sequence == state.audit_sequence and found.detail == logged_change(state.change) for found in proposals):
        faults.append(_fault("signatures", f"The proposal of version {number} of the releases is not in the log.", entry))
    if "root_sha256" in detail and detail["root_sha256"] != root_sha256:
        faults.append(_fault("signatures", f"Version {number} of the releases was published under another root.", entry))
    if number == 1:
        return faults
    if set(version.signed_by) - set(_strings(detail.get("signed_by"))):
        faults.append(_fault("signatures", f"Version {number} of the releases has a signature that was not logged.", entry))
    signed = {str(found.detail.get("key")) for found in log.find("release.sign", proposal)}
    if missing := sorted(set(version.signed_by) - signed):
        faults.append(_fault("signatures", f"The signature of {missing[0][:12]} on version {number} is not in the log.", entry))
    return faults


def _check_keys(log: LogIndex, history: MetadataHistory) -> list[AuditFault]:
    """Every key that a later root added or dropped was logged. The first root's key belongs to the bootstrap."""
    faults = []
    for version in history.versions[1:]:
        change = version.state.change
        for key in change.add:
            if not log.find("key.add", key.public):
                faults.append(_fault("keys", f"The key of {key.name!r} in version {version.version} is not in the log."))
        for key_id in change.revoke:
            if not log.find("key.revoke", key_id):
                faults.append(_fault("keys", f"The end of the key {key_id[:12]} in version {version.version} is not in the log."))
    return faults


def check_stops(log: LogIndex, stops: Collection[StopNotice] | None, lifted: Collection[str]) -> list[AuditFault]:
    """Every stop was logged, every lifted one by a signed change, and every logged one is in force or was lifted.

    `stops` is None where the stop file is not known, as in an export.
    """
    logged = {entry.subject: entry for entry in log.all("release.stop")}
    faults = [
        _fault("stops", f"The stop {stop_id} was lifted, but is not in the log.") for stop_id in lifted if stop_id not in logged
    ]
    if stops is None:
        return faults
    in_force = {notice.id for notice in stops}
    faults += [_fault("stops", f"The stop {stop_id} is not in the log.") for stop_id in sorted(in_force - logged.keys())]
    gone = [entry for stop_id, entry in logged.items() if stop_id not in in_force and stop_id not in lifted]
    return faults + [_fault("stops", f"The stop {entry.subject} ended without signatures.", entry) for entry in gone]


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _fault(check: str, sentence: str, entry: AuditEntry | None = None) -> AuditFault:
    return AuditFault(check=check, sentence=sentence, entry=entry.sequence if entry else None)
