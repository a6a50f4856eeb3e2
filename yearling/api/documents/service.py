"""The server's part in documents: it reads what people add, and computes vectors while nobody waits for an answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog

from yearling.api.idle_generation import GenerationActivity
from yearling.errors import UserError
from yearling.files.locks import LockHeldError
from yearling.inference import Embedder
from yearling.retrieval import DocumentIndex, DocumentReader
from yearling.store import Store
from yearling.tracebacks import describe_exception

_log = structlog.get_logger("yearling.api")

POLL_S = 5.0
"""How often the server looks for documents that other processes added."""
_PASSAGES_AT_ONCE = 16
"""Passages that are embedded before the server looks again whether somebody waits."""
_BUSY_PAUSE_S = 0.2
_RETRY_PAUSE_S = 30.0


class EmbedderSource(Protocol):
    """Where the embedding model comes from."""

    def has_embedder(self) -> bool:
        """Whether one is installed. Lists the folder of models: call from a thread."""
        ...

    async def get_embedder(self) -> Embedder:
        """The model, opened at the first call."""
        ...


class DocumentService:
    """The documents of one server. Use from one event loop."""

    def __init__(self, store: Store, embedders: EmbedderSource, activity: GenerationActivity, *, poll_s: float = POLL_S) -> None:
        self._store = store
        self.index = DocumentIndex(store)
        self._reader = DocumentReader(store.settings, store, self.index)
        self._embedders, self._activity, self._poll_s = embedders, activity, poll_s
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    def start(self) -> None:
        """Start to read what waits."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look for documents now."""
        self._wake.set()

    async def close(self) -> None:
        """Stop. The document in progress is read again after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def prepare_search(self) -> DocumentIndex:
        """The index, which searches by meaning as soon as an embedding model is installed and answers."""
        try:
            await self._use_embedder()
        except UserError as error:
            _log.warning("documents_searched_by_words", reason=str(error))
        return self.index

    async def _use_embedder(self) -> bool:
        if not await asyncio.to_thread(self._embedders.has_embedder):
            return False
        self.index.use_embedder(await self._embedders.get_embedder())
        return True

    async def _run(self) -> None:
        while True:
            pause_s = self._poll_s
            try:
                await self._reader.read_waiting()
                if await asyncio.to_thread(self._store.passages.exist) and await self._use_embedder():
                    await self._embed()
                self._problem = ""
            except LockHeldError:
                pass  # another process reads
            except UserError as error:
                if str(error) != self._problem:  # a full disk is not worth a line every few seconds
                    _log.warning("documents_not_read", reason=str(error))
                self._problem, pause_s = str(error), _RETRY_PAUSE_S
            except Exception as error:
                _log.error("documents_not_read", **describe_exception(error))
                pause_s = _RETRY_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    async def _embed(self) -> None:
        """Compute missing vectors, a few at a time, while nobody waits. New documents are read first."""
        while not self._wake.is_set():
            if self._activity.num_answers:
                await asyncio.sleep(_BUSY_PAUSE_S)
            elif not await self.index.embed_missing(max_passages=_PASSAGES_AT_ONCE):
                break
