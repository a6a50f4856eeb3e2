"""Measures the gate of corrections, and writes its parameters for one embedding model:

    python -m benchmarks.corrections.gate_thresholds CASES --models FOLDER [--cache FILE] [--write]

CASES is a folder as in `cases.py` that also holds `generic_prompts.jsonl` (prompt). The Chinese cases are those of
`tests/chat/corrections/chinese_cases.jsonl`. FOLDER is a library of models with the embedding model. Two-fold: parameters and
thresholds are chosen on one half of the cases and measured on the other, for many divisions. --write fits them to all cases and
writes `gate.toml` and the vectors of the generic questions.

A paraphrase is recalled if the right entry fires; a neighbour or a generic prompt fires if any entry does.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import yearling.chat.corrections.gate as gate_module
from benchmarks.corrections.made_up import chinese_entries, english_entries
from yearling.chat.corrections.gate import NUM_RESCORED, SimilarityRule, generic_questions
from yearling.chat.corrections.likeness import frame_swap, wants_other_type
from yearling.config import Settings
from yearling.inference import Embedder, EnginePool, InputType
from yearling.models import ModelLibrary

COUNTS = (10, 50, 100, 1000)
SPLITS = 10
TARGET_RECALL = 0.98
"""Recall on the half that thresholds are chosen on: a little more than is wanted on the other."""
GRID = list(itertools.product((0.25, 0.5, 0.75), (0.05, 0.08, 0.12, 0.16), (0.0, 0.02, 0.04)))
"""(contrast, frame swap, other type)"""
PLAIN = (0.0, 0.0, 0.0)
GENERIC_WEIGHT = 3.0
"""How many neighbours that fire are as bad as one generic prompt that does."""

FOLDER = Path(gate_module.__file__).parent
CHINESE = Path(__file__).parents[2] / "tests" / "chat" / "corrections" / "chinese_cases.jsonl"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """One question of one language. `gold` is the index of the right entry; None for a generic prompt."""

    text: str
    kind: str
    """`verbatim`, `paraphrase`, `neighbour` or `generic`."""
    gold: int | None
    case: int


@dataclass(frozen=True, slots=True)
class GateLanguage:
    """The entries and questions of one language, embedded."""

    name: str
    entries: list[tuple[str, str]]
    num_cases: int
    questions: list[GateQuestion]
    entry_vectors: NDArray[np.float32]
    question_vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GateScores:
    """The terms of the score for every question and each of its best entries: (questions, NUM_RESCORED)."""

    rows: NDArray[np.int64]
    similarity: Floats
    swap: Floats
    other_type: Floats
    generic: Floats
    """(questions, 1)"""
    kinds: NDArray[np.str_]
    gold: NDArray[np.int64]
    cases: NDArray[np.int64]
    counts: NDArray[np.int64]

    def decide(self, parameters: tuple[float, float, float]) -> tuple[Floats, NDArray[np.bool_]]:
        """The highest score of every question, and whether it is that of the right entry."""
        contrast, swap, other_type = parameters
        scores = self.similarity - contrast * self.generic - swap * self.swap - other_type * self.other_type
        best = scores.argmax(axis=1)
        picked = np.take_along_axis(self.rows, best[:, None], axis=1)[:, 0]
        return scores.max(axis=1), picked == self.gold


async def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and write if that is wanted."""
    pool = EnginePool(Settings(), ModelLibrary(arguments.models))
    embedder = await pool.get_embedder()
    cache = VectorCache(arguments.cache, embedder)
    generic = await cache.embed(generic_questions(), "passage")
    languages = [await _english(arguments.cases, cache), await _chinese(cache)]
    await pool.close()
    scores = {language.name: _scores(language, generic) for language in languages}
    print("two-fold: recall of paraphrases / neighbours that fire / generic prompts that fire")
    for label, grid in (("similarity alone", [PLAIN]), ("the rule", GRID)):
        for name, each in scores.items():
            _print_two_fold(label, name, each, _two_fold(scores, grid)[name])
    best = min(GRID, key=lambda parameters: sum(_cost(each, *_fit(each, parameters, None)) for each in scores.values()))
    thresholds = {name: _fit(each, best, None)[1] for name, each in scores.items()}
    print(f"all cases: contrast {best[0]}, frame swap {best[1]}, other type {best[2]}, thresholds {thresholds}")
    for name, each in scores.items():
        _print_by_count(name, each, best, thresholds[name])
    if arguments.write:
        _write(embedder.model_hash, best, thresholds, generic)
        for language in languages:
            _check_written(language, scores[language.name], best, thresholds[language.name], embedder.model_hash)


