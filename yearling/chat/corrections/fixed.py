"""Corrections that belong to no person: those of an exam. Found as those of people are, and kept nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from yearling.chat.corrections.earlier_turn import UsedCorrection
from yearling.chat.corrections.gate import Vectors, gate_rules
from yearling.chat.corrections.memory import EmbedderProvider
from yearling.clock import now_utc
from yearling.errors import Unsupported
from yearling.store import question_key


class FixedCorrections:
    """Questions with their right answers, as a source of corrections. Needs the embedding model."""

    def __init__(self, pairs: Sequence[tuple[str, str]], provider: EmbedderProvider) -> None:
        now = now_utc()
        self._entries = [
            UsedCorrection(
                id=str(number), kind="correction", question=question, answer=answer, created_utc=now, own=True, similarity=1.0
            )
            for number, (question, answer) in enumerate(pairs)
        ]
        self._by_words = {question_key(entry.question): entry for entry in self._entries}
        self._provider = provider
        self._lock = asyncio.Lock()
        self._vectors: Vectors | None = None

    async def find(self, question: str, person_id: str) -> list[UsedCorrection]:
        """As `CorrectionMemory.find`. Raises NotFound without the embedding model, Unsupported if no gate was measured for it."""
        same_words = self._by_words.get(question_key(question))
        if same_words is not None:
            return [same_words]
        embedder = await self._provider.get_embedder()
        rule = gate_rules().get(embedder.model_hash)
        if rule is None:
            raise Unsupported(f"No gate was measured for the embedding model {embedder.name}.")
        texts = [(entry.question, entry.answer) for entry in self._entries]
        async with self._lock:
            if self._vectors is None:
                self._vectors = await rule.embed_entries(texts, embedder)
        (vector,) = await embedder.embed_texts([question])
        selected = await asyncio.to_thread(rule.select, vector, self._vectors, text=question, entry_texts=texts)
        return [self._entries[row] for row, _ in selected]

    async def get_reader(self, model_name: str) -> str | None:
        """As `CorrectionMemory.get_reader`."""
        return await self._provider.get_reader(model_name)
