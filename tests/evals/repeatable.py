"""Measures whether repeated runs at temperature 0 give the same answers, on each engine, one case at a time and several at once.

    python -m tests.evals.repeatable MODELS_DIR [--engines llamacpp,openvino,torch] [--parallel 1,8] [--cases 30] [--same-engine]

Each run opens an engine of its own, as `yearling exam run` does; with `--same-engine` all runs share one. Prints a line per
engine and concurrency: in how many cases the verdict, the tokens or the log-probabilities differ from the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from yearling.config import Settings
from yearling.evals import EngineSubject, ExamDataFolders, open_exam, run_exam
from yearling.inference import EnginePool
from yearling.models import ModelLibrary
from yearling.store import GradedSample, Store


async def repeat(models: Path, engine: str, parallel: int, cases: int, runs: int, *, same_engine: bool) -> dict[str, Any]:
    """Run the same exam repeatedly, and count the cases that differ from the first run."""
    results: list[dict[str, GradedSample]] = []
    durations = []
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(data_dir=Path(name), engine=engine, threads=1)
        original = open_exam("constraints", ExamDataFolders(Path(name)))
        exam = replace(original, cases=original.cases[:cases], sampling={"temperature": 0.0, "max_tokens": 32})
        with Store.open(settings) as store:
            async with AsyncExitStack() as stack:
                pool = None
                for _ in range(runs):
                    if pool is None or not same_engine:
                        await stack.aclose()
                        pool = EnginePool(settings, ModelLibrary(models))
                        stack.push_async_callback(pool.close)
                    subject = EngineSubject(await pool.get("smollm2-135m-instruct"))
                    started = time.monotonic()
                    run = await run_exam(exam, subject, store, concurrency=parallel, fresh=True)
                    durations.append(round(time.monotonic() - started, 1))
                    results.append({sample.case_key: sample for sample in store.exams.list_samples(run.id)})
    first = results[0].items()
    return {
        "engine": engine,
        "parallel": parallel,
        "cases": cases,
        "runs": runs,
        "same_engine": same_engine,
        "other_verdicts": [sum(run[key].verdict != sample.verdict for key, sample in first) for run in results[1:]],
        "other_tokens": [sum(run[key].output_ids != sample.output_ids for key, sample in first) for run in results[1:]],
        "other_logprobs": [sum(run[key].logprobs != sample.logprobs for key, sample in first) for run in results[1:]],
        "seconds": durations,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--engines", default="llamacpp,openvino,torch")
    parser.add_argument("--parallel", default="1,8")
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--same-engine", action="store_true")
    arguments = parser.parse_args()
    for engine in arguments.engines.split(","):
        for parallel in map(int, arguments.parallel.split(",")):
            result = await repeat(
                arguments.models, engine, parallel, arguments.cases, arguments.runs, same_engine=arguments.same_engine
            )
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
