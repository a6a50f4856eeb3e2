"""What releases cost: the cycle that trained each of them, by its report. Reads stored reports, measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yearling.config import Settings
from yearling.errors import NotFound, Untrusted
from yearling.loop.cycle.folder import CycleFolder, list_cycles
from yearling.store import Release, Store

MAX_CYCLES_SEARCHED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleCost:
    """What one cycle cost, and whether the same work became cheaper with the model that it trained."""

    cycle: str
    model: str
    cpu_s: float
    """Processor seconds of all steps."""
    joules: float | None
    """Energy of the whole machine meanwhile; None where it cannot be read."""
    cpu_s_per_lesson: float | None
    """Processor seconds of the training for each lesson."""
    cpu_s_per_solved_task: float | None
    """Processor seconds of the new model's exams for each task that it solved; None if it solved none."""
    token_change: float | None
    """Change in the tokens of the same exam tasks: -0.1 for a tenth fewer than with the champion; None if not compared."""


def list_cycle_costs(settings: Settings) -> dict[str, CycleCost]:
    """The costs of the newest cycles that trained a model and have a report, by the name of the model."""
    costs: dict[str, CycleCost] = {}
    for folder in list_cycles(settings)[:MAX_CYCLES_SEARCHED]:
        cost = _read_cost(folder)
        if cost is not None:
            costs.setdefault(cost.model, cost)
    return costs


def list_release_costs(settings: Settings, store: Store) -> list[tuple[Release, CycleCost]]:
    """The releases that a cycle trained, newest first, each with its cost."""
    costs = list_cycle_costs(settings)
    return [(release, costs[release.model]) for release in store.releases.list() if release.model in costs] if costs else []


def _read_cost(folder: CycleFolder) -> CycleCost | None:
    """None for a cycle without a model or a report, and for one that is damaged, which its own page says."""
    try:
        report = folder.read_report()
    except (NotFound, Untrusted):
        return None
    cost: Mapping[str, Any] = (report or {}).get("cost") or {}
    if report is None or not report.get("challenger") or "cpu_s" not in cost:
        return None
    return CycleCost(
        cycle=folder.id,
        model=report["challenger"],
        **{name: cost.get(name) for name in ("joules", "cpu_s_per_lesson", "cpu_s_per_solved_task", "token_change")},
        cpu_s=cost["cpu_s"],
    )
