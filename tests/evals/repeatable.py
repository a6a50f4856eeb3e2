"""Do three runs at temperature 0 give the same answers? On each engine, one case at a time and several at once.

    python -m tests.evals.repeatable MODELS_DIR [--engines llamacpp,openvino,torch] [--parallel 1,8] [--cases 30] [--same-engine]

Each run opens an engine of its own, as each `yearling exam run` does; with `--same-engine` all runs share one. One line each:
how many cases have other verdicts, other tokens, or other log-probabilities of the same tokens, than in the first run.
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
    """Sit the same exam again and again; counts of cases that differ from the first run."""
    told: list[dict[str, GradedSample]] = []
    durations = []
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(data_dir=Path(name), engine=engine, threads=1)
        whole = open_exam("constraints", ExamDataFolders(Path(name)))
        exam = replace(whole, cases=whole.cases[:cases], sampling={"temperature": 0.0, "max_tokens": 32})
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
                    told.append({one.case_key: one for one in store.exams.list_samples(run.id)})
    first = told[0].items()
    return {
        "engine": engine,
        "parallel": parallel,
        "cases": cases,
        "runs": runs,
        "same_engine": same_engine,
        "other_verdicts": [sum(run[key].verdict != one.verdict for key, one in first) for run in told[1:]],
        "other_tokens": [sum(run[key].output_ids != one.output_ids for key, one in first) for run in told[1:]],
        "other_logprobs": [sum(run[key].logprobs != one.logprobs for key, one in first) for run in told[1:]],
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
    given = parser.parse_args()
    for engine in given.engines.split(","):
        for parallel in map(int, given.parallel.split(",")):
            found = await repeat(given.models, engine, parallel, given.cases, given.runs, same_engine=given.same_engine)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
