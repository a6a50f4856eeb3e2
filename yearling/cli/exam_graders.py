"""`yearling exam graders` and `yearling exam judge`: the graders' own exams, against people."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from yearling.cli.console import out, print_json, print_table
from yearling.cli.exam_execution import run_exam_on_model
from yearling.cli.options import AS_JSON, DATA_DIR, PARALLEL
from yearling.config import load_settings


def graders(
    data: Path = typer.Option(..., "--data", help="Folder with the labelled data sets."), as_json: bool = AS_JSON
) -> None:
    """Put the graders themselves to their exams: agreement with people on labels that they were not made on."""
    from yearling.evals import validate_answers, validate_refusals

    rows: list[dict[str, Any]] = []
    for grader, agreements in (
        ("refusal", validate_refusals(data / "xstest")),
        ("short_answer", validate_answers(data / "nq_open" / "NQ-open.efficientqa.test.1.1.jsonl")),
    ):
        for agreement in agreements:
            labels = f"{agreement.source}, the half {agreement.half}"
            rows.append({"grader": grader, "on": labels, **_grader_metrics(agreement)})
    if as_json:
        print_json(rows)
        return
    shown = [
        (row["grader"], row["on"], row["labels"], *(f"{row[name]:.3f}" for name in ("accuracy", "recall", "precision")))
        for row in rows
    ]
    print_table(("Grader", "On", "Labels>", "Accuracy>", "Recall>", "Precision>"), shown)


def _grader_metrics(metrics: Any) -> dict[str, float]:
    return {name: getattr(metrics, name) for name in ("labels", "accuracy", "recall", "precision")}


def judge(
    data: Path = typer.Option(..., "--data", help="Folder with the data set llmbar."),
    model: str | None = typer.Option(None, "--model", "-m", help="The judge; by default the model that answers."),
    limit: int = typer.Option(0, "--limit", min=0, help="Only so many pairs, evenly taken."),
    parallel: int | None = PARALLEL,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Put a model as a judge to its exam: may it gate? Exit code 1 when it may not. What was cut off goes on."""
    from yearling.evals import build_judge_card, build_judge_exam, load_llmbar_pairs

    pairs = load_llmbar_pairs(data / "llmbar")
    paper = build_judge_exam(pairs[:: max(1, len(pairs) // limit)][:limit] if limit else pairs)
    run = asyncio.run(run_exam_on_model(load_settings(data_dir=data_dir), paper, model, True, 0, parallel, False))
    found = build_judge_card(run)
    if as_json:
        print_json({**asdict(found), "may_gate": found.may_gate, "run": run.id, "measures": run.summary["measures"]})
    else:
        rows = [
            (one["name"], *(f"{one[key]:.3f}" for key in ("value", "low", "high")), one["n"]) for one in run.summary["measures"]
        ]
        print_table(("Measure", "Value>", "95 % from>", "to>", "Pairs>"), rows)
        bars = f"right {found.accuracy:.1%} (bar {found.bar:.0%}), the same when exchanged {found.consistency or 0:.1%}"
        trust = "may gate" if found.may_gate else "reports only, may not gate"
        out.print(f"{found.grader}: {bars} (bar {found.consistency_bar:.0%}): {trust}.", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if found.may_gate else 1)
