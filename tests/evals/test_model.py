"""The real default model: three sittings at temperature 0 give the same answers and verdicts, token by token.

On torch, one case at a time. Cases that share steps are summed in other orders from sitting to sitting, and so are llama.cpp's
when earlier answers left holes in its cache; a near tie between two tokens may then fall either way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from yearling.config import Settings
from yearling.evals import AssistantSubject, EngineSubject, Places, open_exam, run_exam
from yearling.inference import EnginePool
from yearling.models import Library, LocalModel
from yearling.store import Store


@pytest.mark.slow
async def test_three_runs_of_the_default_model_are_identical(
    default_model: LocalModel, model_library: Library, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, engine="torch")
    pool = EnginePool(settings, model_library)
    whole = open_exam("constraints", Places(tmp_path))
    exam = replace(whole, cases=whole.cases[:3], sampling={"temperature": 0.0, "max_tokens": 16})
    try:
        served = await pool.get(default_model.name)
        with Store.open(settings) as store:
            for subject in (EngineSubject(served), AssistantSubject(served)):
                runs = [await run_exam(exam, subject, store, concurrency=1, fresh=True) for _ in range(3)]
                told = [[(one.output_ids, one.prompt_ids, one.verdict) for one in store.exams.samples(run.id)] for run in runs]
                assert told[0] == told[1] == told[2]
                assert runs[0].model_hash == default_model.sha256
    finally:
        await pool.close()
