"""An engine that always answers with one adapter, so that nobody who was handed it can forget to ask for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from yearling.errors import Unsupported
from yearling.inference.engine import Completion, Delta, Engine, GenerationRequest, collect_completion


class AdaptedEngine:
    """`inner` with the adapter loaded there under `adapter_hash`. Closing it closes nothing: the engine is its owner's."""

    def __init__(self, inner: Engine, adapter_hash: str) -> None:
        self.base_engine = inner
        self.adapter_hash = adapter_hash
        self.name = inner.name
        self.model_hash = inner.model_hash
        # Embeddings are the bare model's: giving them under the adapter's name would be a lie.
        self.capabilities = replace(inner.capabilities, embed=False)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        async with aclosing(self.base_engine.stream(replace(request, adapter_hash=self.adapter_hash))) as deltas:
            async for delta in deltas:
                yield delta

    async def generate(self, request: GenerationRequest) -> Completion:
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        return await self.base_engine.score(sequences, adapter_hash=self.adapter_hash)

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        raise Unsupported("A model with an adapter makes no embeddings.", advice="Use the bare model.", param="model")

    async def load_adapter(self, path: Path) -> str:
        raise Unsupported("A model with an adapter takes no second one.", advice="Load it into the bare model.")

    async def unload_adapter(self, adapter_hash: str) -> None:
        raise Unsupported("The adapter of this model cannot be taken away.", advice="Unload it from the bare model.")

    async def close(self) -> None:
        """Leaves the engine to its owner."""
