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
from yearling.loop.canary import assess_canary
from yearling.loop.referee.archive import OpenExport
from yearling.records import AuditEntry
from yearling.release import CanaryRules, MetadataHistory, parse_rules
from yearling.store import Store, load_audit_rows

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
    stops = {entry.subject: entry for entry in entries if entry.action == CANARY_STOP}
    releases = sorted({int(row["release"]) for row in export.lines("canary_observations.jsonl")})
    for release in releases:
        stop = stops.get(str(release))
        until = stop.created_utc if stop else now_utc()
        with Store.open(Settings(data_dir=scratch / f"canary-{release}")) as store:
            load_audit_rows(store.database, "releases", map(_with_hash, export.lines("releases.jsonl")))
            rows = (row for row in export.lines("canary_observations.jsonl") if int(row["release"]) == release)
            load_audit_rows(store.database, "canary_observations", (row for row in rows if _time(row) <= until))
            store.events.append([event for event in _events(export) if _time(event) <= until])
            report = assess_canary(store, _Challenger(release), rules=_rules(history, release))
        if stop is None:
            yield release, f"The pairs say: {report.reason} The log has no stop of it." if report.decision == "stop" else "", ""
            continue
        recorded = (stop.detail.get("reason"), stop.detail.get("pairs"))
        if (report.reason, report.pairs) == recorded:
            yield release, "", ""
        elif "thumbs" in str(recorded[0]) and "consensus.jsonl" not in export.names:
            yield release, "", "It rests on thumbs, and the export has no feedback log."
        else:
            why = report.reason or "nothing stops it"
            yield release, f"The log says of {recorded[1]} pairs: {recorded[0]} The {report.pairs} pairs say: {why}", ""


def _with_hash(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a release with the hash of its record: whether the record is the signed one, another figure says."""
    return {**row, "record_sha256": hashlib.sha256(str(row["record"]).encode()).hexdigest()}


def _events(export: OpenExport) -> Iterator[Mapping[str, Any]]:
    """The feedback log in the publication of the consensus."""
    for line in export.lines("consensus.jsonl"):
        if "event" in line:
            yield line["event"]


def _time(values: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(values["created_utc"])


def _rules(history: MetadataHistory, release: int) -> CanaryRules:
    """The rules that were in force while the release was the challenger."""
    for version in reversed(history.versions):
        text = history.rules(version) if version.state.challenger == release else None
        if text is not None:
            try:
                return parse_rules(text).canary
            except UserError:
                continue
    return CanaryRules()
