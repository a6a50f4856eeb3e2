"""The engines of one server: one per model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from yearling.errors import NotFound, Unavailable
from yearling.inference.served import Served


class EnginePool:
    """Finds the engine for a model's name."""

    def __init__(self, served: Sequence[Served], default: str) -> None:
        self._served = {one.name: one for one in served}
        self._default = default
        self._closed = False

    @classmethod
    def of(cls, served: Sequence[Served], *, default: str | None = None) -> EnginePool:
        """A pool of engines that are open already; the first is the default."""
        return cls(served, default or served[0].name)

    async def start(self) -> None:
        """Open the default model. Raises what opening raises."""

    def names(self) -> list[str]:
        return list(self._served)

    def ready(self) -> bool:
        return not self._closed

    async def get(self, name: str | None = None) -> Served:
        """The model of that name, or the default. Raises NotFound, naming what there is; Unavailable when closed."""
        if self._closed:
            raise Unavailable("The server is shutting down.")
        wanted = name or self._default
        if wanted not in self._served:
            raise NotFound(f"The model {wanted!r} does not exist.", advice=f"There is: {', '.join(self.names())}.", param="model")
        return self._served[wanted]

    def status(self) -> list[dict[str, Any]]:
        return [
            {"name": one.name, "engine": one.engine.name, "state": "ready", "default": one.name == self._default}
            for one in self._served.values()
        ]

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(one.engine.close() for one in self._served.values()))
