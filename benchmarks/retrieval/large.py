"""What a question costs over 100,000 passages: random unit vectors, and text of words that are as frequent as in a language."""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np

from yearling.config import Settings
from yearling.inference import Embedder
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.store import CanonicalText, DocumentPlace, PassageWords, SearchScope, Span, Store

NUM_DOCUMENTS, PASSAGES_EACH, WORDS_EACH = 101, 1_000, 120
NUM_WORDS = 30_000


async def measure_large(embedder: Embedder) -> None:
    """Build the store and ask 30 questions, first by the exact scan and then by the compact index."""
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, NUM_WORDS + 1)
    frequencies /= frequencies.sum()
    vocabulary = np.array([f"w{hashlib.sha256(str(number).encode()).hexdigest()[:8]}" for number in range(NUM_WORDS)])
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
        person_id = store.people.owner().id
        generation = store.vectors.open_generation(embedder.name, embedder.model_hash, embedder.dimensions)
        started = time.process_time()
        for number in range(NUM_DOCUMENTS):
            words = vocabulary[rng.choice(NUM_WORDS, (PASSAGES_EACH, WORDS_EACH), p=frequencies)]
            lines = [" ".join(line) for line in words]
            text, passages, end = "\n".join(lines), list[PassageWords](), 0
            for line in lines:
                passages.append(PassageWords(Span(end, end + len(line)), tuple(line.split(" "))))
                end += len(line) + 1
            added = store.documents.add(person_id, f"{number}.txt", text.encode(), place=DocumentPlace())
            canonical = CanonicalText(text=text, media_type="text/plain")
            version = store.documents.set_text(added.document.version.id, canonical, passages)
            vectors = rng.standard_normal((PASSAGES_EACH, embedder.dimensions)).astype("<f4")
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            missing = store.vectors.list_missing(generation.id, limit=PASSAGES_EACH)
            packed = {each.number: vector.tobytes() for each, vector in zip(missing, vectors, strict=True)}
            store.vectors.add(generation.id, version.id, packed)
        print(f"{NUM_DOCUMENTS * PASSAGES_EACH} passages stored in {time.process_time() - started:.0f} CPU-s", flush=True)
        index = DocumentIndex(store, embedder)
        questions = [" ".join(vocabulary[rng.choice(NUM_WORDS, 12, p=frequencies)]) for _ in range(30)]
        await embedder.embed_texts(questions)
        scope = SearchScope(person_id=person_id)
        for label in ("exact scan", "compact index"):
            await index.search(questions[0], scope=scope)
            wall, cpu = [], []
            for question in questions:
                started, started_cpu = time.perf_counter(), time.process_time()
                await index.search(question, scope=scope)
                wall.append(time.perf_counter() - started)
                cpu.append(time.process_time() - started_cpu)
            print(
                f"{label}: median {1000 * np.median(wall):.0f} ms, p95 {1000 * np.quantile(wall, 0.95):.0f} ms a question,"
                f" {1000 * np.median(cpu):.0f} CPU-ms",
                flush=True,
            )
            started = time.process_time()
            await index.embed_missing()
            if label == "exact scan":
                print(f"compact index built in {time.process_time() - started:.0f} CPU-s", flush=True)
