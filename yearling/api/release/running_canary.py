"""Looks at the running canary: how many people it may reach now, and whether a monitor stops it."""

from __future__ import annotations

from yearling.loop import assess_canary, stop_canary_if_due
from yearling.release import ReleaseAuthority, ReleaseState
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


def check_canary(store: Store, authority: ReleaseAuthority, state: ReleaseState) -> float:
    """The share of people, in percent, that the challenger of `state` may reach now; 0 once a monitor has stopped it.

    Stops the challenger's model in every process if a monitor says so. Reads all observations and blocks: call it from a thread.
    """
    report = assess_canary(store, state)
    stop_canary_if_due(store, _AuditedSwitch(authority), report)
    return float(report.percent)
