"""`yearling exam graders` and `yearling exam judge`: validate graders against labels by people."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import typer

from yearling.cli.console import out, print_json, print_table
from yearling.cli.exam_execution import run_exam_on_model
from yearling.cli.options import AS_JSON, DATA_DIR, MODEL, PARALLEL
from yearling.config import load_settings


def graders(
    data: Path = typer.Option(..., "--data", help="Folder with the labelled data sets xstest and nq_open."),
    as_json: bool = AS_JSON,
) -> None:
    """Validate the graders: their agreement with people on labels that were not used to build them."""
    from yearling.evals import validate_answers, validate_refusals

    rows: list[dict[str, object]] = []
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
    cells = [
        (row["grader"], row["on"], row["labels"], *(f"{row[name]:.3f}" for name in ("accuracy", "recall", "precision")))
        for row in rows
    ]
    print_table(("Grader", "Data set", "Labels>", "Accuracy>", "Recall>", "Precision>"), cells)


def _grader_metrics(metrics: object) -> dict[str, float]:
    return {name: getattr(metrics, name) for name in ("labels", "accuracy", "recall", "precision")}


def judge(
    data: Path = typer.Option(..., "--data", help="Folder with the data set llmbar."),
    model: str | None = MODEL,
    limit: int = typer.Option(0, "--limit", min=0, help="Number of pairs, evenly spaced over the data set; 0 uses all."),
    parallel: int | None = PARALLEL,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Validate a model as a judge, and say whether it may gate. Exit code 1 if it may not.

    An interrupted run resumes where it stopped."""
    from yearling.evals import build_judge_card, build_judge_exam, load_llmbar_pairs

    pairs = load_llmbar_pairs(data / "llmbar")
    exam = build_judge_exam(pairs[:: max(1, len(pairs) // limit)][:limit] if limit else pairs)
    run = asyncio.run(run_exam_on_model(load_settings(data_dir=data_dir), exam, model, True, 0, parallel, False))
    card = build_judge_card(run)
    if as_json:
        print_json({**asdict(card), "may_gate": card.may_gate, "run": run.id, "measures": run.summary["measures"]})
    else:
        rows = [
            (measure["name"], *(f"{measure[key]:.3f}" for key in ("value", "low", "high")), measure["n"])
            for measure in run.summary["measures"]
        ]
        print_table(("Metric", "Value>", "95 % from>", "to>", "Pairs>"), rows)
        accuracy = f"accuracy {card.accuracy:.1%} (required {card.bar:.0%})"
        consistency = f"same verdict after swapping the answers {card.consistency or 0:.1%} (required {card.consistency_bar:.0%})"
        verdict = "may gate" if card.may_gate else "may not gate"
        out.print(f"{card.grader}: {accuracy}, {consistency}: {verdict}.", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if card.may_gate else 1)
