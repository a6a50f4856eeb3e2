"""`yearling exam graders` and `yearling exam judge`: the graders' own exams, against people."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.evals import GraderCard, JudgedPair

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where models and results live.")


def graders(
    data: Path = typer.Option(..., "--data", help="Folder with the labelled data sets."), as_json: bool = AS_JSON
) -> None:
    """Put the graders themselves to their exams: agreement with people on labels that they were not made on."""
    from yearling.evals import validate_answers, validate_refusals

    rows: list[dict[str, Any]] = []
    for figures in validate_refusals(data / "xstest"):
        rows.append({"grader": "refusal", "on": f"XSTest, the half {figures.half}", **_rates(figures)})
    judged = validate_answers(data / "nq_open" / "NQ-open.efficientqa.test.1.1.jsonl")
    rows.append({"grader": "short_answer", "on": judged.file, **_rates(judged)})
    if as_json:
        print_json(rows)
        return
    shown = [
        (row["grader"], row["on"], row["labels"], *(f"{row[name]:.3f}" for name in ("accuracy", "recall", "precision")))
        for row in rows
    ]
    print_table(("Grader", "On", "Labels>", "Accuracy>", "Recall>", "Precision>"), shown)


def _rates(figures: Any) -> dict[str, float]:
    return {name: getattr(figures, name) for name in ("labels", "accuracy", "recall", "precision")}


def judge(
    data: Path = typer.Option(..., "--data", help="Folder with the data set llmbar."),
    model: str | None = typer.Option(None, "--model", "-m", help="The judge; by default the model that answers."),
    limit: int = typer.Option(0, "--limit", min=0, help="Only so many pairs, evenly taken."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Put a model as a judge to its exam: may it gate? Exit code 1 when it may not."""
    from yearling.evals import llmbar_pairs

    settings = load_settings(data_dir=data_dir)
    pairs = llmbar_pairs(data / "llmbar")
    found = asyncio.run(_judge(settings, model, pairs[:: max(1, len(pairs) // limit)][:limit] if limit else pairs))
    if as_json:
        print_json({**asdict(found), "may_gate": found.may_gate})
    else:
        said = f"{found.accuracy:.1%} right (bar {found.bar:.0%}), keeps its opinion on {found.consistency or 0:.1%} of the pairs"
        trust = "may gate" if found.may_gate else "may not gate"
        out.print(f"{found.grader}: {said} (bar {found.consistency_bar:.0%}), {found.num_labels} pairs: {trust}.", soft_wrap=True)
    raise typer.Exit(0 if found.may_gate else 1)


async def _judge(settings: Settings, model: str | None, pairs: list[JudgedPair]) -> GraderCard:
    from yearling.evals import EngineSubject, validate_judge
    from yearling.inference import EnginePool
    from yearling.models import Library

    pool = EnginePool(settings, Library(settings.models_dir))
    try:
        with err.status("Judging"):
            return await validate_judge(EngineSubject(await pool.get(model)), pairs)
    finally:
        await pool.close()
