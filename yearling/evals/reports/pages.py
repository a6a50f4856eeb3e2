"""Self-contained HTML pages of one run or one comparison, and the building blocks that model cards share.

Pages have no scripts and load nothing. Text from models and data sets is escaped, so none of it becomes markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any, TypedDict

from yearling.evals.comparison import CasePair, ExamComparison, last_user_text
from yearling.store import ExamRun, GradedSample

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #d9dee6;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f6f9;
padding:.7rem;border-radius:.3rem;margin:.3rem 0}.dim{color:#5b6675}svg{display:block}
@media(prefers-color-scheme:dark){body{color:#e6e9ee;background:#14181f}th,td{border-color:#333b47}pre{background:#1e242d}
.dim{color:#9aa5b4}}
"""
_METRIC_COLUMNS = ("Value>", "95 % from>", "to>", "n>", "")
_CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_page(title: str, body: Iterable[str]) -> str:
    """A complete HTML document. `body` is markup."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT_SECURITY_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
    )
    return f"{head}<body><h1>{escape(title)}</h1>{''.join(body)}</body></html>\n"


def render_run_page(run: ExamRun, worst: Sequence[GradedSample]) -> str:
    """The page of one run: metrics with intervals, parts, draws, and its worst answers verbatim."""
    return render_page(
        f"{run.settings['title']}: {run.model}", [_render_run_facts(run), *render_run_body(run), *render_worst_answers(worst)]
    )


def render_run_body(run: ExamRun) -> list[str]:
    """The results of a run as markup, or one sentence for an unfinished run."""
    if run.finished_utc is None:
        return ["<p>The run is not finished.</p>"]
    rows = [[metric["name"], *_format_metric(metric), _interval_svg(metric)] for metric in run.summary["measures"]]
    body = [render_table(("Metric", *_METRIC_COLUMNS), rows)]
    if run.summary["parts"]:
        parts = [[name or "–", *_format_metric(metric), _interval_svg(metric)] for name, metric in run.summary["parts"].items()]
        body += ["<h2>Parts</h2>", render_table(("Part", *_METRIC_COLUMNS), parts)]
    draws = run.summary["draws"]
    if draws["per_case"] > 1:
        quantiles = ", ".join(f"{name}: {value:.3f}" for name, value in draws["quantiles"].items())
        means = f"mean {draws['mean']:.3f}, worst {draws['worst']:.3f}, best {draws['best']:.3f}"
        body.append(f"<p>{draws['per_case']} draws per case: {means}. Quantiles of the cases: {escape(quantiles)}.</p>")
    if forecast := run.summary.get("forecast"):
        interval = f"{forecast['low']:.2f} to {forecast['high']:.2f}"
        body.append(f"<p>Expected worst score of {forecast['of']:,} answers: {forecast['score']:.2f} ({interval}).</p>")
    return body


def render_worst_answers(worst: Sequence[GradedSample]) -> list[str]:
    """The worst answers verbatim, as markup."""
    if not worst:
        return []
    body = [f"<h2>The {len(worst)} worst answers</h2>"]
    for sample in worst:
        prompt, answer = last_user_text(sample.messages), sample.output_text or sample.error
        verdict = f"score {sample.score:g} {escape(sample.label)}"
        body.append(f"<p><b>{escape(sample.case_key)}</b> <span class=dim>{verdict}</span></p>")
        body.append(f"<pre class=dim>{escape(prompt)}</pre><pre>{escape(answer)}</pre>")
    return body


def render_comparison_page(comparison: ExamComparison) -> str:
    """The page of a comparison: the difference with its tests, and the cases that changed most."""
    paired, interval = comparison.paired, comparison.interval
    rows = [
        ["Champion", comparison.champion.model, comparison.champion.model_hash[:16], f"{_score(comparison.champion):.3f}"],
        [
            "Challenger",
            comparison.challenger.model,
            comparison.challenger.model_hash[:16],
            f"{_score(comparison.challenger):.3f}",
        ],
    ]
    conclusion = (
        f"Difference {interval.value:+.3f}, 95 % from {interval.low:+.3f} to {interval.high:+.3f}, over {paired.n} units. "
        f"Better on {paired.wins}, worse on {paired.losses}. {paired.test}: one-sided p = {paired.p_better:.4f} for better, "
        f"{paired.p_worse:.4f} for worse. This many pairs can detect a difference of {paired.detectable:.3f} or more."
    )
    gates = "" if comparison.may_gate else "<p>The grader has not passed its own exam, so this only reports and may not gate.</p>"
    body = [render_table(("", "Model", "Weights", "Score>"), rows), f"<p>{escape(conclusion)}</p>{gates}"]
    for title, better in (("Lost", False), ("Won", True)):
        body.append(f"<h2>{title}</h2>")
        body += [_render_pair(pair) for pair in comparison.most_changed(better=better)] or ["<p>None.</p>"]
    return render_page(f"{comparison.champion.settings['title']}: champion and challenger", body)


def comparison_to_json(comparison: ExamComparison) -> dict[str, Any]:
    """A comparison as plain JSON, with the cases that changed most."""
    return {
        "exam": comparison.exam,
        "champion": run_to_json(comparison.champion),
        "challenger": run_to_json(comparison.challenger),
        "interval": asdict(comparison.interval),
        "paired": asdict(comparison.paired),
        "may_gate": comparison.may_gate,
        "lost": [asdict(pair) for pair in comparison.most_changed(better=False)],
        "won": [asdict(pair) for pair in comparison.most_changed(better=True)],
    }


def run_to_json(run: ExamRun) -> dict[str, object]:
    """The identity and score of a run, as plain JSON."""
    return {"run": run.id, "model": run.model, "model_hash": run.model_hash, "score": _score(run), "created_utc": run.created_utc}


def render_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table. Columns whose name ends in `>` are right-aligned. Cells are escaped, except markup made here."""
    classes = [' class="n"' if column.endswith(">") else "" for column in columns]
    head = "".join(f"<th{kind}>{escape(column.removesuffix('>'))}</th>" for column, kind in zip(columns, classes, strict=True))
    lines = ["".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row, classes, strict=True)) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


