"""The card of a model: what it is, what it learnt from (counts, never names), exams with intervals, worst answers, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yearling.errors import NotFound, Untrusted
from yearling.evals.comparison import last_user_text
from yearling.evals.reports.pages import render_page, render_run_body, render_table, render_worst_answers
from yearling.store import ExamRun, GradedSample, LessonSource, Store

NUM_WORST_ANSWERS = 10

_NO_TRAINING_RECORD = "Nothing of which there is a record."
_INCOMPLETE_TRAINING_RECORD = (
    "How these weights were made is not wholly known here: what no record of this installation tells is not counted."
)

LIMITS = (
    "Every figure is of these exams, put this way; another prompt, language or length may give another one.",
    "Intervals hold what chance may do, and not what the choice of cases does.",
    "Graders that are said to report only have not shown that people would agree with them.",
    "A small model states falsehoods fluently. Check what matters.",
)


_LESSON_KIND_TITLES = {
    "demonstration": "Demonstrations",
    "pair": "Preference pairs",
    "thumb": "Thumbs",
    "prompt": "Tasks with a grader",
}


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The runs behind a model, each with the step that was taken from it. Not `whole`: some of its making is unknown."""

    steps_by_run: Mapping[str, int]
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """`facts` say what the model is, `learnt` counts what it learnt from; empty where nothing is known, or nothing was learnt."""

    model: str
    model_hash: str
    facts: Mapping[str, str]
    training_counts: Mapping[str, int]
    runs: tuple[ExamRun, ...]
    """The newest finished run of each exam, by exam."""
    worst: tuple[tuple[ExamRun, GradedSample], ...]
    gates: tuple[Mapping[str, Any], ...]
    limits: tuple[str, ...]


def count_training_data(store: Store, training: TrainingHistory) -> tuple[dict[str, int], bool]:
    """Counts of what the runs learnt from, and whether that is all: no names, no ids, no words.

    A lesson that several sets hold, or that several runs learnt, counts once.
    """
    runs, sets, environments = 0, set[str](), set[str]()
    whole = training.is_complete
    for run_id in training.steps_by_run:
        try:
            run = store.runs.get(run_id)
        except (NotFound, Untrusted):
            whole = False
            continue
        runs += 1
        setup = run.facts.get("setup", {})
        sets |= {one for one in (run.lesson_set, *setup.get("earlier", ())) if one}
        environments |= set(setup.get("environments", ()))
    sources: list[LessonSource] = []
    for name in sets:
        try:
            sources += [one for one in store.lesson_sets.list_sources(name) if one.part == "train"]
        except (NotFound, Untrusted):
            whole = False
    kinds = Counter(kind for kind, _ in {(one.kind, one.key) for one in sources})
    counts = {
        "Training runs": runs,
        "Steps of them": sum(training.steps_by_run.values()),
        "Lesson sets": len(sets),
        **{name: kinds[kind] for kind, name in _LESSON_KIND_TITLES.items()},
        "Judgements of people behind the lessons": len({event for one in sources for event in one.event_ids}),
        "Kinds of exercises that programs make and grade": len(environments),
    }
    return {name: count for name, count in counts.items() if count}, whole


def build_model_card(
    store: Store, model: str, model_hash: str, *, facts: Mapping[str, str], training: TrainingHistory
) -> ModelCard:
    """From what is stored. An exam that was never sat is named among the limits by its absence alone."""
    learnt, whole = count_training_data(store, training)
    newest: dict[tuple[str, str], ExamRun] = {}
    for run in store.exams.list(model_hash=model_hash, limit=1000):
        if run.finished_utc is not None:
            newest.setdefault((run.exam, run.subject), run)
    runs = tuple(newest[key] for key in sorted(newest))
    low = [(run, sample) for run in runs for sample in store.exams.list_lowest_scoring(run.id, NUM_WORST_ANSWERS)]
    low.sort(key=lambda pair: (pair[1].score, -len(pair[1].output_text), pair[0].exam, pair[1].case_key))
    limits = [*LIMITS]
    if not whole:
        limits.append(_INCOMPLETE_TRAINING_RECORD)
    if silent := [run.exam for run in runs if not run.settings["card"]["may_gate"]]:
        limits.append(f"Reported only, by graders that have not passed their own exam: {', '.join(silent)}.")
    if cut := [run.exam for run in runs if run.summary["cut_off"] > run.summary["samples"] / 10]:
        limits.append(f"More than a tenth of the answers were cut off at the exam's limit: {', '.join(cut)}.")
    if not runs:
        limits.append("It has sat no exam here.")
    return ModelCard(
        model=model,
        model_hash=model_hash,
        facts=facts,
        training_counts=learnt,
        runs=runs,
        worst=tuple(_interleave_runs(low)),
        gates=tuple(
            {"decision": one.decision, "when": f"{one.created_utc:%Y-%m-%d}"}
            for one in store.gates.list(challenger=model_hash)
        ),
        limits=tuple(limits),
    )


