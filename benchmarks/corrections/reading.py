"""How well a model reads a correction that stands before it as an earlier turn, with and without its reader.

Asks through the serving engine, greedily. A gate decides which corrections stand before a question:

    none     no correction
    oracle   the right one; for neighbours and controls none
    stress   the right one; before neighbours their correction, and before controls any: what happens if the gate is wrong
    memory   what the program's own gate finds in corrections memory (`memory_gate.py`)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.corrections.cases import ControlCase, CorrectionCase, has_key
from yearling.inference import GenerationRequest, PromptRenderer, ServedModel
from yearling.records import SamplingSettings

MAX_TOKENS = 16
CONCURRENCY = 8

Gate = Callable[[str], Awaitable[Sequence[CorrectionCase]]]
"""The corrections that stand before a question, the most relevant one last."""
Kind = Literal["verbatim", "paraphrase", "neighbour", "control"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one kind, with the corrections that stood before it, and its answer."""

    kind: Kind
    question: str
    fired: tuple[str, ...]
    answer: str
    is_right: bool
    """For a neighbour: whether the answer holds no key of any correction."""


@dataclass(slots=True)
class ReadingScores:
    """The answers of one configuration."""

    asked: list[Asked] = field(default_factory=list)

    def count(self, kind: Kind) -> tuple[int, int]:
        """(right answers, questions) of a kind."""
        of_kind = [each for each in self.asked if each.kind == kind]
        return sum(each.is_right for each in of_kind), len(of_kind)

    def wrong(self) -> list[Asked]:
        """The answers that are not right."""
        return [each for each in self.asked if not each.is_right]


async def measure_reading(
    served: ServedModel,
    corrections: Sequence[CorrectionCase],
    controls: Sequence[ControlCase],
    gate: Gate | Literal["none", "oracle", "stress"],
    *,
    reader: str | None,
    system: str,
) -> ReadingScores:
    """Ask everything once. `reader`, the hash of an adapter that the engine has loaded, is active only beside a correction."""
    renderer = PromptRenderer.for_model(served)
    limit = asyncio.Semaphore(CONCURRENCY)
    all_keys = [key for case in corrections for key in case.keys]
    rng = random.Random(0)

    async def ask(kind: Kind, question: str, own: CorrectionCase | None, keys: Sequence[str]) -> Asked:
        front = await _front(gate, kind, question, own)
        messages = [{"role": "system", "content": system}] if system else []
        for case in front:
            messages += [{"role": "user", "content": case.question}, {"role": "assistant", "content": case.answer}]
        messages.append({"role": "user", "content": question})
        request = GenerationRequest(
            prompt_ids=tuple(renderer.encode(messages)),
            sampling=SamplingSettings(temperature=0, max_tokens=MAX_TOKENS),
            adapter_hash=reader if front else None,
        )
        async with limit:
            answer = (await served.engine.generate(request)).text
        is_right = has_key(answer, keys) is not (kind == "neighbour")
        return Asked(kind, question, tuple(case.question for case in front), answer, is_right)

    jobs = [ask("verbatim", case.question, case, case.keys) for case in corrections]
    jobs += [ask("paraphrase", text, case, case.keys) for case in corrections for text in case.paraphrases]
    jobs += [ask("neighbour", text, case, all_keys) for case in corrections for text in case.neighbours]
    jobs += [ask("control", case.question, rng.choice(list(corrections)), case.keys) for case in controls]
    return ReadingScores(list(await asyncio.gather(*jobs)))


async def _front(
    gate: Gate | Literal["none", "oracle", "stress"], kind: Kind, question: str, own: CorrectionCase | None
) -> Sequence[CorrectionCase]:
    if not isinstance(gate, str):
        return await gate(question)
    fires = gate == "stress" or (gate == "oracle" and kind in ("verbatim", "paraphrase"))
    return [own] if fires and own is not None else []
