"""Measures whether embeddings choose memories better than rules alone:

    python -m benchmarks.memories.closeness DATA --models FOLDER [--cache FILE]

DATA is a folder with `persistbench`, FOLDER a library of models with the embedding model. A memory is shown if the rules choose
it, or if it is close to the question: its similarity less that of the average generic question reaches a threshold, and it stands
out from the person's other memories by so many standard deviations. The questions of `tests/chat/memory_relevance_cases.txt` are
asked beside all memories of their language, those of PersistBench beside the memories of their case. Names are left to the rules.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.corrections.gate_thresholds import VectorCache
from tests.chat.memory_relevance import BUDGET_TOKENS, read_cases
from yearling.chat import ExtractedMemory, select_memories
from yearling.chat.corrections.gate import generic_questions
from yearling.config import Settings
from yearling.evals.exams.persistbench import FILES
from yearling.inference import EnginePool
from yearling.models import ModelLibrary

RULES = [(9.0, 0.0), (0.05, -9.0), (0.055, -9.0), (0.07, -9.0), (0.09, -9.0), (0.05, 1.5), (0.05, 2.0), (0.05, 2.5)]
"""(threshold, standard deviations); the first stands for the rules of `yearling.chat.memory` alone."""
SPREAD = 0.01
"""Added to the deviation of a person's other memories, which may be few."""


@dataclass(frozen=True, slots=True)
class ChosenMemory:
    """One memory beside one question. `group` tells questions apart; `wanted` is None where the data does not say."""

    source: str
    is_development: bool
    group: str
    wanted: bool | None
    by_rules: bool
    closeness: float
    deviations: float
    is_name: bool

    def is_shown(self, threshold: float, deviations: float) -> bool:
        """Whether the memory goes before the question."""
        is_close = self.closeness >= threshold and self.deviations >= deviations
        return self.by_rules or (is_close and not self.is_name)


async def run(arguments: argparse.Namespace) -> None:
    """Print one line for each rule."""
    pool = EnginePool(Settings(), ModelLibrary(arguments.models))
    cache = VectorCache(arguments.cache, await pool.get_embedder())
    average = (await cache.embed(generic_questions(), "query")).mean(axis=0)
    memories = [*await _ours(cache, average), *await _persistbench(arguments.data, cache, average)]
    await pool.close()
    for threshold, deviations in RULES:
        label = "rules alone" if threshold > 1 else f"closeness {threshold}, {deviations} deviations"
        shares = [f"{half} {_ours_shares(memories, half, threshold, deviations)}" for half in ("development", "untouched")]
        shares += [f"{part} {_case_shares(memories, part, threshold, deviations)}" for part in FILES]
        print(f"{label:34} {' | '.join(shares)}")


def _ours_shares(memories: list[ChosenMemory], half: str, threshold: float, deviations: float) -> str:
    """Share shown where the memory helps / where it has nothing to do with the question."""
    ours = [each for each in memories if each.source == "ours" and each.is_development == (half == "development")]
    shares = [
        np.mean([each.is_shown(threshold, deviations) for each in ours if each.wanted is wanted]) for wanted in (True, False)
    ]
    return f"{shares[0]:.2f}/{shares[1]:.2f}"


def _case_shares(memories: list[ChosenMemory], part: str, threshold: float, deviations: float) -> str:
    """Share of cases in which any memory is shown, of the development half / the other."""
    shares = []
    for is_development in (True, False):
        cases: dict[str, bool] = {}
        for each in memories:
            if each.source == part and each.is_development == is_development:
                cases[each.group] = cases.get(each.group, False) or each.is_shown(threshold, deviations)
        shares.append(np.mean(list(cases.values())))
    return f"{shares[0]:.2f}/{shares[1]:.2f}"


async def _ours(cache: VectorCache, average: np.ndarray) -> list[ChosenMemory]:
    cases = list(read_cases())
    chosen = []
    for case in cases:
        texts = list(dict.fromkeys(other.memory.text for other in cases if other.language == case.language))
        row = texts.index(case.memory.text)
        closeness, deviations = await _measure(cache, average, case.question, texts)
        chosen.append(
            ChosenMemory(
                source="ours",
                is_development=case.is_development,
                group=case.question,
                wanted=case.helps,
                by_rules=case.is_shown,
                closeness=closeness[row],
                deviations=deviations[row],
                is_name=case.memory.topic == "name",
            )
        )
    return chosen


async def _persistbench(data: Path, cache: VectorCache, average: np.ndarray) -> list[ChosenMemory]:
    chosen = []
    for part, file in FILES.items():
        for index, line in enumerate((data / "persistbench" / file).read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            texts = row["memories"]
            by_rules = select_memories([ExtractedMemory(text) for text in texts], row["query"], budget_tokens=BUDGET_TOKENS)
            names = {memory.text for memory in by_rules}
            closeness, deviations = await _measure(cache, average, row["query"], texts)
            is_even = int(hashlib.sha256(f"{part} {index}".encode()).hexdigest(), 16) % 2 == 0
            chosen += [
                ChosenMemory(
                    source=part,
                    is_development=is_even,
                    group=f"{part} {index}",
                    wanted=None,
                    by_rules=text in names,
                    closeness=closeness[place],
                    deviations=deviations[place],
                    is_name=False,
                )
                for place, text in enumerate(texts)
            ]
    return chosen


async def _measure(cache: VectorCache, average: np.ndarray, question: str, texts: list[str]) -> tuple[list[float], list[float]]:
    (vector,) = await cache.embed([question], "query")
    closeness = (await cache.embed(texts, "passage")) @ (vector - average)
    deviations = []
    for row in range(len(texts)):
        others = np.delete(closeness, row)
        deviations.append(float((closeness[row] - others.mean()) / (others.std() + SPREAD)) if len(others) else 0.0)
    return closeness.tolist(), deviations


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with persistbench")
    parser.add_argument("--models", type=Path, required=True, help="library of models with the embedding model")
    parser.add_argument("--cache", type=Path, help="file for vectors, so that a second run embeds nothing")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