def render_model_card_page(card: ModelCard) -> str:
    """As HTML that stands alone."""
    body = ["<h2>What it is</h2>", render_table(("", ""), [*card.facts.items(), ("Weights", card.model_hash)])]
    body += ["<h2>What it learnt from here</h2>", _render_training_counts(card)]
    for run in card.runs:
        trust = "" if run.settings["card"]["may_gate"] else " (reports only)"
        body += [f"<h2>{_escape_html(run.settings['title'])}, as {_escape_html(run.subject)}{trust}</h2>", *render_run_body(run)]
    if card.gates:
        body += ["<h2>Gates</h2>", render_table(("When", "Decision"), [(one["when"], one["decision"]) for one in card.gates])]
    body += render_worst_answers([sample for _, sample in card.worst])
    body += ["<h2>Known limits</h2><ul>", *(f"<li>{_escape_html(limit)}</li>" for limit in card.limits), "</ul>"]
    return render_page(f"System card: {card.model}", body)


def render_model_card_markdown(card: ModelCard) -> str:
    """As Markdown."""
    lines = [f"# System card: {card.model}", "", "## What it is", ""]
    lines += [f"- {name}: {value}" for name, value in card.facts.items()] + [f"- Weights: `{card.model_hash}`", ""]
    lines += ["## What it learnt from here", ""]
    lines += [f"- {name}: {count:,}" for name, count in card.training_counts.items()] or [_NO_TRAINING_RECORD]
    lines += ["", "## Exams", "", "| Exam | Sat as | Measure | Value | 95 % | n | Grader |", "|---|---|---|---|---|---|---|"]
    for run in card.runs:
        trust = "may gate" if run.settings["card"]["may_gate"] else "reports only"
        lines += [
            f"| {run.exam} | {run.subject} | {one['name']} | {_number(one['value'])} | {_number(one['low'])} to "
            f"{_number(one['high'])} | {one['n']} | {trust} |"
            for one in run.summary["measures"]
        ]
    lines += ["", f"## The {len(card.worst)} worst answers", ""]
    for run, sample in card.worst:
        lines += [f"**{run.exam}, {sample.case_key}** (score {sample.score:g} {sample.label})", ""]
        lines += [*_code_block(last_user_text(sample.messages)), "", *_code_block(sample.output_text or sample.error), ""]
    lines += ["## Known limits", "", *(f"- {limit}" for limit in card.limits), ""]
    return "\n".join(lines)


def _interleave_runs(low: Sequence[tuple[ExamRun, GradedSample]]) -> list[tuple[ExamRun, GradedSample]]:
    """The worst in turn over the exams, so that one hard exam does not fill the list."""
    queues: dict[str, list[tuple[ExamRun, GradedSample]]] = {}
    for run, sample in low:
        queues.setdefault(run.id, []).append((run, sample))
    found: list[tuple[ExamRun, GradedSample]] = []
    while len(found) < NUM_WORST_ANSWERS and any(queues.values()):
        for queue in queues.values():
            if queue and len(found) < NUM_WORST_ANSWERS:
                found.append(queue.pop(0))
    return found


def _render_training_counts(card: ModelCard) -> str:
    if not card.training_counts:
        return f"<p>{_escape_html(_NO_TRAINING_RECORD)}</p>"
    return render_table(("", "Count>"), [(name, f"{count:,}") for name, count in card.training_counts.items()])


def _escape_html(text: str) -> str:
    from html import escape

    return escape(text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _code_block(text: str) -> list[str]:
    """As a code block, so that nothing in it is markup."""
    return [f"    {line}" for line in text.splitlines() or [""]]
