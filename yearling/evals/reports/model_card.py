"""Model cards: what a model is, what it was trained on, its exam results with intervals, its worst answers, and its limits.

Cards count training data. They never contain names, ids or texts of people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from yearling.errors import NotFound, Untrusted
from yearling.evals.comparison import last_user_text
from yearling.evals.reports.pages import (
    format_number,
    grader_status,
    render_page,
    render_run_body,
    render_table,
    render_worst_answers,
)
from yearling.store import ExamRun, GradedSample, LessonSource, Store

NUM_WORST_ANSWERS = 10

_NO_TRAINING_RECORD = "There is no record of training here."
_INCOMPLETE_TRAINING_RECORD = (
    "The training history of these weights is incomplete: training that this installation has no record of is not counted."
)

LIMITS = (
    "All results are for these exams in this form. Another prompt, language or length may give other results.",
    "Intervals cover random variation, but not the choice of cases.",
    "Graders marked as reports only have not proved that they agree with people.",
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
    """The training runs behind a model, each with the step that the model comes from.

    `is_complete` is False if part of the training is unknown.
    """

    steps_by_run: Mapping[str, int]
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The content of a card. `facts` describe the model; `training_counts` count its training data and may be empty."""

    model: str
    model_hash: str
    facts: Mapping[str, str]
    training_counts: Mapping[str, int]
    runs: tuple[ExamRun, ...]
    """The newest finished run of each exam, by exam."""
    worst: tuple[tuple[ExamRun, GradedSample], ...]
    gates: tuple[Mapping[str, str], ...]
    limits: tuple[str, ...]


def count_training_data(store: Store, training: TrainingHistory) -> tuple[dict[str, int], bool]:
    """Counts of the data that the runs trained on, and whether the counts are complete.

    A lesson counts once, even if several lesson sets contain it or several runs trained on it.
    """
    num_runs, sets, environments = 0, set[str](), set[str]()
    is_complete = training.is_complete
    for run_id in training.steps_by_run:
        try:
            run = store.runs.get(run_id)
        except (NotFound, Untrusted):
            is_complete = False
            continue
        num_runs += 1
        setup = run.facts.get("setup", {})
        sets |= {name for name in (run.lesson_set, *setup.get("earlier", ())) if name}
        environments |= set(setup.get("environments", ()))
    sources: list[LessonSource] = []
    for name in sets:
        try:
            sources += [source for source in store.lesson_sets.list_sources(name) if source.part == "train"]
        except (NotFound, Untrusted):
            is_complete = False
    kinds = Counter(kind for kind, _ in {(source.kind, source.key) for source in sources})
    counts = {
        "Training runs": num_runs,
        "Training steps": sum(training.steps_by_run.values()),
        "Lesson sets": len(sets),
        **{title: kinds[kind] for kind, title in _LESSON_KIND_TITLES.items()},
        "Human judgements behind the lessons": len({event for source in sources for event in source.event_ids}),
        "Task environments": len(environments),
    }
    return {name: count for name, count in counts.items() if count}, is_complete


def build_model_card(
    store: Store, model: str, model_hash: str, *, facts: Mapping[str, str], training: TrainingHistory
) -> ModelCard:
    """The card of a model from stored runs, lesson sets and gates. It shows the newest finished run of each exam."""
    training_counts, is_complete = count_training_data(store, training)
    newest: dict[tuple[str, str], ExamRun] = {}
    for run in store.exams.list(model_hash=model_hash, limit=1000):
        if run.finished_utc is not None:
            newest.setdefault((run.exam, run.subject), run)
    runs = tuple(newest[key] for key in sorted(newest))
    worst = [(run, sample) for run in runs for sample in store.exams.list_lowest_scoring(run.id, NUM_WORST_ANSWERS)]
    worst.sort(key=lambda pair: (pair[1].score, -len(pair[1].output_text), pair[0].exam, pair[1].case_key))
    limits = [*LIMITS]
    if not is_complete:
        limits.append(_INCOMPLETE_TRAINING_RECORD)
    if unproven := [run.exam for run in runs if not run.settings["card"]["may_gate"]]:
        limits.append(f"These exams only report, since their graders have not passed their own exams: {', '.join(unproven)}.")
    if truncated := [run.exam for run in runs if run.summary["cut_off"] > run.summary["samples"] / 10]:
        limits.append(f"More than a tenth of the answers reached the token limit in these exams: {', '.join(truncated)}.")
    if not runs:
        limits.append("The model has taken no exams here.")
    return ModelCard(
        model=model,
        model_hash=model_hash,
        facts=facts,
        training_counts=training_counts,
        runs=runs,
        worst=tuple(_interleave_runs(worst)),
        gates=tuple(
            {"decision": gate.decision, "when": f"{gate.created_utc:%Y-%m-%d}"}
            for gate in store.gates.list(challenger=model_hash)
        ),
        limits=tuple(limits),
    )


