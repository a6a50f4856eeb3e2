"""The real default model: three sittings at temperature 0 give the same answers and verdicts, token by token."""

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
    settings = Settings(data_dir=tmp_path)
    pool = EnginePool(settings, model_library)
    whole = open_exam("constraints", Places(tmp_path))
    exam = replace(whole, cases=whole.cases[:8], sampling={"temperature": 0.0, "max_tokens": 48})
    try:
        served = await pool.get(default_model.name)
        with Store.open(settings) as store:
            for subject in (EngineSubject(served), AssistantSubject(served)):
                runs = [await run_exam(exam, subject, store, concurrency=8, fresh=True) for _ in range(3)]
                told = [[(one.output_ids, one.prompt_ids, one.verdict) for one in store.exams.samples(run.id)] for run in runs]
                assert told[0] == told[1] == told[2]
                assert runs[0].model_hash == default_model.sha256
    finally:
        await pool.close()
