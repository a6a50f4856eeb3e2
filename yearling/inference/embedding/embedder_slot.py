"""The embedder of one pool: found, opened at its first use, and closed with the pool. Use from one event loop."""

from __future__ import annotations

import asyncio

from yearling.config import Settings
from yearling.errors import NotFound, Unavailable
from yearling.inference.embedding.embedder import Embedder
from yearling.inference.embedding.local_embedder import LocalEmbedder
from yearling.models import ModelLibrary


class EmbedderSlot:
    """At most one embedder: one that is open already, or the installed model that the settings name."""

    def __init__(
        self, settings: Settings | None = None, library: ModelLibrary | None = None, *, embedder: Embedder | None = None
    ) -> None:
        self._settings = settings
        self._library = library
        self._embedder = embedder
        self._opening = asyncio.Lock()
        self._closed = False

    def name(self) -> str:
        """Name of the embedding model, whether or not it is installed; empty if there is none to be."""
        if self._embedder is not None:
            return self._embedder.name
        return self._settings.embedding_model if self._settings is not None else ""

    def is_installed(self) -> bool:
        """Whether `get` finds a model. Reads one entry of the folder of models."""
        if self._embedder is not None:
            return True
        return self._library is not None and bool(self.name()) and self._library.is_installed(self.name())

    async def get(self) -> Embedder:
        """The embedder, opened at the first call.

        Raises NotFound, which says how to install the model, Untrusted for damaged files, and Unavailable.
        """
        async with self._opening:
            if self._closed:
                raise Unavailable("The server is shutting down.")
            if self._embedder is None:
                self._embedder = await self._open()
            return self._embedder

    async def close(self) -> None:
        """Close the embedder. Closing twice is harmless."""
        self._closed = True
        async with self._opening:
            if self._embedder is not None:
                await self._embedder.close()

    async def _open(self) -> Embedder:
        settings, library, name = self._settings, self._library, self.name()
        if settings is None or library is None or not name:
            raise NotFound("No embedding model is set.", advice="Set embedding_model to its name.", param="model")
        if not await asyncio.to_thread(self.is_installed):
            raise NotFound(
                f"The embedding model {name!r} is not installed.",
                advice=f"Install it with `yearling model pull {name}`, or on the page under Models.",
                param="model",
            )
        model = await asyncio.to_thread(library.get, name)
        if model.kind != "embedding" or model.problem:
            raise NotFound(
                f"The model {name!r} is not an embedding model.", advice="Set embedding_model to another name.", param="model"
            )
        return await LocalEmbedder.open(model, threads=settings.threads, stall_timeout_s=settings.stall_timeout_s)
