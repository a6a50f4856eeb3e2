"""`yearling exam inspect`: run an exam under Inspect and write its log, for Inspect's viewer."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json
from yearling.cli.exam_execution import open_subject, resolve_exam
from yearling.cli.options import AS_JSON, DATA_DIR, DATASETS_DIR, ENGINE_ONLY, LIMIT, MODEL, PARALLEL, SAMPLES, SEED, TEMPERATURE
from yearling.config import load_settings
from yearling.errors import Unavailable

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.evals import Exam


def inspect(
    exam: str = typer.Argument(help="Name of an exam, or a file or folder of YAML cases."),
    log_dir: Path = typer.Option(..., "--log-dir", help="Folder in which Inspect writes its log."),
    model: str | None = MODEL,
    engine_only: bool = ENGINE_ONLY,
    samples: int = SAMPLES,
    temperature: float | None = TEMPERATURE,
    limit: int = LIMIT,
    seed: int = SEED,
    parallel: int | None = PARALLEL,
    data: Path | None = DATASETS_DIR,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Run an exam under Inspect with our engines and graders, and write an Inspect log. Needs the extra `inspect`."""
    settings = load_settings(data_dir=data_dir)
    opened_exam = resolve_exam(exam, settings, data, samples=samples, temperature=temperature, limit=limit)
    log = asyncio.run(_run_under_inspect(settings, opened_exam, model, engine_only, seed, parallel, log_dir))
    mean = log.results.scores[0].metrics["mean"].value
    if as_json:
        print_json({"exam": opened_exam.name, "log": log.location, "samples": len(log.samples), "score": mean})
        return
    out.print(f"{opened_exam.name}: {mean:.3f} over {len(log.samples)} samples.", highlight=False)
    err.print(f"Wrote {log.location}; open it with `inspect view`.", highlight=False, soft_wrap=True)


async def _run_under_inspect(
    settings: Settings, exam: Exam, model: str | None, engine_only: bool, seed: int, parallel: int | None, log_dir: Path
) -> Any:
    """Inspect's log of the exam. Raises Unavailable if Inspect does not finish."""
    from yearling.evals import build_inspect_task
    from yearling.store import Store

    with Store.open(settings) as store:
        async with open_subject(settings, store, model, engine_only) as subject:
            with redirect_stdout(sys.stderr):  # Inspect prints its progress to stdout
                task = build_inspect_task(exam, subject, seed=seed)
                from inspect_ai import eval_async

                (log,) = await eval_async(
                    task,
                    model=None,
                    log_dir=str(log_dir),
                    max_samples=parallel or subject.max_concurrency,
                    ctl_server=False,
                    acp_server=False,
                )
        if log.status != "success":
            raise Unavailable(
                f"Inspect did not finish: {log.error.message if log.error else log.status}.", advice=f"See {log.location}."
            )
        return log
