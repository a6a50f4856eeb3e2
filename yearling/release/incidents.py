"""The history of incidents: whether an answer that must not happen again ever came back, when, and in which release.

Reads the incidents, the checks of their cases, and the records of releases. `loop/incidents.py` makes the checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from yearling.store import Incident, IncidentCheck, Release, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRecurrence:
    """A check that failed after an earlier one had passed. `releases` are the numbers of the releases of that model."""

    check: IncidentCheck
    releases: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentHistory:
    """One incident with all checks of its case, oldest first."""

    incident: Incident
    checks: tuple[IncidentCheck, ...]
    repaired_by: IncidentCheck | None
    """The first check that passed."""
    recurrences: tuple[IncidentRecurrence, ...]
    sentence: str


def incident_history(store: Store) -> list[IncidentHistory]:
    """The history of every incident, newest incident first."""
    by_incident: defaultdict[str, list[IncidentCheck]] = defaultdict(list)
    for check in store.incidents.checks():
        by_incident[check.incident_id].append(check)
    releases = store.releases.list()
    return [_history(incident, by_incident[incident.id], releases) for incident in store.incidents.list()]


def _history(incident: Incident, checks: Sequence[IncidentCheck], releases: Sequence[Release]) -> IncidentHistory:
    repaired = next((check for check in checks if check.passed), None)
    after = checks[checks.index(repaired) :] if repaired else ()
    recurrences = tuple(
        IncidentRecurrence(check=check, releases=_releases_of(check, releases)) for check in after if not check.passed
    )
    return IncidentHistory(
        incident=incident,
        checks=tuple(checks),
        repaired_by=repaired,
        recurrences=recurrences,
        sentence=_describe(incident, checks, repaired, recurrences),
    )


def _releases_of(check: IncidentCheck, releases: Sequence[Release]) -> tuple[int, ...]:
    """The releases of the checked model. The hash of an adapter's release is that of the adapter alone."""
    numbers = [
        release.number
        for release in releases
        if release.model_hash and (check.model_hash == release.model_hash or check.model_hash.endswith(f"+{release.model_hash}"))
    ]
    return tuple(sorted(numbers))


def _describe(
    incident: Incident,
    checks: Sequence[IncidentCheck],
    repaired: IncidentCheck | None,
    recurrences: Sequence[IncidentRecurrence],
) -> str:
    if incident.state == "open":
        return "It waits for a review."
    if incident.state == "dismissed":
        return "A reviewer found no fault."
    if not checks:
        return "No model has been checked yet."
    if repaired is None:
        return f"No model passes yet; the last of {len(checks)} checks was on {checks[-1].created_utc:%Y-%m-%d}."
    if not recurrences:
        return f"It was repaired on {repaired.created_utc:%Y-%m-%d} and never came back ({len(checks)} checks)."
    last = recurrences[-1]
    if last.releases:
        what = f"in {'release' if len(last.releases) == 1 else 'releases'} {', '.join(map(str, last.releases))}"
    else:
        what = f"in {last.check.model}, which was never released"
    return f"It came back on {last.check.created_utc:%Y-%m-%d} {what}."
