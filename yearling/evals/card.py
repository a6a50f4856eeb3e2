"""The card of a model: what it is, what it learnt from (counts, never names), exams with intervals, worst answers, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yearling.evals.comparison import last_user_text
from yearling.evals.report import page, run_body, table, worst_body
from yearling.store import ExamRun, GradedSample, Store

WORST = 10

_NOTHING = "Nothing: these are the publisher's weights."
_UNKNOWN = "Not known here: no record of this installation says how these weights were made."

LIMITS = (
    "Every figure is of these exams, put this way; another prompt, language or length may give another one.",
    "Intervals hold what chance may do, and not what the choice of cases does.",
    "Graders that are said to report only have not shown that people would agree with them.",
    "A small model states falsehoods fluently. Check what matters.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """`facts` say what the model is, `learnt` counts what it learnt from, None where that is not known; both are the caller's."""

    model: str
    model_hash: str
    facts: Mapping[str, str]
    learnt: Mapping[str, int] | None
    runs: tuple[ExamRun, ...]
    """The newest finished run of each exam, by exam."""
    worst: tuple[tuple[ExamRun, GradedSample], ...]
    gates: tuple[Mapping[str, Any], ...]
    limits: tuple[str, ...]


def model_card(
    store: Store, model: str, model_hash: str, *, facts: Mapping[str, str], learnt: Mapping[str, int] | None
) -> ModelCard:
    """From what is stored. An exam that was never sat is named among the limits by its absence alone."""
    newest: dict[tuple[str, str], ExamRun] = {}
    for run in store.exams.list(model_hash=model_hash, limit=1000):
        if run.finished_utc is not None:
            newest.setdefault((run.exam, run.subject), run)
    runs = tuple(newest[key] for key in sorted(newest))
    low = [(run, sample) for run in runs for sample in store.exams.worst(run.id, WORST)]
    low.sort(key=lambda pair: (pair[1].score, -len(pair[1].output_text), pair[0].exam, pair[1].case_key))
    limits = [*LIMITS]
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
        learnt=learnt,
        runs=runs,
        worst=tuple(_spread(low)),
        gates=tuple(
            {"decision": one.decision, "when": f"{one.created_utc:%Y-%m-%d}"} for one in store.exams.gates(challenger=model_hash)
        ),
        limits=tuple(limits),
    )


def card_page(card: ModelCard) -> str:
    """As HTML that stands alone."""
    body = ["<h2>What it is</h2>", table(("", ""), [*card.facts.items(), ("Weights", card.model_hash)])]
    body += ["<h2>What it learnt from here</h2>", _learnt(card)]
    for run in card.runs:
        trust = "" if run.settings["card"]["may_gate"] else " (reports only)"
        body += [f"<h2>{_text(run.settings['title'])}, as {_text(run.subject)}{trust}</h2>", *run_body(run)]
    if card.gates:
        body += ["<h2>Gates</h2>", table(("When", "Decision"), [(one["when"], one["decision"]) for one in card.gates])]
    body += worst_body([sample for _, sample in card.worst])
    body += ["<h2>Known limits</h2><ul>", *(f"<li>{_text(limit)}</li>" for limit in card.limits), "</ul>"]
    return page(f"System card: {card.model}", body)


def card_markdown(card: ModelCard) -> str:
    """As Markdown."""
    lines = [f"# System card: {card.model}", "", "## What it is", ""]
    lines += [f"- {name}: {value}" for name, value in card.facts.items()] + [f"- Weights: `{card.model_hash}`", ""]
    lines += ["## What it learnt from here", ""]
    lines += [f"- {name}: {count:,}" for name, count in (card.learnt or {}).items()] or [
        _NOTHING if card.learnt == {} else _UNKNOWN
    ]
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
        lines += [*_quoted(last_user_text(sample.messages)), "", *_quoted(sample.output_text or sample.error), ""]
    lines += ["## Known limits", "", *(f"- {limit}" for limit in card.limits), ""]
    return "\n".join(lines)


def _spread(low: Sequence[tuple[ExamRun, GradedSample]]) -> list[tuple[ExamRun, GradedSample]]:
    """The worst in turn over the exams, so that one hard exam does not fill the list."""
    queues: dict[str, list[tuple[ExamRun, GradedSample]]] = {}
    for run, sample in low:
        queues.setdefault(run.id, []).append((run, sample))
    found: list[tuple[ExamRun, GradedSample]] = []
    while len(found) < WORST and any(queues.values()):
        for queue in queues.values():
            if queue and len(found) < WORST:
                found.append(queue.pop(0))
    return found


def _learnt(card: ModelCard) -> str:
    if not card.learnt:
        return f"<p>{_text(_UNKNOWN if card.learnt is None else _NOTHING)}</p>"
    return table(("", "Count>"), [(name, f"{count:,}") for name, count in card.learnt.items()])


def _text(text: str) -> str:
    from html import escape

    return escape(text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _quoted(text: str) -> list[str]:
    """As a code block, so that nothing in it is markup."""
    return [f"    {line}" for line in text.splitlines() or [""]]
