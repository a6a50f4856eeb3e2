"""Corrections memory as turns use it: the entries that bear on a question, found by meaning.

The vectors of entries are stored beside them. An entry without one is embedded when its person next asks something, many of them
in the background: a turn never waits for more than a few. Until an entry has its vector, and in an installation without the
embedding model, it fires only for a question in the same words.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from yearling.chat.corrections.earlier_turn import UsedCorrection
from yearling.chat.corrections.gate import SimilarityRule, Vectors, gate_rules
from yearling.errors import UserError
from yearling.inference import Embedder
from yearling.store import Correction, Store, question_key

MAX_QUESTION_CHARS = 2000
"""A longer message asks for work on a text; no correction bears on it."""
CORRECTIONS_SETTING = "corrections"
"""The personal setting that switches all entries off."""

_MAX_EMBEDDED_IN_TURN = 8
_BATCH = 32
_MAX_CACHED_ENTRIES = 50_000
"""Entries in memory, those of the team once for each person; an entry with its vector takes about 3 kB. The person who asks is
always among them."""
_EMBEDDING_TIMEOUT_S = 5.0
_PAUSE_AFTER_FAILURE_S = 60.0
"""After a failure of the embedding model, questions are not kept waiting for it again for this long."""


log = logging.getLogger(__name__)


class EmbedderProvider(Protocol):
    """Opens the embedding model and readers, as an engine pool does."""

    def has_embedder(self) -> bool:
        """Whether the embedding model is installed. Lists the folder of models: call from a thread."""
        ...

    async def get_embedder(self) -> Embedder:
        """The opened embedding model. Raises NotFound if it is not installed."""
        ...

    async def get_reader(self, model_name: str) -> str | None:
        """Content hash of the loaded reader adapter of a model; None if it has none."""
        ...


@dataclass(slots=True)
class _PersonalIndex:
    """The effective entries of one person. Row i of `vectors` (N, D) belongs to `rows[i]`."""

    version: str
    entries: list[Correction]
    by_words: dict[str, Correction]
    rows: list[Correction] = field(default_factory=list)
    vectors: Vectors | None = None
    num_missing: int = 0

    @property
    def size(self) -> int:
        """Number of entries, and one for the index itself."""
        return 1 + len(self.entries)


class CorrectionMemory:
    """Finds the corrections for questions. Use it from one event loop."""

    def __init__(self, store: Store, provider: EmbedderProvider) -> None:
        self._store = store
        self._provider = provider
        self._indexes: OrderedDict[str, _PersonalIndex] = OrderedDict()
        self._num_cached = 0
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._opening: asyncio.Task[Embedder] | None = None
        self._retry_at_s = 0.0

    def start(self) -> None:
        """Open the embedding model in the background if anybody has corrected anything: the next question need not wait."""
        task = asyncio.create_task(self._warm_up())
        self._tasks["warm-up"] = task
        task.add_done_callback(lambda _: self._tasks.pop("warm-up", None))

    async def _warm_up(self) -> None:
        try:
            if await asyncio.to_thread(self._store.corrections.exist) and await asyncio.to_thread(self._provider.has_embedder):
                await self._open_embedder()
        except UserError as error:
            log.warning("The embedding model cannot be opened: %s", error)

    async def _open_embedder(self) -> Embedder:
        """The embedding model. Opening it goes on if the caller gives up, so that the next one finds it open."""
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.create_task(self._provider.get_embedder())
        return await asyncio.shield(self._opening)

    async def find(self, question: str, person_id: str) -> list[UsedCorrection]:
        """The entries that bear on a question of this person: a correction, then a lesson, then a reminder; often none."""
        if not question.strip() or len(question) > MAX_QUESTION_CHARS:
            return []
        async with self._locks.setdefault(person_id, asyncio.Lock()):
            index = await self._load(person_id)
        if not index.entries:
            return []
        similar = await self._find_by_meaning(question, index, person_id)
        same_words = index.by_words.get(question_key(question))
        if same_words is not None:
            others = [found for found in similar if found.kind != "correction"]
            return [_used(same_words, person_id, 1.0), *others]
        return similar

    async def get_reader(self, model_name: str) -> str | None:
        """Content hash of the loaded reader adapter of a model; None if it has none, or if it cannot be loaded."""
        try:
            return await self._provider.get_reader(model_name)
        except (UserError, OSError) as error:  # an answer without the reader is better than none
            log.warning("The reader of %s cannot be loaded: %s", model_name, error)
            return None

    async def close(self) -> None:
        """Stop embedding. The next start continues."""
        tasks: list[asyncio.Task[Any]] = list(self._tasks.values())
        if self._opening is not None:
            tasks.append(self._opening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, person_id: str) -> _PersonalIndex:
        """The person's entries as they are now."""
        index = await asyncio.to_thread(self._read_if_changed, person_id, self._indexes.get(person_id))
        known = self._indexes.pop(person_id, None)
        self._indexes[person_id] = index
        self._num_cached += index.size - (known.size if known is not None else 0)
        while self._num_cached > _MAX_CACHED_ENTRIES and len(self._indexes) > 1:
            _, oldest = self._indexes.popitem(last=False)
            self._num_cached -= oldest.size
        return index

    def _read_if_changed(self, person_id: str, known: _PersonalIndex | None) -> _PersonalIndex:
        if not self._store.personal_settings.get(person_id).get(CORRECTIONS_SETTING, True):
            return _PersonalIndex("off", [], {})
        version = self._store.corrections.version(person_id)
        if known is not None and known.version == version:
            return known
        entries = self._store.corrections.list_effective(person_id)
        by_words = {question_key(entry.question): entry for entry in entries if entry.kind == "correction"}
        return _PersonalIndex(version, entries, by_words)

    async def _find_by_meaning(self, question: str, index: _PersonalIndex, person_id: str) -> list[UsedCorrection]:
        if time.monotonic() < self._retry_at_s or not await asyncio.to_thread(self._provider.has_embedder):
            return []
        try:
            async with asyncio.timeout(_EMBEDDING_TIMEOUT_S):
                embedder = await self._open_embedder()
                rule = gate_rules().get(embedder.model_hash)
                if rule is None:
                    log.warning("No gate was measured for the embedding model %s: corrections need the same words", embedder.name)
                    return []
                async with self._locks.setdefault(person_id, asyncio.Lock()):
                    await self._fill(index, person_id, embedder, rule)
                (vector,) = await embedder.embed_texts([question])
        except (UserError, TimeoutError) as error:
            log.warning("Corrections are found by the same words only: %s", error or "the embedding model does not answer")
            self._retry_at_s = time.monotonic() + _PAUSE_AFTER_FAILURE_S
            return []
        if index.vectors is None:
            return []
        rows, vectors = index.rows, index.vectors  # as they are now: another turn may fill the index anew
        found = []
        for kind in ("correction", "lesson", "reminder"):
            selected = await asyncio.to_thread(_select, rule, question, vector, rows, vectors, kind)
            found += [_used(entry, person_id, similarity) for entry, similarity in selected]
        return found

    async def _fill(self, index: _PersonalIndex, person_id: str, embedder: Embedder, rule: SimilarityRule) -> None:
        """Read the stored vectors of the entries, and embed those that have none: few at once, many in the background."""
        if index.vectors is not None and not index.num_missing:
            return
        key = rule.vector_key(embedder.model_hash)
        missing = await asyncio.to_thread(self._read_vectors, index, person_id, key)
        if not missing or person_id in self._tasks:
            return
        if len(missing) <= _MAX_EMBEDDED_IN_TURN:
            await self._embed(missing, embedder, rule, key)
            await asyncio.to_thread(self._read_vectors, index, person_id, key)
        else:
            task = asyncio.create_task(self._embed_in_background(missing, embedder, rule, key))
            self._tasks[person_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(person_id, None))

    def _read_vectors(self, index: _PersonalIndex, person_id: str, key: str) -> list[Correction]:
        """Put the stored vectors into the index. Returns the entries that have none."""
        stored = self._store.corrections.vectors(person_id, key)
        index.rows = [entry for entry in index.entries if entry.id in stored]
        missing = [entry for entry in index.entries if entry.id not in stored]
        index.vectors = np.array([np.frombuffer(stored[entry.id], "<f4") for entry in index.rows], np.float32) if stored else None
        index.num_missing = len(missing)
        return missing

    async def _embed(self, entries: Sequence[Correction], embedder: Embedder, rule: SimilarityRule, key: str) -> None:
        vectors = await rule.embed_entries([(entry.question, entry.answer) for entry in entries], embedder)
        by_id = {entry.id: vector.astype("<f4").tobytes() for entry, vector in zip(entries, vectors, strict=True)}
        times = {entry.id: entry.updated_utc for entry in entries}
        await asyncio.to_thread(self._store.corrections.set_vectors, key, by_id, updated_utc=times)

    async def _embed_in_background(
        self, entries: Sequence[Correction], embedder: Embedder, rule: SimilarityRule, key: str
    ) -> None:
        try:
            for start in range(0, len(entries), _BATCH):
                await self._embed(entries[start : start + _BATCH], embedder, rule, key)
        except UserError as error:
            log.warning("The corrections are embedded after the next question: %s", error)


def _select(
    rule: SimilarityRule, question: str, vector: Vectors, entries: Sequence[Correction], vectors: Vectors, kind: str
) -> list[tuple[Correction, float]]:
    """The entries of one kind that fire, each with its score. Row i of `vectors` belongs to `entries[i]`."""
    rows = [row for row, entry in enumerate(entries) if entry.kind == kind]
    texts = [(entries[row].question, entries[row].answer) for row in rows]
    selected = rule.select(vector, vectors[rows], text=question, entry_texts=texts) if rows else []
    return [(entries[rows[position]], score) for position, score in selected]


def _used(entry: Correction, person_id: str, similarity: float) -> UsedCorrection:
    return UsedCorrection(
        id=entry.id,
        kind=entry.kind,
        question=entry.question,
        answer=entry.answer,
        created_utc=entry.created_utc,
        own=entry.person_id == person_id,
        similarity=similarity,
    )
