"""The published adapters that a pool can serve, and the engines that answer with them.

An adapter is served as `<model>+<first 12 digits of its hash>` on every local model whose weights it fits, from the moment it is
published: the adapter folder is read for each request. Engines load adapters while they answer other requests. A reader is found
through its model instead, and listed nowhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import NotFound, Unsupported, Untrusted, UserError
from yearling.inference.engine import Completion, Delta, Engine, GenerationRequest, Token, collect_completion
from yearling.inference.guarding.file_check import FileCheck
from yearling.inference.served_model import ServedModel

if TYPE_CHECKING:
    from yearling.models import AdapterLibrary, LocalModel, PublishedAdapter

log = logging.getLogger(__name__)


class AdaptedEngine:
    """An engine that sends every request with one adapter, so that callers cannot forget to ask for it.

    `base_engine` must have loaded the adapter under `adapter_hash`. Closing an AdaptedEngine leaves `base_engine` open, because
    its owner closes it.
    """

    def __init__(self, base_engine: Engine, adapter_hash: str) -> None:
        self.base_engine = base_engine
        self.adapter_hash = adapter_hash
        self.name = base_engine.name
        self.model_hash = base_engine.model_hash
        # The base engine embeds with the bare model; returning those vectors under the adapter's name would be wrong.
        self.capabilities = replace(base_engine.capabilities, embed=False)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`, with this adapter whatever the request names."""
        async with aclosing(self.base_engine.stream(replace(request, adapter_hash=self.adapter_hash))) as deltas:
            async for delta in deltas:
                yield delta

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`, with this adapter whatever the request names."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`, with this adapter; `adapter_hash` is ignored."""
        return await self.base_engine.score(sequences, adapter_hash=self.adapter_hash)

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`, with this adapter; `adapter_hash` is ignored."""
        return await self.base_engine.score_tokens(ids, first=first, num_top=num_top, adapter_hash=self.adapter_hash)

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Raises Unsupported."""
        raise Unsupported("A model with an adapter makes no embeddings.", advice="Use the bare model.", param="model")

    async def load_adapter(self, path: Path) -> str:
        """Raises Unsupported."""
        raise Unsupported("A model with an adapter cannot load a second adapter.", advice="Load it into the bare model.")

    async def unload_adapter(self, adapter_hash: str) -> None:
        """Raises Unsupported."""
        raise Unsupported("The adapter of this model cannot be unloaded.", advice="Unload it from the bare model.")

    async def close(self) -> None:
        """Does nothing: the owner of `base_engine` closes it."""


class AdapterRegistry:
    """The adapters of one data folder for one pool. Use from one event loop."""

    def __init__(self, adapters: AdapterLibrary) -> None:
        self._adapters = adapters
        self._served: dict[str, tuple[ServedModel, Path]] = {}
        """Served models by name, each with the file of its adapter."""
        self._refused_readers: set[str] = set()
        """Hashes of readers whose refusal was logged, because a reader is asked for with every correction."""
        self._locks: dict[str, asyncio.Lock] = {}

    def pairs(self, models: Sequence[LocalModel]) -> list[tuple[LocalModel, PublishedAdapter]]:
        """Every pair of a model and an adapter for it that is a model of its own. Reads the folder of adapters."""
        published = [adapter for adapter in self._adapters.list() if adapter.purpose == "model"]
        return [(model, adapter) for model in models for adapter in published if adapter.fits(model)]

    def find(self, name: str, models: Sequence[LocalModel]) -> tuple[LocalModel, PublishedAdapter] | None:
        """The model and the adapter behind a served name; None if the name does not start with a local model and `+`.

        Raises NotFound if the adapter does not exist, Untrusted if it was made for other weights.
        """
        base, plus, digits = name.rpartition("+")
        model = next((candidate for candidate in models if candidate.name == base), None)
        if not plus or model is None:
            return None
        try:
            adapter = self._adapters.get(digits)
        except NotFound as error:
            raise NotFound(error.message, advice=error.advice, param="model") from None
        if not adapter.fits(model):
            raise Untrusted(
                f"The adapter {digits} was made for the weights {adapter.base_sha256[:12]}, not for {base}.",
                advice=f"Use it with {adapter.base}.",
                param="model",
            )
        return model, adapter

    async def serve(self, base: ServedModel, adapter: PublishedAdapter) -> ServedModel:
        """`base` with the adapter. Loads the adapter into the engine if needed, while running requests continue.

        Raises Unsupported if the engine cannot load adapters, Untrusted if the adapter's files were changed.
        """
        name = adapter.served_name(base.name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            served, _ = self._served.get(name, (None, None))
            if served is None or _base_engine(served.engine) is not base.engine:
                served = await self._load(name, base, adapter)
                self._served[name] = served, adapter.weights
        return served

    async def load_reader(
        self, base: ServedModel, *, source_sha256: str = "", is_stopped: Callable[[str], bool] | None = None
    ) -> str | None:
        """The content hash of the newest reader of `base`, loaded into its engine; None if there is none.

        `source_sha256` is the hash of the published file that the weights come from: readers for its other layouts fit too. The
        folder of adapters is read at each call, so that a reader is used from the moment it is published. Passes over readers
        that may not be loaded, logging each once, and those whose served name is stopped. None if the engine loads no adapters.
        """
        if base.adapter_hash is not None or not base.engine.capabilities.adapters:
            return None
        for reader in reversed(await asyncio.to_thread(self._adapters.list)):
            fits = reader.fits_weights(model_sha256=base.engine.model_hash, source_sha256=source_sha256)
            if reader.purpose != "reader" or not fits or (is_stopped and is_stopped(reader.served_name(base.name))):
                continue
            try:
                return (await self.serve(base, reader)).adapter_hash
            except (NotFound, Untrusted) as error:
                if reader.sha256 not in self._refused_readers:
                    log.warning("The reader %s of %s is not used: %s", reader.sha256[:12], base.name, error)
                self._refused_readers.add(reader.sha256)
        return None

    async def forget_refused(self, file_check: FileCheck) -> None:
        """Serve no adapter any more that may not be loaded now. Answers that are running end normally."""
        for name, (served, weights) in list(self._served.items()):
            try:
                await file_check.recheck([(weights, served.adapter_hash or "")])
            except UserError as error:
                log.warning("The adapter %s is not served any more: %s", name, error)
                del self._served[name]
                if isinstance(served.engine, AdaptedEngine):
                    await served.engine.base_engine.unload_adapter(served.engine.adapter_hash)

    def find_base_engine(self, name: str) -> Engine | None:
        """The engine behind a served name; None if `serve` was never called for it."""
        served, _ = self._served.get(name, (None, None))
        return _base_engine(served.engine) if served else None

    async def _load(self, name: str, base: ServedModel, adapter: PublishedAdapter) -> ServedModel:
        if not base.engine.capabilities.adapters:
            raise Unsupported(
                f"The engine {base.engine.name} cannot load adapters.",
                advice=f"Use another engine, or merge the adapter: `yearling model merge {name}`.",
                param="model",
            )
        await asyncio.to_thread(self._adapters.verify, adapter.sha256)
        loaded_sha256 = await base.engine.load_adapter(adapter.weights)
        if loaded_sha256 != adapter.sha256:
            raise Untrusted(f"{adapter.weights} was changed while it was being loaded.", advice="Export the run again.")
        return replace(
            base,
            name=name,
            engine=AdaptedEngine(base.engine, adapter.sha256),
            created_unix_s=int(adapter.created_utc.timestamp()),
            adapter_hash=adapter.sha256,
        )


def _base_engine(engine: Engine) -> Engine:
    return engine.base_engine if isinstance(engine, AdaptedEngine) else engine
