"""How well does search find the passage that answers a question, and does it notice when there is none?

Every passage of a set is a document of a store of its own. Each question is asked once as it is, and once with its passage left
out of the candidates. The numbers come from the index's own code: its tokens, chunks, BM25, scan and fusion.

    python -m benchmarks.retrieval --data DATA [--cache FILE] [--chunks 500 800 1200] [--every 8] [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.caching_embedder import CachingEmbedder
from benchmarks.retrieval.large import measure_large
from benchmarks.retrieval.ranking import area_under_curve, best_threshold, bootstrap, mean_reciprocal_rank, recall_at
from yearling.config import Settings
from yearling.evals.lookup.question_sets import QuestionSet, read_question_sets
from yearling.inference import EnginePool
from yearling.models import ModelLibrary
from yearling.retrieval.index import answerability as answerability_module
from yearling.retrieval.index.answerability import answerability
from yearling.retrieval.index.compact_vectors import CompactVectors
from yearling.retrieval.index.document_index import index_passages
from yearling.retrieval.index.fusion import fuse_scores, reciprocal_ranks
from yearling.retrieval.index.nearest import NearestPassages
from yearling.retrieval.index.searched_passages import Candidates, SearchedPassages
from yearling.retrieval.index.tokens import query_tokens
from yearling.retrieval.index.vector_blocks import VectorBlocks
from yearling.store import CanonicalText, DocumentPlace, SearchScope, Store

METHODS = ("BM25", "meaning", "reciprocal ranks", "fused")
NUM_HITS = 10


@dataclass(frozen=True, slots=True)
class SetResult:
    """Ranks of the right passage by method, and the score with and without it, of the questions of one set."""

    name: str
    ranks: dict[str, NDArray[np.int64]]
    present: NDArray[np.float64]
    absent: NDArray[np.float64]
    passages: NDArray[np.int64]


async def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    pool = EnginePool(Settings(), ModelLibrary(arguments.models))
    embedder = CachingEmbedder(await pool.get_embedder(), arguments.cache)
    if arguments.large:
        await measure_large(embedder)
    results: list[SetResult] = []
    for each in read_question_sets(arguments.data):
        if arguments.sets and each.name not in arguments.sets:
            continue
        for chunk_chars in arguments.chunks:
            with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
                result = await _measure(store, embedder, each, chunk_chars, arguments.every)
            _print(result, chunk_chars)
            results.append(result)
    await embedder.close()
    await pool.close()
    if results:
        _print_thresholds(results)
    if arguments.write:
        _write(embedder.model_hash, results)


async def _measure(store: Store, embedder: CachingEmbedder, data: QuestionSet, chunk_chars: int, every: int) -> SetResult:
    person_id = store.people.owner().id
    generation = store.vectors.open_generation(embedder.name, embedder.model_hash, embedder.dimensions)
    numbers: dict[str, int] = {}
    for number, text in enumerate(data.passages):
        added = store.documents.add(person_id, f"{number}.txt", f"{number} {text}".encode(), place=DocumentPlace())
        canonical = CanonicalText(text=text, media_type="text/plain")
        passages = index_passages(text, chunk_chars=chunk_chars)
        version = store.documents.set_text(added.document.version.id, canonical, passages)
        numbers[version.id] = number
        missing = [each for each in store.vectors.list_missing(generation.id, limit=1000) if each.version_id == version.id]
        vectors = await embedder.embed_texts([text[each.span.start : each.span.end] for each in missing], input_type="passage")
        store.vectors.add(
            generation.id, version.id, {each.number: vector.tobytes() for each, vector in zip(missing, vectors, strict=True)}
        )
    searched = SearchedPassages(store, SearchScope(person_id=person_id))
    nearest = NearestPassages(store, VectorBlocks(store.vectors), CompactVectors(store.settings.data_dir))
    counts = store.vectors.counts(generation.id)
    ranks: dict[str, list[int]] = {method: [] for method in METHODS}
    present, absent, groups, seconds = [], [], [], 0.0
    for question in data.questions[::every]:
        vector = (await embedder.embed_texts([question.text]))[0]
        started = time.process_time()
        words = query_tokens(question.text)
        candidates = searched.match_words(words)
        near = nearest.find(generation, counts, searched, vector, candidates.numbers)
        candidates = searched.join(candidates, near, words)
        seconds += time.process_time() - started
        documents = np.array([numbers[passage.version_id] for passage in candidates.passages])
        for method in METHODS:
            ranks[method].append(_rank(documents, _fuse(method, candidates), question.passage))
        present.append(_surety(candidates))
        kept = documents != question.passage
        without = [passage for passage, is_kept in zip(candidates.passages, kept, strict=True) if is_kept]
        absent.append(_surety(Candidates(without, candidates.shares[kept], candidates.cosines[kept])))
        groups.append(question.passage)
    print(f"{data.name}: {1000 * seconds / len(groups):.0f} CPU-ms a question, {searched.num_passages} passages", flush=True)
    return SetResult(
        data.name,
        {method: np.array(values) for method, values in ranks.items()},
        np.array(present),
        np.array(absent),
        np.array(groups),
    )


def _fuse(method: str, candidates: Candidates) -> NDArray[np.float64]:
    if method == "BM25":
        return candidates.bm25
    if method == "meaning":
        return np.nan_to_num(candidates.cosines, nan=-1)
    fuse = reciprocal_ranks if method == "reciprocal ranks" else fuse_scores
    return fuse(candidates.bm25, candidates.cosines)


def _surety(candidates: Candidates) -> float:
    best = np.argsort(-fuse_scores(candidates.bm25, candidates.cosines), kind="stable")[:NUM_HITS]
    return float(answerability(candidates.shares, candidates.cosines)[best].max())


def _rank(documents: NDArray[np.int64], scores: NDArray[np.float64], right: int) -> int:
    """The rank of a document, by its best passage; 0 if it is no candidate."""
    order = list(dict.fromkeys(documents[np.argsort(-scores, kind="stable")].tolist()))
    return order.index(right) + 1 if right in order else 0


def _rank_of_rows(ranks: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    return mean_reciprocal_rank(ranks[rows])


def _print(result: SetResult, chunk_chars: int) -> None:
    print(f"{result.name}, {len(result.passages)} questions, chunks of {chunk_chars}: R@1 / R@5 / MRR@10")
    for method, ranks in result.ranks.items():
        low, high = bootstrap(result.passages, partial(_rank_of_rows, ranks))
        values = (recall_at(ranks, 1), recall_at(ranks, 5), mean_reciprocal_rank(ranks))
        print(f"  {method:18}" + " / ".join(f"{value:.3f}" for value in values) + f"  [{low:.3f}, {high:.3f}]")
    low, high = bootstrap(result.passages, lambda rows: area_under_curve(result.present[rows], result.absent[rows]))
    area = area_under_curve(result.present, result.absent)
    print(f"  AUC of the score, with the passage against without it: {area:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def _print_thresholds(results: list[SetResult]) -> None:
    """Fit the threshold on the questions about one half of the passages and count on those about the other."""
    for result in results:
        right: list[float] = []
        for half in (0, 1):
            fitted, measured = result.passages % 2 == half, result.passages % 2 != half
            threshold = best_threshold(result.present[fitted], result.absent[fitted])
            right += (result.present[measured] >= threshold).tolist() + (result.absent[measured] < threshold).tolist()
        print(f"{result.name}: threshold of the other half right in {np.mean(right):.3f}")
    print(f"threshold of all questions: {_common_threshold(results):.4f}")


def _common_threshold(results: list[SetResult]) -> float:
    """One threshold for all sets, each of which counts the same."""
    size = min(len(result.present) for result in results)
    rng = np.random.default_rng(0)
    drawn = [rng.choice(len(result.present), size, replace=False) for result in results]
    positive = np.concatenate([result.present[rows] for result, rows in zip(results, drawn, strict=True)])
    negative = np.concatenate([result.absent[rows] for result, rows in zip(results, drawn, strict=True)])
    return best_threshold(positive, negative)


def _write(model_hash: str, results: list[SetResult]) -> None:
    path = Path(answerability_module.__file__).with_name("answerability.toml")
    head = "".join(line for line in path.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    path.write_text(f"{head}[thresholds]\n{model_hash} = {_common_threshold(results):.4f}\n", "utf-8")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument("--models", type=Path, required=True, help="library of models with the embedding model")
    parser.add_argument("--cache", type=Path, required=True, help="file for vectors, so that a second run embeds nothing")
    parser.add_argument("--sets", nargs="*", help="only these sets")
    parser.add_argument("--chunks", type=int, nargs="+", default=[800], help="characters of a chunk of English")
    parser.add_argument("--every", type=int, default=1, help="ask only every n-th question")
    parser.add_argument("--large", action="store_true", help="measure 100,000 passages as well")
    parser.add_argument("--write", action="store_true", help="write the threshold")
    asyncio.run(run(parser.parse_args()))
