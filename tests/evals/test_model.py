"""The real default model: three sittings at temperature 0 give the same answers and verdicts, bit for bit, on every engine.

One case at a time, and an engine for each sitting, as each `yearling exam run` has. Cases that share steps of llama.cpp or torch
are summed in other orders from sitting to sitting, as are llama.cpp's when earlier answers left holes in its cache. A near tie
between two tokens may then fall either way; `python -m tests.evals.repeatable` measures it.
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
async def test_three_runs_of_the_default_model_are_identical(
    engine: Literal["llamacpp", "openvino", "torch"], default_model: LocalModel, model_library: ModelLibrary, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, engine=engine)
    whole = open_exam("constraints", ExamDataFolders(tmp_path))
    exam = replace(whole, cases=whole.cases[:2], sampling={"temperature": 0.0, "max_tokens": 8})
    told = []
    with Store.open(settings) as store:
        for _ in range(3):
            pool = EnginePool(settings, model_library)
            try:
                subject = AssistantSubject(await pool.get(default_model.name))
                run = await run_exam(exam, subject, store, concurrency=1, fresh=True)
            finally:
                await pool.close()
            told.append([(one.output_ids, one.prompt_ids, one.logprobs, one.verdict) for one in store.exams.list_samples(run.id)])
    assert told[0] == told[1] == told[2]
    assert run.model_hash == default_model.sha256
