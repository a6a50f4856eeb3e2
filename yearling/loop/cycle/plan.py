"""The plan of a cycle, before it starts: what would be learnt, from whom, and how long it would take at the measured speed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yearling.config import Settings
from yearling.errors import NotFound
from yearling.loop.cycle.evidence import required_exams
from yearling.loop.cycle.lessons import DEFAULT_SETTINGS, PRACTICE_SETTINGS
from yearling.loop.cycle.options import CycleOptions
from yearling.loop.cycle.tools import ChampionModel, ExamRequest
from yearling.loop.jobs.kinds import parse_settings
from yearling.release import GateRules, ReleaseAuthority, default_rules_text, parse_rules
from yearling.store import ExamRun, Store

_BYTES_PER_MODEL_BYTE = 2.5
"""Checkpoints of an adapter with the state of its optimiser, and the published adapter, against the size of the model's file."""
_TOKENS_PER_LESSON = 250
MAX_RUNS_SEARCHED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclePlan:
    """What a cycle would do. Times are in seconds, None where nothing was measured on this machine yet."""

    champion: str
    source: str
    num_judgements: int
    num_people: int
    num_waiting: int
    """Judgements since the newest lesson set."""
    method: str
    exams: tuple[str, ...]
    training_s: float | None
    exams_s: float | None
    free_bytes: int
    needed_bytes: int
    problems: tuple[str, ...]
    """What would keep it from ending well."""

    @property
    def expected_s(self) -> float | None:
        """The expected time of the whole, as far as it is known."""
        known = [seconds for seconds in (self.training_s, self.exams_s) if seconds is not None]
        return sum(known) if known else None


def plan_cycle(settings: Settings, store: Store, options: CycleOptions, champion: ChampionModel) -> CyclePlan:
    """The plan of a cycle that would start now. Stores nothing."""
    from yearling.feedback import EventIndex

    index = EventIndex(store)
    index.sync()
    with index.consistent_view() as view:
        judgements = [event for event in view.events() if event.kind in _JUDGEMENT_KINDS and view.withdrawal_of(event.id) is None]
    newest = store.lesson_sets.get_current()
    known = int((newest.manifest.get("consensus") or {}).get("up_to", 0)) if newest is not None else 0
    rules = _rules(settings, store)
    champion_exams, challenger_exams = required_exams(store, rules)
    num_lessons = options.practice_tasks if options.source == "practice" else len(judgements)
    free, needed = shutil.disk_usage(settings.data_dir).free, round(_BYTES_PER_MODEL_BYTE * champion.base_bytes)
    problems = []
    if options.source == "judgements" and not judgements:
        problems.append("Nobody has judged an answer yet: there is nothing to learn.")
    if not champion.base_bytes:
        problems.append(f"{champion.base} does not lie on this machine, so it cannot be trained here.")
    if free < needed:
        problems.append(f"The disk has {free / 1e6:.0f} MB left, and about {needed / 1e6:.0f} MB are needed.")
    return CyclePlan(
        champion=champion.name,
        source=options.source,
        num_judgements=len(judgements) if options.source == "judgements" else 0,
        num_people=len({event.actor for event in judgements}) if options.source == "judgements" else 0,
        num_waiting=max(0, store.events.head().sequence - known),
        method="sft" if options.source == "practice" else options.method,
        exams=tuple(sorted({request.exam for request in (*champion_exams, *challenger_exams)})),
        training_s=_training_s(store, options, num_lessons),
        exams_s=_exams_s(store, [*champion_exams, *challenger_exams]),
        free_bytes=free,
        needed_bytes=needed,
        problems=tuple(problems),
    )


def plan_text(plan: CyclePlan) -> str:
    """The plan for people."""
    what = (
        f"{plan.num_judgements} judgements of {plan.num_people} people"
        if plan.source == "judgements"
        else "tasks whose answers a program checks; no data of yours is needed"
    )
    times = [
        f"training {_time(plan.training_s)}",
        f"exams {_time(plan.exams_s)}",
    ]
    lines = [
        f"Learn from: {what}.",
        f"Beat: {plan.champion}, which stays in use until the gate and the key-holders say otherwise.",
        f"Exams: {', '.join(plan.exams)}.",
        f"Expected time: {', '.join(times)}.",
        f"Disk: about {plan.needed_bytes / 1e6:.0f} MB of {plan.free_bytes / 1e9:.1f} GB that are free.",
        *(f"Problem: {problem}" for problem in plan.problems),
    ]
    return "\n".join(lines)


_JUDGEMENT_KINDS = frozenset({"comparison", "rating", "edit"})


def _rules(settings: Settings, store: Store) -> GateRules:
    authority = ReleaseAuthority(settings.data_dir / "release", store)
    return parse_rules((authority.state().rules if authority.exists() else "") or default_rules_text())


def _training_s(store: Store, options: CycleOptions, num_lessons: int) -> float | None:
    """From the median speed of the newest finished run that told its speed."""
    for run in store.runs.list()[:MAX_RUNS_SEARCHED]:
        try:
            speeds = sorted(row["tokens_per_s"] for row in store.runs.read_metrics(run.id) if row.get("tokens_per_s"))
        except NotFound:
            continue
        if speeds:
            method = "sft" if options.source == "practice" else options.method if options.method != "auto" else "dpo"
            settings: Mapping[str, Any] = PRACTICE_SETTINGS if options.source == "practice" else DEFAULT_SETTINGS[method]
            passes = float(parse_settings(options.settings).get("passes", settings["passes"]))
            return num_lessons * _TOKENS_PER_LESSON * passes / float(speeds[len(speeds) // 2])
    return None


def _exams_s(store: Store, requests: list[ExamRequest]) -> float | None:
    """From the time of the newest finished run of each exam; exams that were never run here are not counted."""
    total, is_known = 0.0, False
    for request in requests:
        runs = [run for run in store.exams.list(exam=request.exam, limit=20) if run.finished_utc is not None]
        if runs:
            is_known = True
            total += _seconds(runs[0]) * (request.cases / max(1, runs[0].num_samples) if request.cases > 1 else 1.0)
    return total if is_known else None


def _seconds(run: ExamRun) -> float:
    return (run.finished_utc - run.created_utc).total_seconds() if run.finished_utc else 0.0


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown (nothing was measured on this machine yet)"
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