def _two_fold(
    scores: dict[str, GateScores], grid: Sequence[tuple[float, float, float]]
) -> dict[str, list[tuple[NDArray[np.bool_], Floats, NDArray[np.bool_], float]]]:
    """For each division and half: (questions of the other half, highest scores, right, threshold)."""
    results: dict[str, list[tuple[NDArray[np.bool_], Floats, NDArray[np.bool_], float]]] = {name: [] for name in scores}
    for seed in range(SPLITS):
        half = np.random.default_rng(seed).permutation(10_000) % 2
        for part in (0, 1):
            halves = {name: half[each.cases] == part for name, each in scores.items()}
            chosen = min(grid, key=lambda p: sum(_cost(each, *_fit(each, p, halves[name])) for name, each in scores.items()))
            for name, each in scores.items():
                _, threshold, _, _ = _fit(each, chosen, halves[name])
                results[name].append((~halves[name], *each.decide(chosen), threshold))
    return results


def _fit(
    scores: GateScores, parameters: tuple[float, float, float], half: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], float, Floats, NDArray[np.bool_]]:
    """(the half, the threshold that recalls `TARGET_RECALL` of its paraphrases, highest scores, right)."""
    half = np.ones(len(scores.kinds), np.bool_) if half is None else half
    highest, right = scores.decide(parameters)
    found = np.sort(np.where(right, highest, -1.0)[half & (scores.kinds == "paraphrase")])
    return half, float(found[int((1 - TARGET_RECALL) * len(found))]), highest, right


def _cost(scores: GateScores, half: NDArray[np.bool_], threshold: float, highest: Floats, right: NDArray[np.bool_]) -> float:
    fires = highest >= threshold
    neighbours, generic = (fires[half & (scores.kinds == kind)].mean() for kind in ("neighbour", "generic"))
    return float(neighbours + GENERIC_WEIGHT * generic)


def _print_two_fold(
    label: str,
    name: str,
    scores: GateScores,
    results: list[tuple[NDArray[np.bool_], Floats, NDArray[np.bool_], float]],
) -> None:
    for count in (0, *COUNTS):
        rates = []
        for half, highest, right, threshold in results:
            used = half & ((scores.counts == count) if count else np.ones_like(half))
            fires = highest >= threshold
            kinds = [scores.kinds == kind for kind in ("verbatim", "paraphrase", "neighbour", "generic")]
            counted = [right & fires, right & fires, fires, fires]
            rates.append([each[used & kind].mean() for each, kind in zip(counted, kinds, strict=True)])
        verbatim, recall, neighbours, generic = np.mean(rates, axis=0)
        stored = f"{count:>5} stored" if count else "all counts  "
        print(f"{label:<17} {name} {stored}  {recall:.3f} / {neighbours:.3f} / {generic:.3f}  (verbatim {verbatim:.3f})")


def _print_by_count(name: str, scores: GateScores, parameters: tuple[float, float, float], threshold: float) -> None:
    highest, right = scores.decide(parameters)
    for count in COUNTS:
        used = scores.counts == count
        top = right[used & (scores.kinds == "paraphrase")].mean()
        line = []
        for shift in (-0.02, -0.01, 0.0, 0.01, 0.02):
            fires = highest >= threshold + shift
            recall = (right & fires)[used & (scores.kinds == "paraphrase")].mean()
            others = [fires[used & (scores.kinds == kind)].mean() for kind in ("neighbour", "generic")]
            line.append(f"{threshold + shift:.3f}: {recall:.3f} / {others[0]:.2f} / {others[1]:.3f}")
        print(f"fitted to all, {name}, {count:>4} stored, top 1 {top:.3f}: " + ", ".join(line))


def _scores(language: GateLanguage, generic: NDArray[np.float32]) -> GateScores:
    columns: list[list[Any]] = [[] for _ in range(9)]
    rows, similarity, swap, other, nearest, kinds, gold, cases, counts = columns
    all_similarities = language.question_vectors @ language.entry_vectors.T
    nearest_generic = (language.question_vectors @ generic.T).max(axis=1)
    for count in COUNTS:
        for index, question in enumerate(language.questions):
            if question.gold is not None and question.gold >= count:
                continue
            best = np.argsort(-all_similarities[index, :count], kind="stable")[:NUM_RESCORED]
            stored = [language.entries[row] for row in best]
            rows.append(best)
            similarity.append(all_similarities[index, best])
            swap.append([frame_swap(question.text, *entry) for entry in stored])
            other.append([wants_other_type(question.text, entry[0]) for entry in stored])
            nearest.append([nearest_generic[index]])
            kinds.append(question.kind)
            gold.append(-1 if question.gold is None else question.gold)
            cases.append(question.case)
            counts.append(count)
    return GateScores(
        np.array(rows),
        np.array(similarity, np.float64),
        np.array(swap, np.float64),
        np.array(other, np.float64),
        np.array(nearest, np.float64),
        np.array(kinds),
        np.array(gold),
        np.array(cases),
        np.array(counts),
    )


