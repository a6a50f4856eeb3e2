"""Looks at the running canary: how many people it may reach now, and whether a monitor stops it."""

from __future__ import annotations

from yearling.chat import answer_message
from yearling.feedback import EventIndex
from yearling.loop import assess_canary, collect_comparisons, collect_live_answers, stop_canary_if_due
from yearling.records import Sample
from yearling.release import ReleaseAuthority, ReleaseState, parse_rules
from yearling.store import Store


class _AuditedSwitch:
    """The stop switch of an authority, which writes stops into the audit log."""

    def __init__(self, authority: ReleaseAuthority) -> None:
        self._authority = authority

    def stop(self, model: str | None, *, actor: str, reason: str) -> object:
        """As `ReleaseAuthority.stop`."""
        return self._authority.stop(model, actor=actor, reason=reason)

    def reason(self, model: str) -> str:
        """As `StopSwitch.reason`."""
        return self._authority.stops.reason(model)


def _read_answer(sample: Sample) -> str:
    return str(answer_message(sample)["content"])


def check_canary(store: Store, authority: ReleaseAuthority, state: ReleaseState, events: EventIndex | None = None) -> float:
    """The share of people, in percent, that the challenger of `state` may reach now; 0 once a monitor has stopped it.

    Observes what people got and chose since the last call, by the signed rules, and stops the challenger's model in every process
    if a monitor says so. `events` is the index of the feedback log. Reads all observations and blocks: call it from a thread.
    """
    rules = parse_rules(state.rules).canary if state.rules else None
    collect_live_answers(store, state, _read_answer)
    collect_comparisons(store, state)
    report = assess_canary(store, state, rules=rules, events=events)
    stop_canary_if_due(store, _AuditedSwitch(authority), report)
    return float(report.percent)
