"""Which published adapters a pool can serve, and the engines that answer with them.

An adapter answers under `<model>+<first 12 digits of its hash>` on every local model whose weights it fits, from the moment it is
published: the folder is read at each question, and engines load adapters while they answer others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from yearling.errors import NotFound, Unsupported, Untrusted
from yearling.inference.adapted import AdaptedEngine
from yearling.inference.engine import Engine
from yearling.inference.served_model import ServedModel

if TYPE_CHECKING:
    from yearling.models import AdapterLibrary, LocalModel, PublishedAdapter


class AdapterRegistry:
    """The adapters of one data folder for one pool. Used from one event loop."""

    def __init__(self, adapters: AdapterLibrary) -> None:
        self._adapters = adapters
        self._served: dict[str, ServedModel] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def names(self, models: Sequence[LocalModel]) -> list[str]:
        """Of every pair of model and adapter that fit each other."""
        published = self._adapters.list()
        return [adapter.served_name(model.name) for model in models for adapter in published if adapter.fits(model)]

    def find(self, name: str, models: Sequence[LocalModel]) -> tuple[LocalModel, PublishedAdapter] | None:
        """The model and the adapter that a name stands for; None when it names no adapter of a local model.

        Raises NotFound for an adapter that is not there, Untrusted for one that was made for other weights."""
        base, plus, digits = name.rpartition("+")
        model = next((one for one in models if one.name == base), None)
        if not plus or model is None:
            return None
        try:
            adapter = self._adapters.get(digits)
        except NotFound as error:
            raise NotFound(error.message, advice=error.advice, param="model") from None
        if not adapter.fits(model):
            raise Untrusted(
                f"The adapter {digits} was made for the weights {adapter.base_sha256[:12]}, not for {base}.",
                advice=f"It belongs to {adapter.base}.",
                param="model",
            )
        return model, adapter

    async def serve(self, base: ServedModel, adapter: PublishedAdapter) -> ServedModel:
        """`base` answering with the adapter. Loads it where the engine does not have it yet; running answers go on meanwhile.

        Raises Unsupported for an engine without adapters, Untrusted for a file that was changed."""
        name = adapter.served_name(base.name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            there = self._served.get(name)
            if there is None or _base_engine(there.engine) is not base.engine:
                self._served[name] = there = await self._load(name, base, adapter)
        return there

    def find_base_engine(self, name: str) -> Engine | None:
        """The engine that answers under that name, if it was asked for before."""
        served = self._served.get(name)
        return _base_engine(served.engine) if served else None

    async def _load(self, name: str, base: ServedModel, adapter: PublishedAdapter) -> ServedModel:
        if not base.engine.capabilities.adapters:
            raise Unsupported(
                f"The engine {base.engine.name} takes no adapters.",
                advice=f"Use another engine, or merge it: `yearling model merge {name}`.",
                param="model",
            )
        await asyncio.to_thread(self._adapters.verify, adapter.sha256)
        loaded = await base.engine.load_adapter(adapter.weights)
        if loaded != adapter.sha256:
            raise Untrusted(f"{adapter.weights} was changed while it was being loaded.", advice="Export the run again.")
        created = int(adapter.created_utc.timestamp())
        engine = AdaptedEngine(base.engine, adapter.sha256)
        return replace(base, name=name, engine=engine, created_unix_s=created, adapter_hash=adapter.sha256)


def _base_engine(engine: Engine) -> Engine:
    return engine.base_engine if isinstance(engine, AdaptedEngine) else engine
