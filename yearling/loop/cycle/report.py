"""What came of a cycle: what got better and worse, with examples, the proof in a sentence, what it cost, what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput, NotFound
from yearling.loop.cycle.folder import CycleEnd, CycleFolder, StepRecord
from yearling.store import Store

if TYPE_CHECKING:
    from yearling.evals import CasePair, ExamComparison, KindsComparison

NUM_EXAMPLES = 3
_MAX_EXAMPLE_CHARS = 400

_TITLES: Mapping[str, str] = {
    "promoted": "It is in use",
    "measured": "It ends here",
    "refused": "The gate refused it",
    "waiting": "It waits",
    "nothing": "There was nothing new to learn",
    "stopped": "It was stopped",
}


def make_report(store: Store, folder: CycleFolder, end: CycleEnd) -> dict[str, Any]:
    """The report as JSON values. Reads stored records only, so it can be made again at any time."""
    start = folder.start()
    steps = {record.name: record for record in folder.steps()}
    comparisons = _compare_exams(store, steps.get("exams"))
    lessons = steps["lessons"].result if "lessons" in steps else {}
    gate = steps["gate"].result if "gate" in steps else {}
    return {
        "cycle": folder.id,
        "created_utc": start.created_utc.isoformat(),
        "ended_utc": end.ended_utc.isoformat(),
        "outcome": end.outcome,
        "why": end.why,
        "advice": end.advice,
        "champion": start.champion,
        "challenger": steps["training"].result["model"] if "training" in steps else "",
        "release": steps["proposal"].result["release"] if "proposal" in steps else None,
        "learnt": {
            name: lessons.get(name) for name in ("num_lessons", "num_judgements", "num_people", "method", "lesson_set", "unused")
        },
        "better": [_comparison(store, found) for found in comparisons if found.interval.value > 0],
        "worse": [_comparison(store, found) for found in comparisons if found.interval.value <= 0],
        "decision": gate.get("decision", ""),
        "proof": gate.get("summary", ""),
        "findings": gate.get("findings", []),
        "cost": _cost(steps.values(), lessons, comparisons),
        "next": _next(end, has_challenger="training" in steps),
    }


def report_text(report: Mapping[str, Any]) -> str:
    """The report on one page, for people."""
    cost = report["cost"]
    lines = [f"{_TITLES[report['outcome']]}: {report['why']}", ""]
    learnt = report["learnt"]
    if learnt["num_lessons"]:
        source = (
            f"{learnt['num_judgements']} judgements of {learnt['num_people']} people"
            if learnt["num_judgements"]
            else "tasks that a program checks"
        )
        lines += [f"Learnt: {learnt['num_lessons']} lessons from {source}, with {learnt['method']}.", ""]
    for title, key, sign in (("Better", "better", "won"), ("Not better", "worse", "lost")):
        for entry in report[key]:
            lines.append(f"{title}: {entry['sentence']}")
            lines += [f"  {kinds['sentence']}" for kinds in entry["kinds"]]
            lines += [f"  {line}" for line in _example_lines(entry[sign])]
            if sign == "won" and entry["lost"]:
                lines += ["  Worse there:", *(f"  {line}" for line in _example_lines(entry["lost"][:1]))]
            lines.append("")
    if report["proof"]:
        lines += [f"Decision of the gate: {report['decision']}. {report['proof']}", ""]
    lines.append(f"Cost: {_minutes(cost['cpu_s'])} of processor time, {_minutes(cost['duration_s'])} by the clock.")
    lines += [f"  {step['name']}: {_minutes(step['cpu_s'])}" for step in cost["steps"] if step["cpu_s"] >= 1]
    if cost["joules"] is not None:
        lines.append(f"  Energy of the whole machine meanwhile: {cost['joules'] / 3600:.1f} Wh.")
    lines += [f"  {cost['comparison']}"] if cost["comparison"] else []
    lines += ["", f"Next: {report['next']}", *([report["advice"]] if report["advice"] else [])]
    return "\n".join(lines) + "\n"


def _compare_exams(store: Store, exams: StepRecord | None) -> list[ExamComparison]:
    from yearling.evals import compare_runs

    if exams is None:
        return []
    before = {entry["exam"]: entry["run"] for entry in exams.result["champion"]}
    found = []
    for entry in exams.result["challenger"]:
        if entry["exam"] in before:
            try:
                found.append(compare_runs(store, before[entry["exam"]], entry["run"]))
            except (BadInput, NotFound):  # somebody deleted a run, or ran the exam with other options
                continue
    return found


def _comparison(store: Store, found: ExamComparison) -> dict[str, Any]:
    from yearling.evals import ExamDataFolders, compare_practised_kinds

    interval, paired = found.interval, found.paired
    sentence = (
        f"{found.exam}: {_percent(_score(found.champion.summary))} before, {_percent(_score(found.challenger.summary))} now; "
        f"{_points(interval.value, interval.low, interval.high)} over {paired.n} pairs, {paired.wins} better and "
        f"{paired.losses} worse."
    )
    return {
        "exam": found.exam,
        "champion_run": found.champion.id,
        "challenger_run": found.challenger.id,
        "interval": asdict(interval),
        "wins": paired.wins,
        "losses": paired.losses,
        "p_better": paired.p_better,
        "p_worse": paired.p_worse,
        "sentence": sentence,
        "kinds": [
            {**asdict(kinds), "sentence": _kinds_sentence(kinds)}
            for kinds in compare_practised_kinds(found, ExamDataFolders(store.settings.data_dir / "exams", None))
        ],
        "won": [_example(pair) for pair in found.most_changed(better=True, limit=NUM_EXAMPLES)],
        "lost": [_example(pair) for pair in found.most_changed(better=False, limit=NUM_EXAMPLES)],
    }


def _kinds_sentence(kinds: KindsComparison) -> str:
    what = "kinds of constraint that were practised" if kinds.is_practised else "kinds that are never practised"
    interval = kinds.interval
    return (
        f"On {what}: {_percent(kinds.champion)} before, {_percent(kinds.challenger)} now; "
        f"{_points(interval.value, interval.low, interval.high)} over {kinds.num_cases} tasks."
    )


def _example(pair: CasePair) -> dict[str, Any]:
    return {
        "prompt": _short(pair.prompt),
        "before": _short(pair.champion_text),
        "after": _short(pair.challenger_text),
        "scores": [pair.champion, pair.challenger],
    }


def _cost(steps: Any, lessons: Mapping[str, Any], comparisons: Sequence[ExamComparison]) -> dict[str, Any]:
    records: list[StepRecord] = list(steps)
    cpu_s = sum(record.cpu_s for record in records)
    joules = [record.joules for record in records]
    num_lessons = int(lessons.get("num_lessons") or 0)
    training_s = sum(record.cpu_s for record in records if record.name == "training")
    solved = sum(_solved(found.challenger.summary) for found in comparisons)
    exams_s = sum(entry["cpu_s"] or 0.0 for record in records if record.name == "exams" for entry in record.result["challenger"])
    change = _token_change(comparisons)
    return {
        "cpu_s": cpu_s,
        "duration_s": sum(record.duration_s for record in records),
        "joules": None if None in joules or not joules else sum(each for each in joules if each is not None),
        "steps": [{"name": record.name, "cpu_s": record.cpu_s, "duration_s": record.duration_s} for record in records],
        "cpu_s_per_lesson": training_s / num_lessons if num_lessons else None,
        "cpu_s_per_solved_task": exams_s / solved if solved and exams_s else None,
        "tokens_per_task": {
            found.exam: [_tokens(found.champion.summary), _tokens(found.challenger.summary)] for found in comparisons
        },
        "token_change": change,
        "comparison": _compare_costs(change),
    }


def _token_change(comparisons: Sequence[ExamComparison]) -> float | None:
    """The change in the tokens of the same exam tasks, which do not depend on what else the machine did; None without tokens."""
    before = sum(_tokens(found.champion.summary) * found.champion.num_samples for found in comparisons)
    after = sum(_tokens(found.challenger.summary) * found.challenger.num_samples for found in comparisons)
    return after / before - 1 if before and after else None


def _compare_costs(change: float | None) -> str:
    """Whether the same work became cheaper."""
    if change is None:
        return ""
    if abs(change) < 0.01:
        return "The same tasks cost as much as before: its answers are as long."
    how = "cheaper: its answers are shorter" if change < 0 else "dearer: its answers are longer"
    return f"The same tasks became {abs(change):.0%} {how}."


def _score(summary: Mapping[str, Any]) -> float | None:
    value = summary["measures"][0]["value"]
    return None if value is None or not math.isfinite(value) else float(value)


def _solved(summary: Mapping[str, Any]) -> float:
    return (_score(summary) or 0.0) * float(summary["cases"])


def _tokens(summary: Mapping[str, Any]) -> float:
    return float(summary["completion_tokens"]) / max(1, int(summary["samples"]))


def _next(end: CycleEnd, *, has_challenger: bool) -> str:
    match end.outcome:
        case "promoted":
            return "Use it. If people dislike it, go back: `yearling release rollback`."
        case "measured" if has_challenger:
            return "Use it with `yearling release propose`, or throw it away: it costs nothing but its disk space."
        case "refused":
            return "Throw it away. The model that answers stays as it is."
        case "waiting":
            return "Wait."
        case _:
            return "Nothing is to be done."


def _example_lines(examples: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for example in examples:
        lines += [f"Q: {example['prompt']}", f"   before: {example['before']}", f"   now:    {example['after']}"]
    return lines


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_EXAMPLE_CHARS else f"{text[: _MAX_EXAMPLE_CHARS - 1]}…"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _points(value: float, low: float, high: float) -> str:
    """A difference of two shares with its interval, in percentage points."""
    return f"{100 * value:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
