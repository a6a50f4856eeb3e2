"""The index of documents: texts go in, passages that may answer a question come out.

A document is found by its words as soon as its text is known, in the transaction that records it. Vectors are computed afterwards
by `embed_missing`, a few passages at a time, so that a process that is killed goes on where it stopped. Nothing blocks the event
loop: whatever reads the database or computes runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.inference import Embedder
from yearling.retrieval.index.answerability import answerability, threshold_of
from yearling.retrieval.index.compact_vectors import MIN_PASSAGES, CompactVectors, signature_of
from yearling.retrieval.index.fusion import fuse_scores
from yearling.retrieval.index.nearest import NearestPassages
from yearling.retrieval.index.search_result import Hit, SearchResult
from yearling.retrieval.index.searched_passages import SearchedPassages
from yearling.retrieval.index.text_cache import TextCache
from yearling.retrieval.index.tokens import index_tokens, query_tokens
from yearling.retrieval.index.vector_blocks import VectorBlocks
from yearling.retrieval.passages.chunks import CHUNK_CHARS, cut_chunks
from yearling.retrieval.passages.sentences import sentence_spans
from yearling.store import (
    CanonicalText,
    DocumentVersion,
    FoundPassage,
    MissingVector,
    PassageWords,
    SearchedVersion,
    SearchScope,
    Store,
    TextChanges,
    VectorGeneration,
)

MAX_HITS = 100
MAX_WORDS = 2_000_000
"""Words of one document: more than three long novels in English, one in Chinese. They are held in memory and written in one
transaction of a few seconds."""
_EMBEDDED_AT_ONCE = 32


class DocumentIndex:
    """The index over one store. Use it from one event loop; without an embedder it searches by words alone."""

    def __init__(self, store: Store, embedder: Embedder | None = None) -> None:
        self._store = store
        self._embedder = embedder
        self._blocks = VectorBlocks(store.vectors)
        self._texts = TextCache(store.blobs)
        self._compact = CompactVectors(store.settings.data_dir / "document-vectors")
        self._nearest = NearestPassages(store, self._blocks, self._compact)

    def use_embedder(self, embedder: Embedder | None) -> None:
        """Search and embed with another model from now on."""
        self._embedder = embedder

    @property
    def embedder(self) -> Embedder | None:
        """The model that it searches with; None if it searches by words alone."""
        return self._embedder

    async def add_text(self, version_id: str, text: CanonicalText) -> DocumentVersion:
        """Record the text of a version, so that search finds it by its words. Raises NotFound if it was deleted meanwhile."""
        return await asyncio.to_thread(self._add_text, version_id, text)

    async def reindex(self) -> int:
        """Cut and index all texts anew, after the rules for passages or words changed. Returns how many versions it did."""
        versions = await asyncio.to_thread(self._store.passages.all_searched_versions)
        num_done = 0
        for version in versions:
            num_done += await asyncio.to_thread(self._reindex, version)
        return num_done

    async def embed_missing(self, *, max_passages: int | None = None) -> int:
        """Compute the vectors that are missing, those of the newest documents first. Returns how many it computed.

        Once all are there, the vectors of an earlier model are deleted. Raises Unavailable if the embedding model fails.
        """
        if self._embedder is None:
            return 0
        embedder = self._embedder
        generation = await asyncio.to_thread(self._generation, embedder)
        num_done = 0
        while max_passages is None or num_done < max_passages:
            limit = _EMBEDDED_AT_ONCE if max_passages is None else min(_EMBEDDED_AT_ONCE, max_passages - num_done)
            missing = await asyncio.to_thread(self._store.vectors.list_missing, generation.id, limit=limit)
            texts = await asyncio.to_thread(self._read_passages, missing)
            if not texts:
                break
            vectors = await embedder.embed_texts(list(texts.values()), input_type="passage")
            num_done += await asyncio.to_thread(self._add_vectors, generation, list(texts), vectors)
        if generation.state == "building" and await asyncio.to_thread(self._store.vectors.activate, generation.id):
            generation = replace(generation, state="active")
        if generation.state == "active":
            await asyncio.to_thread(self._build_compact, generation)
        return num_done

    async def count_missing(self) -> int:
        """How many passages have no vector of the present model yet."""
        if self._embedder is None:
            return 0
        generation = await asyncio.to_thread(self._generation, self._embedder)
        return await asyncio.to_thread(self._store.vectors.count_missing, generation.id)

    async def search(self, query: str, *, scope: SearchScope, limit: int = 10) -> SearchResult:
        """The passages that match a question best, best first.

        Raises NotFound for a conversation or folder that is not the person's, and Unavailable if the embedding model fails.
        """
        limit = max(1, min(limit, MAX_HITS))
        words = await asyncio.to_thread(query_tokens, query)
        if self._embedder is None or not query.strip():
            return await asyncio.to_thread(self._search, words, None, None, scope, limit)
        embedder = self._embedder
        vector = (await embedder.embed_texts([query], input_type="query"))[0]
        return await asyncio.to_thread(self._search, words, embedder, vector, scope, limit)

    def _generation(self, embedder: Embedder) -> VectorGeneration:
        return self._store.vectors.open_generation(embedder.name, embedder.model_hash, embedder.dimensions)

    def _add_text(self, version_id: str, text: CanonicalText) -> DocumentVersion:
        before = self._store.documents.read_replaced_text(version_id)
        changes = None if before is None else compare_texts(before.text, text.text)
        return self._store.documents.set_text(version_id, text, index_passages(text.text), changes=changes)

    def _reindex(self, version: SearchedVersion) -> bool:
        try:
            text = self._store.documents.read_indexed_text(version.id)
            self._store.documents.set_passages(version.id, index_passages(text.text))
        except NotFound:
            return False  # deleted meanwhile
        return True

    def _read_passages(self, missing: Sequence[MissingVector]) -> dict[tuple[str, int], str]:
        """The texts of passages, by version and number; without those of documents that were deleted meanwhile."""
        texts: dict[tuple[str, int], str] = {}
        for each in missing:
            try:
                texts[each.version_id, each.number] = self._texts.get(each.text_sha256)[each.span.start : each.span.end]
            except (NotFound, Untrusted):
                continue
        return texts

    def _add_vectors(self, generation: VectorGeneration, keys: Sequence[tuple[str, int]], vectors: NDArray[np.float32]) -> int:
        by_version: defaultdict[str, dict[int, bytes]] = defaultdict(dict)
        for (version_id, number), vector in zip(keys, vectors.astype("<f4"), strict=True):
            by_version[version_id][number] = vector.tobytes()
        return sum(self._store.vectors.add(generation.id, version_id, some) for version_id, some in by_version.items())

    def _build_compact(self, generation: VectorGeneration) -> None:
        by_collection: defaultdict[str, list[SearchedVersion]] = defaultdict(list)
        for version in self._store.passages.all_searched_versions():
            by_collection[version.collection].append(version)
        large = {
            collection: versions
            for collection, versions in by_collection.items()
            if sum(version.num_passages for version in versions) > MIN_PASSAGES
        }
        self._compact.forget(large)
        counts = self._store.vectors.counts(generation.id) if large else {}
        for collection, versions in large.items():
            own = {version.id: counts[version.id] for version in versions if version.id in counts}
            signature = signature_of(generation, own)
            if self._compact.open(generation, collection, signature) is None:
                blocks = self._blocks.get(generation, list(own), counts)
                self._compact.build(generation, collection, signature, ((each.numbers, each.vectors) for each in blocks))

    def _search(
        self, words: list[str], embedder: Embedder | None, vector: NDArray[np.float32] | None, scope: SearchScope, limit: int
    ) -> SearchResult:
        generation = None if embedder is None or vector is None else self._generation(embedder)
        if generation is not None and generation.state != "active":
            generation = None  # its vectors are being computed; those of another model cannot be compared with the question
        counts = {} if generation is None else self._store.vectors.counts(generation.id)
        searched = SearchedPassages(self._store, scope)
        candidates = searched.match_words(words)
        if generation is not None and vector is not None:
            near = self._nearest.find(generation, counts, searched, vector, candidates.numbers)
            candidates = searched.join(candidates, near, words)
        fused = fuse_scores(candidates.bm25, candidates.cosines) if generation is not None else candidates.bm25
        is_match = (candidates.bm25 > 0) | ~np.isnan(candidates.cosines)
        order = [int(row) for row in np.argsort(-fused, kind="stable") if is_match[row]][:limit]
        surety = answerability(candidates.shares, candidates.cosines)[order]
        score = float(surety.max()) if order else 0.0
        # A passage whose vector is still being computed has a score of its words alone, to which no threshold applies.
        is_measured = generation is not None and bool(order) and not bool(np.isnan(candidates.cosines[order]).any())
        threshold = threshold_of(generation.model_hash) if generation is not None and is_measured else None
        num_with_vector = sum(counts[version_id].num_vectors for version_id in searched.versions if version_id in counts)
        return SearchResult(
            hits=tuple(self._make_hits([(candidates.passages[row], float(fused[row])) for row in order], searched.versions)),
            score=score,
            threshold=threshold,
            by_meaning=generation is not None,
            num_passages=searched.num_passages,
            num_without_vector=0 if generation is None else searched.num_passages - num_with_vector,
        )

    def _make_hits(self, found: Sequence[tuple[FoundPassage, float]], versions: Mapping[str, SearchedVersion]) -> Iterator[Hit]:
        for passage, score in found:
            version = versions[passage.version_id]
            try:
                text = self._texts.get(version.text_sha256)
            except (NotFound, Untrusted):
                continue  # deleted since it was found, or damaged, which `yearling verify` reports
            yield Hit(
                document_id=version.document_id,
                text_sha256=version.text_sha256,
                span=passage.span,
                score=score,
                text=text[passage.span.start : passage.span.end],
                title=version.title or version.name,
            )


def compare_texts(before: str, after: str) -> TextChanges:
    """How many sentences of the text after are new, and how many of the text before are gone."""
    old, new = (Counter(text[span.start : span.end] for span in sentence_spans(text)) for text in (before, after))
    return TextChanges(num_added=(new - old).total(), num_removed=(old - new).total())


def index_passages(text: str, *, chunk_chars: int = CHUNK_CHARS) -> list[PassageWords]:
    """The passages of a text with their words. Raises BadInput for more than `MAX_WORDS`."""
    passages: list[PassageWords] = []
    num_words = 0
    for chunk in cut_chunks(text, chunk_chars=chunk_chars):
        words = tuple(index_tokens(text[chunk.start : chunk.end]))
        num_words += len(words)
        if num_words > MAX_WORDS:
            raise BadInput(f"The document has more than {MAX_WORDS:,} words.", advice="Divide it into several files.")
        passages.append(PassageWords(chunk, words))
    return passages