async def _english(folder: Path, cache: VectorCache) -> GateLanguage:
    cases = [*_read(folder / "corrections.jsonl"), *_read(folder / "more_corrections.jsonl")]
    generic = [case["question"] for case in _read(folder / "controls.jsonl")]
    generic += [case["prompt"] for case in _read(folder / "generic_prompts.jsonl")]
    return await _language("en", cases, generic, english_entries(1000), cache)


async def _chinese(cache: VectorCache) -> GateLanguage:
    lines = _read(CHINESE)
    cases = [line for line in lines if "question" in line]
    generic = [line["unrelated"] for line in lines if "unrelated" in line]
    return await _language("zh", cases, generic, chinese_entries(1000), cache)


async def _language(
    name: str,
    cases: list[dict[str, Any]],
    generic: list[str],
    made_up: list[tuple[str, str]],
    cache: VectorCache,
) -> GateLanguage:
    questions = []
    for index, case in enumerate(cases):
        questions.append(GateQuestion(case["question"], "verbatim", index, index))
        questions += [GateQuestion(text, "paraphrase", index, index) for text in case["paraphrases"]]
        questions += [GateQuestion(text, "neighbour", index, index) for text in case["neighbours"]]
    questions += [GateQuestion(text, "generic", None, 5000 + index) for index, text in enumerate(generic)]
    entries = [(case["question"], case["answer"]) for case in cases] + made_up
    entries = entries[: max(COUNTS)]
    texts = [text for entry in entries for text in SimilarityRule.entry_texts(*entry)]
    entry_vectors = SimilarityRule.entry_vectors(await cache.embed(texts, "passage"))
    question_vectors = await cache.embed([question.text for question in questions], "query")
    return GateLanguage(name, entries, len(cases), questions, entry_vectors, question_vectors)


def _write(model_hash: str, best: tuple[float, float, float], thresholds: dict[str, float], generic: NDArray[np.float32]) -> None:
    name = f"generic_questions.{model_hash[:12]}.npy"
    np.save(FOLDER / name, generic.astype(np.float16))
    header = (FOLDER / "gate.toml").read_text(encoding="utf-8").split("\n\n")[0].split("\n[")[0].rstrip()
    values = {
        "threshold": round(thresholds["en"], 4),
        "han_threshold": round(thresholds["zh"], 4),
        "contrast": best[0],
        "frame_swap": best[1],
        "other_type": best[2],
        "generic": name,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    (FOLDER / "gate.toml").write_text("\n".join([header, "", f'["{model_hash}"]', *lines, ""]), encoding="utf-8")
    gate_module.gate_rules.cache_clear()


def _check_written(
    language: GateLanguage, scores: GateScores, best: tuple[float, float, float], threshold: float, model_hash: str
) -> None:
    """Compare the decisions of the rule as the server applies it with those that were measured."""
    rule = gate_module.gate_rules()[model_hash]
    highest, _ = scores.decide(best)
    differing = 0
    for index in np.flatnonzero(scores.counts == COUNTS[-1]):
        position = int(index - np.flatnonzero(scores.counts == COUNTS[-1])[0])
        question = language.questions[position]
        selected = rule.select(
            language.question_vectors[position], language.entry_vectors, text=question.text, entry_texts=language.entries
        )
        differing += bool(selected) != bool(highest[index] >= threshold)
    print(f"{language.name}: the written rule decides differently for {differing} of {len(language.questions)} questions")


class VectorCache:
    """Vectors of texts, kept in a file between runs."""

    def __init__(self, path: Path | None, embedder: Embedder) -> None:
        self._path = path
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["model_hash"]) == embedder.model_hash:
                    self._vectors = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))

    async def embed(self, texts: Sequence[str], input_type: InputType) -> NDArray[np.float32]:
        """The vectors (N, D) of texts."""
        keys = [f"{input_type}: {text}" for text in texts]
        missing = [key for key in dict.fromkeys(keys) if key not in self._vectors]
        for start in range(0, len(missing), 256):
            some = missing[start : start + 256]
            self._vectors |= dict(zip(some, await self._embedder.embed_texts(some), strict=True))
        if missing and self._path is not None and (len(missing) > 64 or not self._path.exists()):
            np.savez(
                self._path,
                vectors=np.stack(list(self._vectors.values())),
                model_hash=np.array(self._embedder.model_hash),
                texts=np.array(list(self._vectors)),
            )
        return np.stack([self._vectors[key] for key in keys])


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, help="folder of cases")
    parser.add_argument("--models", type=Path, required=True, help="library of models with the embedding model")
    parser.add_argument("--cache", type=Path, help="file for vectors, so that a second run embeds nothing")
    parser.add_argument("--write", action="store_true", help="write gate.toml and the vectors of the generic questions")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
