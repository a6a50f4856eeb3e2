"""Follows every canary of an export again, from its observations, and compares with what the log says of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import UserError
from yearling.loop.canary import CanaryReport, assess_canary
from yearling.loop.canary_evidence import CANARY_ACTIONS, canary_since
from yearling.loop.referee.archive import OpenExport
from yearling.records import AuditEntry
from yearling.release import CanaryRules, MetadataHistory, parse_rules
from yearling.store import Release, Store, load_audit_rows, release_from_bytes

CANARY_STOP = "canary.stop"
"""The action of the audit log by which a monitor stopped a canary."""


@dataclass(frozen=True, slots=True)
class _Challenger:
    """The release in a canary, as `assess_canary` wants it."""

    challenger: int | None
    champion: int | None = None


def check_canaries(
    export: OpenExport, history: MetadataHistory, entries: list[AuditEntry], scratch: Path
) -> Iterator[tuple[int, str, str]]:
    """(release, difference, why it was not recomputed) for each release with observations."""
    records = {release.number: release for release in map(_release_of_row, export.lines("releases.jsonl"))}
    watched = [entry for entry in entries if entry.action in CANARY_ACTIONS]
    for release in sorted({int(row["release"]) for row in export.lines("canary_observations.jsonl")}):
        if release not in records:
            yield release, "It was observed, but the export has no record of it.", ""
            continue
        stops = [entry for entry in entries if (entry.action, entry.subject) == (CANARY_STOP, str(release))]
        for number, stop in enumerate((*stops, None)):
            since = canary_since((entry for entry in watched if stop is None or entry.sequence < stop.sequence), records[release])
            if stop is None and stops and (since is None or since <= stops[-1].created_utc):
                continue  # the last stop is in force
            until = stop.created_utc if stop else now_utc()
            with Store.open(Settings(data_dir=scratch / f"canary-{release}-{number}")) as store:
                load_audit_rows(store.database, "releases", map(_with_hash, export.lines("releases.jsonl")))
                rows = (row for row in export.lines("canary_observations.jsonl") if int(row["release"]) == release)
                counted = (row for row in rows if _time(row) <= until and (since is None or _time(row) >= since))
                load_audit_rows(store.database, "canary_observations", counted)
                store.events.append([event for event in _events(export) if _time(event) <= until])
                report = assess_canary(store, _Challenger(release), rules=_rules(history, release, until))
            yield release, *_compare(report, stop, has_feedback="consensus.jsonl" in export.names)


def _compare(report: CanaryReport, stop: AuditEntry | None, *, has_feedback: bool) -> tuple[str, str]:
    """(difference, why it was not recomputed) of what the pairs say until a stop, or until now without one."""
    if stop is None:
        return f"The pairs say: {report.reason} The log has no stop of it." if report.decision == "stop" else "", ""
    recorded = (stop.detail.get("reason"), stop.detail.get("pairs"))
    if (report.reason, report.pairs) == recorded:
        return "", ""
    if "thumbs" in str(recorded[0]) and not has_feedback:
        return "", "It rests on thumbs, and the export has no feedback log."
    why = report.reason or "nothing stops it"
    return f"The log says of {recorded[1]} pairs: {recorded[0]} The {report.pairs} pairs say: {why}", ""


def _with_hash(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a release with the hash of its record: whether the record is the signed one, another figure says."""
    return {**row, "record_sha256": hashlib.sha256(str(row["record"]).encode()).hexdigest()}


def _release_of_row(row: Mapping[str, Any]) -> Release:
    return release_from_bytes(str(row["record"]).encode())


def _events(export: OpenExport) -> Iterator[Mapping[str, Any]]:
    """The feedback log in the publication of the consensus."""
    for line in export.lines("consensus.jsonl"):
        if "event" in line:
            yield line["event"]


def _time(values: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(values["created_utc"])


def _rules(history: MetadataHistory, release: int, until: datetime) -> CanaryRules:
    """The rules that were in force last, until then, while the release was the challenger."""
    for version in reversed(history.versions):
        was_signed = version.state.challenger == release and datetime.fromisoformat(version.state.proposed_utc) <= until
        text = history.rules(version) if was_signed else None
        if text is not None:
            try:
                return parse_rules(text).canary
            except UserError:
                continue
    return CanaryRules()
