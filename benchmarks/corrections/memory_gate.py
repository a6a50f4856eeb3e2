"""The gate of the program itself, in a data folder that lasts for one measurement."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.corrections.cases import CorrectionCase
from benchmarks.corrections.reading import Gate
from yearling.chat import CorrectionMemory
from yearling.config import Settings
from yearling.inference import EnginePool
from yearling.store import Store

BATCH = 8
"""Corrections between two questions: as many as a turn embeds by itself."""


@asynccontextmanager
async def memory_gate(pool: EnginePool, corrections: Sequence[CorrectionCase]) -> AsyncIterator[Gate]:
    """Store the corrections, and yield what finds those that bear on a question."""
    by_question = {case.question: case for case in corrections}
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
        owner = store.people.owner().id
        memory = CorrectionMemory(store, pool)
        for start in range(0, len(corrections), BATCH):
            for case in corrections[start : start + BATCH]:
                store.corrections.add(owner, case.question, case.answer)
            await memory.find("What is new?", owner)

        async def find(question: str) -> list[CorrectionCase]:
            found = await memory.find(question, owner)
            return [by_question[each.question] for each in reversed(found)]

        yield find
        await memory.close()
