"""An engine that ends all work for its model as soon as the model is stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from yearling.inference.engine import Completion, Delta, Engine, GenerationRequest, Token, collect_completion
from yearling.inference.guarding.stop_watch import StopWatch

T = TypeVar("T")


class GuardedEngine:
    """`engine` under the name of one served model. Names decide: stopping a model does not stop the adapters on it."""

    def __init__(self, engine: Engine, model: str, watch: StopWatch) -> None:
        self.engine = engine
        self._model = model
        self._watch = watch
        self.name = engine.name
        self.model_hash = engine.model_hash
        self.capabilities = engine.capabilities

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`. Raises ModelStopped before the first delta or in the middle, once the engine is free."""
        deltas = self.engine.stream(request)
        with self._watch.watching(self._model, deltas) as work:
            try:
                while True:
                    with work:
                        delta = await anext(deltas, None)
                    if delta is None:
                        return
                    self._watch.check(self._model)
                    yield delta
            finally:
                await work.end()

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`. Raises ModelStopped as `stream`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`. Raises ModelStopped as `stream`."""
        return await self._run(lambda: self.engine.score(sequences, adapter_hash=adapter_hash))

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`. Raises ModelStopped as `stream`."""
        return await self._run(lambda: self.engine.score_tokens(ids, first=first, num_top=num_top, adapter_hash=adapter_hash))

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `Engine.embed`. Raises ModelStopped as `stream`."""
        return await self._run(lambda: self.engine.embed(sequences))

    async def load_adapter(self, path: Path) -> str:
        """As `Engine.load_adapter`."""
        return await self.engine.load_adapter(path)

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`."""
        await self.engine.unload_adapter(adapter_hash)

    async def close(self) -> None:
        """As `Engine.close`."""
        await self.engine.close()

    async def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        with self._watch.watching(self._model) as work, work:
            return await call()
