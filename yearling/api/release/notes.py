"""Release notes from records: what a release learnt and cost, and how its answers differ from those of the champion before it.

Everything here blocks on the store, and comparing exam runs takes a fraction of a second: call it from a thread.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from yearling.api.http.json_response import JsonObject
from yearling.api.release.proofs import compared_runs, find_proof
from yearling.errors import NotFound, Untrusted, UserError
from yearling.loop import CycleCost, compare_exam_runs, open_cycle

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.release import ReleaseState
    from yearling.store import ExamRun, Release, Store

MAX_EXAMS = 5
MAX_RUNS_SEARCHED = 200
MAX_SHOWN_CHARS = 2000
_SERVED = "assistant"


class ComparedCase(Protocol):
    """One case of an exam that both models answered, with their mean scores and first answers."""

    @property
    def champion(self) -> float: ...

    @property
    def challenger(self) -> float: ...

    @property
    def champion_text(self) -> str: ...

    @property
    def challenger_text(self) -> str: ...

    @property
    def prompt(self) -> str: ...


def cost_view(cost: CycleCost | None) -> JsonObject | None:
    """A `ReleaseCostView`, or None for a release that no cycle trained."""
    if cost is None:
        return None
    values = asdict(cost)
    del values["model"]
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnswerCost:
    """Medians over the answers of exams. `joules` is None where they cannot be read."""

    num_answers: int
    cpu_s: float
    joules: float | None


def answer_cost_view(
    settings: Settings, store: Store, cost: CycleCost | None, cost_before: CycleCost | None, model_before: str | None
) -> JsonObject | None:
    """An `AnswerCostView`, or None for a release whose answers no cycle measured.

    The release before is measured by the same exams if it was the champion of the same cycle, or else by those of its own cycle.
    """
    now = _answer_cost(settings, store, cost, "challenger")
    if now is None:
        return None
    before = _answer_cost(settings, store, cost, "champion", champion=model_before) if model_before else None
    before = before or _answer_cost(settings, store, cost_before, "challenger")
    return {
        "num_answers": now.num_answers,
        "cpu_s": now.cpu_s,
        "joules": now.joules,
        "cpu_s_before": before.cpu_s if before else None,
        "joules_before": before.joules if before else None,
    }


def _answer_cost(
    settings: Settings, store: Store, cost: CycleCost | None, side: str, *, champion: str | None = None
) -> _AnswerCost | None:
    """What the answers of one side of a cycle's exams cost; None if nobody measured them, or if another model was champion."""
    if cost is None:
        return None
    folder = open_cycle(settings, cost.cycle)
    try:
        exams = next((step for step in folder.steps() if step.name == "exams"), None)
        is_other = champion is not None and folder.start().champion != champion
    except (NotFound, Untrusted):
        return None  # the cycle's own page says that it is damaged
    if exams is None or is_other:
        return None
    costs: list[float] = []
    for exam in exams.result.get(side, ()):
        if exam.get("cpu_s") is None:
            continue  # its answers are of an earlier time
        durations = store.exams.list_durations(exam["run"])
        total_s = sum(durations)
        costs += [exam["cpu_s"] * duration_s / total_s for duration_s in durations if total_s > 0]
    if not costs:
        return None
    cpu_s = statistics.median(costs)
    joules = exams.joules * cpu_s / exams.cpu_s if exams.joules is not None and exams.cpu_s > 0 else None
    return _AnswerCost(num_answers=len(costs), cpu_s=cpu_s, joules=joules)


def learnt_view(store: Store, release: Release) -> JsonObject | None:
    """A `LearntView`, or None for a release that learnt nothing here."""
    if not release.lesson_set:
        return None
    try:
        record = store.lesson_sets.get(release.lesson_set)
    except (NotFound, Untrusted):
        return None
    judgements: dict[str, Any] = record.report.get("judgements", {})
    counts: dict[str, int] = record.manifest["counts"]["train"]
    return {
        "lessons_by_kind": {kind: count for kind, count in counts.items() if count},
        "num_judgements": int(judgements.get("kept", 0)),
        "num_people": int(judgements.get("voices", 0)),
        "lesson_set": record.hash,
        "lesson_set_version": record.version,
    }


def behaviour_views(store: Store, release: Release, before: Release | None, state: ReleaseState) -> list[JsonObject]:
    """`BehaviourChangeView`s against the release before, at most one per exam, those of the gate first."""
    if before is None or not release.model_hash or not before.model_hash:
        return []
    found: dict[str, JsonObject] = {}
    for champion_run, challenger_run in _run_pairs(store, release, before, state):
        try:
            comparison = compare_exam_runs(store, champion_run, challenger_run)
        except UserError:
            continue  # runs that do not pair up, or were deleted
        if comparison.exam not in found:
            better = comparison.most_changed(better=True, limit=len(comparison.pairs))
            worse = comparison.most_changed(better=False, limit=len(comparison.pairs))
            found[comparison.exam] = {
                "exam": comparison.exam,
                "title": str(comparison.challenger.settings.get("title", comparison.exam)),
                "num_questions": len(comparison.pairs),
                "num_better": len(better),
                "num_worse": len(worse),
                "champion_run": comparison.champion.id,
                "challenger_run": comparison.challenger.id,
                "flipped": flipped_views([*better, *reversed(worse)]),
            }
        if len(found) == MAX_EXAMS:
            break
    return list(found.values())


def _run_pairs(store: Store, release: Release, before: Release, state: ReleaseState) -> Iterator[tuple[str, str]]:
    if before.number == state.champion:
        yield from compared_runs(find_proof(store, release, state).findings)
    newer, older = (_served_runs(store, each.model_hash) for each in (release, before))
    for new in newer:
        for old in older:
            if old.exam_hash == new.exam_hash:
                yield old.id, new.id
                break


def _served_runs(store: Store, model_hash: str) -> list[ExamRun]:
    """The finished runs of a model, newest first. Those of an adapter name the model below it, too."""
    runs = store.exams.list(limit=MAX_RUNS_SEARCHED)
    return [
        run
        for run in runs
        if run.finished_utc is not None
        and run.subject == _SERVED
        and (run.model_hash == model_hash or run.model_hash.endswith(f"+{model_hash}"))
    ]


def flipped_views(ordered: Sequence[ComparedCase]) -> list[JsonObject]:
    """The best, median and worst changed answer, each once. `ordered` runs from the largest gain to the largest loss."""
    if not ordered:
        return []
    chosen = {0: "best", len(ordered) - 1: "worst"} if len(ordered) > 1 else {0: "best" if _gain(ordered[0]) > 0 else "worst"}
    chosen.setdefault((len(ordered) - 1) // 2, "median")
    return [_flip_view(ordered[position], kind) for position, kind in sorted(chosen.items())]


def _gain(pair: ComparedCase) -> float:
    return pair.challenger - pair.champion


def _flip_view(pair: ComparedCase, kind: str) -> JsonObject:
    return {
        "kind": kind,
        "question": pair.prompt[:MAX_SHOWN_CHARS],
        "before": pair.champion_text[:MAX_SHOWN_CHARS],
        "after": pair.challenger_text[:MAX_SHOWN_CHARS],
        "score_before": pair.champion,
        "score_after": pair.challenger,
    }
