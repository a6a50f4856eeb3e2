"""Models and engines for the proof of a merge: the assistant as served here, with adapters that nobody else sees yet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.records import SamplingSettings

if TYPE_CHECKING:
    from yearling.chat import CorrectionSource, UsedCorrection
    from yearling.config import Settings
    from yearling.evals import SubjectResponse
    from yearling.inference import EnginePool
    from yearling.loop import ProofRequest
    from yearling.store import Store
    from yearling.training import ArtefactStores


class SameWordCorrections:
    """Corrections for an installation without the embedding model: they act for a question in the same words, as when served."""

    def __init__(self, pairs: Sequence[tuple[str, str]], pool: EnginePool) -> None:
        from yearling.chat import UsedCorrection
        from yearling.clock import now_utc
        from yearling.store import question_key

        self._pool = pool
        self._by_words = {
            question_key(question): UsedCorrection(
                id=str(number),
                kind="correction",
                question=question,
                answer=answer,
                created_utc=now_utc(),
                own=True,
                similarity=1.0,
            )
            for number, (question, answer) in enumerate(pairs)
        }

    async def find(self, question: str, person_id: str) -> list[UsedCorrection]:
        """As `CorrectionMemory.find`."""
        from yearling.store import question_key

        found = self._by_words.get(question_key(question))
        return [found] if found is not None else []

    async def get_reader(self, model_name: str) -> str | None:
        """As `CorrectionMemory.get_reader`."""
        return await self._pool.get_reader(model_name)


class LocalMergeTools:
    """See `MergeTools`. Engines stay open between calls; `close` ends them."""

    def __init__(self, settings: Settings, store: Store, scratch_dir: Path, model: str) -> None:
        self._settings, self._store, self._scratch_dir, self._model = settings, store, scratch_dir, model
        self._runner = asyncio.Runner()
        self._pool: EnginePool | None = None

    def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        """See `MergeTools`. One question at a time, which gives the same words each time."""
        return self._runner.run(self._answer(request, progress))

    def close(self) -> None:
        """Stop the engines."""
        if self._pool is not None:
            self._runner.run(self._pool.close())
        self._runner.close()

    async def _answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        from yearling.evals import AssistantSubject
        from yearling.models import AdapterLibrary

        if self._pool is None:
            self._pool = await asyncio.to_thread(open_scratch_pool, self._settings, self._store, self._scratch_dir)
        name = self._model
        if request.adapter:
            name = AdapterLibrary(self._scratch_dir / "adapters").get(request.adapter).served_name(self._model)
        subject = AssistantSubject(await self._pool.get(name), await self._correction_source(request.corrections, self._pool))
        responses = []
        for question in request.questions:
            sampling = SamplingSettings(temperature=0.0, max_tokens=question.max_tokens)
            responses.append(await subject.respond(question.case, sampling))
            progress()
        return responses

    async def _correction_source(self, pairs: Sequence[tuple[str, str]], pool: EnginePool) -> CorrectionSource | None:
        from yearling.chat import FixedCorrections

        if not pairs:
            return None
        has_embedder = await asyncio.to_thread(pool.has_embedder)
        return FixedCorrections(pairs, pool) if has_embedder else SameWordCorrections(pairs, pool)


def open_scratch_pool(settings: Settings, store: Store, scratch_dir: Path) -> EnginePool:
    """A pool that serves the models of the installation with the adapters of a scratch folder, and obeys stops."""
    from yearling.inference import EnginePool
    from yearling.models import ModelLibrary
    from yearling.release import ReleaseAuthority, ServingChecks

    checks = ServingChecks(ReleaseAuthority(settings.data_dir / "release", store), store.people.get, settings.data_dir)
    scratch = settings.model_copy(update={"data_dir": scratch_dir, "database_url": settings.resolved_database_url})
    return EnginePool(scratch, ModelLibrary(settings.models_dir), is_stopped=checks.is_stopped)


@contextmanager
def scratch_stores(settings: Settings) -> Iterator[tuple[ArtefactStores, Path]]:
    """A scratch folder in the data folder, removed at the end: the models of the installation, its readers, no adapters."""
    from yearling.files.folders import staging_directory
    from yearling.loop import merges_dir
    from yearling.models import AdapterLibrary
    from yearling.training import ArtefactStores

    with staging_directory(merges_dir(settings.data_dir)) as folder:
        (folder / "adapters").mkdir()
        os.symlink(settings.models_dir.resolve(), folder / "models")
        for reader in AdapterLibrary(settings.adapters_dir).list():
            if reader.purpose == "reader":
                os.symlink(reader.folder.resolve(), folder / "adapters" / reader.sha256)
        yield ArtefactStores.from_data_dir(folder), folder
