"""The canary as JSON data. Blocks on the store, which holds every observation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.api.http.json_response import JsonObject
from yearling.loop import CanaryReport, assess_canary
from yearling.release import CanaryRules, parse_rules, release_name

if TYPE_CHECKING:
    from yearling.release import ReleaseState
    from yearling.store import Store


def canary_view(store: Store, state: ReleaseState) -> JsonObject:
    """A `CanaryView`. Raises NotFound, and BadInput if the signed rules cannot be read."""
    if state.challenger is None:
        return _no_canary()
    rules = parse_rules(state.rules).canary if state.rules else CanaryRules()
    report = assess_canary(store, state, rules=rules)
    return _report_view(report, release_name(state.releases[state.challenger]))


def _report_view(report: CanaryReport, name: str) -> JsonObject:
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
