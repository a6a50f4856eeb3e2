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
KINDS: tuple[Kind, ...] = ("verbatim", "paraphrase", "neighbour", "control")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one kind, with the corrections that stood before it, and its answer."""

    kind: Kind
    question: str
    fired: tuple[str, ...]
    answer: str
    is_right: bool
    """For a neighbour: whether the answer holds no key of any correction."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.question} | {' / '.join(self.fired)} -> {self.answer!r}"


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is asked. `own` is the correction that it is about; None for a control."""

    kind: Kind
    text: str
    keys: Sequence[str]
    """One of them makes an answer right; for a neighbour, wrong."""
    own: CorrectionCase | None = None

    def judged(self, answer: str, fired: Sequence[str]) -> Asked:
        """The question with its answer, and with the questions of the corrections that stood before it."""
        is_right = has_key(answer, self.keys) is not (self.kind == "neighbour")
        return Asked(self.kind, self.text, tuple(fired), answer, is_right)


def list_questions(corrections: Sequence[CorrectionCase], controls: Sequence[ControlCase]) -> list[Question]:
    """All questions of the cases, by kind."""
    all_keys = [key for case in corrections for key in case.keys]
    questions = [Question("verbatim", case.question, case.keys, case) for case in corrections]
    questions += [Question("paraphrase", text, case.keys, case) for case in corrections for text in case.paraphrases]
    questions += [Question("neighbour", text, all_keys, case) for case in corrections for text in case.neighbours]
    return questions + [Question("control", case.question, case.keys) for case in controls]


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
    is_always_active: bool = False,
) -> ReadingScores:
    """Ask everything once. `reader`, the hash of an adapter that the engine has loaded, is active only beside a correction.

    With `is_always_active` it is an adapter that was trained on the corrections themselves, and is active for every question.
    """
    renderer = PromptRenderer.for_model(served)
    limit = asyncio.Semaphore(CONCURRENCY)
    rng = random.Random(0)

    async def ask(question: Question, about: CorrectionCase) -> Asked:
        front = await _front(gate, question, about)
        messages = [{"role": "system", "content": system}] if system else []
        for case in front:
            messages += [{"role": "user", "content": case.question}, {"role": "assistant", "content": case.answer}]
        messages.append({"role": "user", "content": question.text})
        request = GenerationRequest(
            prompt_ids=tuple(renderer.encode(messages)),
            sampling=SamplingSettings(temperature=0, max_tokens=MAX_TOKENS),
            adapter_hash=reader if front or is_always_active else None,
        )
        async with limit:
            answer = (await served.engine.generate(request)).text
        return question.judged(answer, [case.question for case in front])

    jobs = [ask(each, each.own or rng.choice(list(corrections))) for each in list_questions(corrections, controls)]
    return ReadingScores(list(await asyncio.gather(*jobs)))


async def _front(
    gate: Gate | Literal["none", "oracle", "stress"], question: Question, about: CorrectionCase
) -> Sequence[CorrectionCase]:
    if not isinstance(gate, str):
        return await gate(question.text)
    fires = gate == "stress" or (gate == "oracle" and question.kind in ("verbatim", "paraphrase"))
    return [about] if fires else []
