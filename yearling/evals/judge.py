"""May a model judge others? Only if it agrees with people on pairs whose better answer is a matter of fact (LLMBar).

The judge sees the instruction and both answers, and the likelier of "1" and "2" is its opinion; then once more with the answers
exchanged. It may gate with an accuracy of 85 % over both orders and the same opinion in both on 95 % of the pairs (Zeng et al.,
2310.07641); otherwise its verdicts are reported only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yearling.errors import NotFound
from yearling.evals.case import Case, GraderCard
from yearling.evals.subject import Subject
from yearling.records import SamplingSettings

ACCURACY_BAR = 0.85
CONSISTENCY_BAR = 0.95

_PROMPT = (
    "Which of two answers follows the instruction better?\n\nInstruction: {asked}\n\nAnswer 1: {first}\n\nAnswer 2: {second}\n\n"
    "Say 1 or 2 and nothing else."
)


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """An instruction with two answers; `better` is 1 or 2."""

    asked: str
    first: str
    second: str
    better: int


def llmbar_pairs(folder: Path) -> list[JudgedPair]:
    """The 419 objective pairs of LLMBar. Raises NotFound."""
    paths = sorted(folder.glob("LLMBar_*.json"))
    if not paths:
        raise NotFound(f"There are no LLMBar_*.json in {folder}.", advice="Name the folder of LLMBar.")
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    return [JudgedPair(row["input"], row["output_1"], row["output_2"], int(row["label"])) for row in rows]


async def prefers(judge: Subject, asked: str, first: str, second: str) -> int:
    """1 or 2: the answer that the judge finds likelier to be named."""
    prompt = _PROMPT.format(asked=asked, first=first, second=second)
    case = Case(key="pair", messages=({"role": "user", "content": prompt},), options=("1", "2"))
    response = await judge.respond(case, SamplingSettings(temperature=0.0))
    return 1 if response.text == "1" else 2


async def validate_judge(judge: Subject, pairs: Sequence[JudgedPair], *, concurrency: int = 8) -> GraderCard:
    """The judge's card: accuracy over both orders, and how often it keeps its opinion when the order is exchanged."""
    limit = asyncio.Semaphore(concurrency)

    async def both(pair: JudgedPair) -> tuple[bool, bool]:
        async with limit:
            straight = await prefers(judge, pair.asked, pair.first, pair.second)
            exchanged = 3 - await prefers(judge, pair.asked, pair.second, pair.first)
        return straight == pair.better, exchanged == pair.better

    found = await asyncio.gather(*(both(pair) for pair in pairs))
    return GraderCard(
        grader=f"judge:{judge.model}",
        kind="judge",
        validated_on="LLMBar, each pair in both orders",
        num_labels=len(found),
        accuracy=sum(sum(one) for one in found) / (2 * len(found)),
        bar=ACCURACY_BAR,
        consistency=sum(one[0] == one[1] for one in found) / len(found),
        consistency_bar=CONSISTENCY_BAR,
    )