def render_model_card_page(card: ModelCard) -> str:
    """The card as a self-contained HTML page."""
    body = ["<h2>What it is</h2>", render_table(("", ""), [*card.facts.items(), ("Weights", card.model_hash)])]
    body += ["<h2>What it was trained on here</h2>", _render_training_counts(card)]
    for run in card.runs:
        status = "" if run.settings["card"]["may_gate"] else f" ({grader_status(run)})"
        body += [f"<h2>{escape(run.settings['title'])}, as {escape(run.subject)}{status}</h2>", *render_run_body(run)]
    if card.gates:
        body += ["<h2>Gates</h2>", render_table(("When", "Decision"), [(gate["when"], gate["decision"]) for gate in card.gates])]
    body += render_worst_answers([sample for _, sample in card.worst])
    body += ["<h2>Known limits</h2><ul>", *(f"<li>{escape(limit)}</li>" for limit in card.limits), "</ul>"]
    return render_page(f"System card: {card.model}", body)


def render_model_card_markdown(card: ModelCard) -> str:
    """The card as Markdown."""
    lines = [f"# System card: {card.model}", "", "## What it is", ""]
    lines += [f"- {name}: {value}" for name, value in card.facts.items()] + [f"- Weights: `{card.model_hash}`", ""]
    lines += ["## What it was trained on here", ""]
    lines += [f"- {name}: {count:,}" for name, count in card.training_counts.items()] or [_NO_TRAINING_RECORD]
    lines += ["", "## Exams", "", "| Exam | Subject | Metric | Value | 95 % | n | Grader |", "|---|---|---|---|---|---|---|"]
    for run in card.runs:
        for metric in run.summary["measures"]:
            value, low, high = (format_number(metric[key]) for key in ("value", "low", "high"))
            cells = (run.exam, run.subject, metric["name"], value, f"{low} to {high}", metric["n"], grader_status(run))
            lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", f"## The {len(card.worst)} worst answers", ""]
    for run, sample in card.worst:
        lines += [f"**{run.exam}, {sample.case_key}** (score {sample.score:g} {sample.label})", ""]
        lines += [*_code_block(last_user_text(sample.messages)), "", *_code_block(sample.output_text or sample.error), ""]
    lines += ["## Known limits", "", *(f"- {limit}" for limit in card.limits), ""]
    return "\n".join(lines)


def _interleave_runs(worst: Sequence[tuple[ExamRun, GradedSample]]) -> list[tuple[ExamRun, GradedSample]]:
    """The worst answers, taken in turn from each run, so that one hard exam does not fill the list."""
    queues: dict[str, list[tuple[ExamRun, GradedSample]]] = {}
    for run, sample in worst:
        queues.setdefault(run.id, []).append((run, sample))
    selected: list[tuple[ExamRun, GradedSample]] = []
    while len(selected) < NUM_WORST_ANSWERS and any(queues.values()):
        for queue in queues.values():
            if queue and len(selected) < NUM_WORST_ANSWERS:
                selected.append(queue.pop(0))
    return selected


def _render_training_counts(card: ModelCard) -> str:
    if not card.training_counts:
        return f"<p>{escape(_NO_TRAINING_RECORD)}</p>"
    return render_table(("", "Count>"), [(name, f"{count:,}") for name, count in card.training_counts.items()])


def _code_block(text: str) -> list[str]:
    """The text as an indented code block, so that none of it is markup."""
    return [f"    {line}" for line in text.splitlines() or [""]]