class _Markup(str):
    """Markup that was made here, and must not be escaped."""


def _cell(cell: object) -> str:
    return cell if isinstance(cell, _Markup) else escape(str(cell))


def format_number(value: float | None) -> str:
    """Three decimals, or a dash for an undefined number."""
    return "–" if value is None else f"{value:.3f}"


def grader_status(run: ExamRun) -> str:
    """Whether the grader of a run may gate."""
    return "may gate" if run.settings["card"]["may_gate"] else "reports only"


class _StoredMetric(TypedDict):
    """The numbers of a metric in the summary of a run; None stands for an undefined one."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def _format_metric(metric: _StoredMetric) -> list[str]:
    return [*map(format_number, (metric["value"], metric["low"], metric["high"])), str(metric["n"])]


def _interval_svg(metric: _StoredMetric) -> str:
    """The interval on a line from 0 to 1; empty for metrics outside that range."""
    values = [x for x in (metric["low"], metric["value"], metric["high"]) if x is not None and 0 <= x <= 1]
    if len(values) < 3:
        return ""
    low, value, high = (4 + 112 * x for x in values)
    return _Markup(
        f'<svg width="120" height="14" role="img" aria-label="interval"><line x1="4" x2="116" y1="7" y2="7" stroke="#b8c0cc"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7" stroke="#2f6feb" stroke-width="4"/>'
        f'<circle cx="{value:.1f}" cy="7" r="4" fill="#2f6feb"/></svg>'
    )


def _render_run_facts(run: ExamRun) -> str:
    summary, card = run.summary, run.settings["card"]
    labels = f", accuracy {card['accuracy']:.3f} on {card['num_labels']} human labels" if card["num_labels"] else ""
    licence = f"({run.settings['licence']})" if run.settings["licence"] else ""
    rows = [
        ("Model", run.model),
        ("Weights", run.model_hash),
        ("Subject", run.subject),
        ("Exam", f"{run.exam} {run.exam_hash[:16]}"),
        ("Source", " ".join(part for part in (run.settings["source"], licence) if part)),
        ("Grader", f"{run.grader}: {grader_status(run)}{labels}. {card['note']}"),
        ("Sampling", f"{run.settings['sampling']}, seed {run.seed}"),
        ("Samples", f"{summary.get('samples', 0)}, cut off {summary.get('cut_off', 0)}, errors {summary.get('errors', 0)}"),
        ("Started", f"{run.created_utc:%Y-%m-%d %H:%M} UTC"),
    ]
    return f"<p>{escape(run.settings['description'])}</p>{render_table(('', ''), rows)}<h2>Metrics</h2>"


def _render_pair(pair: CasePair) -> str:
    head = f"<p><b>{escape(pair.key)}</b> <span class=dim>{pair.champion:g} → {pair.challenger:g}</span></p>"
    return (
        f"{head}<pre class=dim>{escape(pair.prompt)}</pre><p class=dim>Champion</p><pre>{escape(pair.champion_text)}</pre>"
        f"<p class=dim>Challenger</p><pre>{escape(pair.challenger_text)}</pre>"
    )


def _score(run: ExamRun) -> float:
    value = run.summary["measures"][0]["value"]
    return float("nan") if value is None else float(value)
