"""`yearling exam inspect`: an exam as a log of Inspect, for its viewer."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json
from yearling.cli.exam_sitting import exam_of, seated
from yearling.config import load_settings
from yearling.errors import Unavailable

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.evals import Exam


def inspect(
    exam: str = typer.Argument(help="An exam's name, or a folder or file of YAML cases."),
    log_dir: Path = typer.Option(..., "--log-dir", help="Where Inspect writes its log."),
    model: str | None = typer.Option(None, "--model", "-m", help="Who sits it; by default the model that answers."),
    engine_only: bool = typer.Option(
        False, "--engine", help="The bare model with its own template, not the assistant as served."
    ),
    samples: int = typer.Option(0, "--samples", min=0, help="Answers per case; 0 is what the exam says."),
    temperature: float | None = typer.Option(None, "--temperature", min=0, help="Instead of the exam's own."),
    limit: int = typer.Option(0, "--limit", min=0, help="Only the first so many cases."),
    seed: int = typer.Option(0, "--seed", help="Decides every draw."),
    parallel: int | None = typer.Option(
        None,
        "--parallel",
        min=1,
        help="Answers at once; by default as many as leave every answer repeatable, which for llama.cpp is one.",
    ),
    data: Path | None = typer.Option(None, "--data", help="Folder with the data sets that no package index has."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and results live."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Sit an exam under Inspect, with our engines and graders, and keep its log; needs the extra `inspect`."""
    settings = load_settings(data_dir=data_dir)
    paper = exam_of(exam, settings, data, samples=samples, temperature=temperature, limit=limit)
    log = asyncio.run(_under_inspect(settings, paper, model, engine_only, seed, parallel, log_dir))
    mean = log.results.scores[0].metrics["mean"].value
    if as_json:
        print_json({"exam": paper.name, "log": log.location, "samples": len(log.samples), "score": mean})
        return
    out.print(f"{paper.name}: {mean:.3f} over {len(log.samples)} samples.", highlight=False)
    err.print(f"Wrote {log.location}; look at it with `inspect view`.", highlight=False, soft_wrap=True)


async def _under_inspect(
    settings: Settings, paper: Exam, model: str | None, engine_only: bool, seed: int, parallel: int | None, log_dir: Path
) -> Any:
    from yearling.evals import inspect_task

    async with seated(settings, model, engine_only) as subject:
        with redirect_stdout(sys.stderr):  # where progress belongs; Inspect's is its own
            task = inspect_task(paper, subject, seed=seed)
            from inspect_ai import eval_async

            (log,) = await eval_async(
                task,
                model=None,
                log_dir=str(log_dir),
                max_samples=parallel or subject.at_once,
                ctl_server=False,
                acp_server=False,
            )
    if log.status != "success":
        raise Unavailable(
            f"Inspect did not finish: {log.error.message if log.error else log.status}.", advice=f"See {log.location}."
        )
    return log
