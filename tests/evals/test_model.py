"""The default model gives the same answers and verdicts in three runs at temperature 0, bit for bit, on every engine.

Each run asks one case at a time on an engine of its own, as `yearling exam run` does. When cases share steps of llama.cpp or
torch, or when earlier answers left holes in llama.cpp's cache, sums are taken in another order, and a near tie between two tokens
may fall either way. `python -m tests.evals.repeatable` measures how often.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from yearling.config import Settings
from yearling.evals import AssistantSubject, ExamDataFolders, open_exam, run_exam
from yearling.inference import EnginePool
from yearling.models import LocalModel, ModelLibrary
from yearling.store import Store


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["llamacpp", "openvino", "torch"])
async def test_repeated_runs_of_the_default_model_are_identical(
    engine: Literal["llamacpp", "openvino", "torch"], default_model: LocalModel, model_library: ModelLibrary, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, engine=engine)
    original = open_exam("constraints", ExamDataFolders(tmp_path))
    exam = replace(original, cases=original.cases[:2], sampling={"temperature": 0.0, "max_tokens": 8})
    results = []
    with Store.open(settings) as store:
        for _ in range(2):
            pool = EnginePool(settings, model_library)
            try:
                subject = AssistantSubject(await pool.get(default_model.name))
                run = await run_exam(exam, subject, store, concurrency=1, fresh=True)
            finally:
                await pool.close()
            results.append(
                [
                    (sample.output_ids, sample.prompt_ids, sample.logprobs, sample.verdict)
                    for sample in store.exams.list_samples(run.id)
                ]
            )
    assert results[0] == results[1]
    assert run.model_hash == default_model.sha256
