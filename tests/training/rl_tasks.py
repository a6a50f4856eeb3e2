"""Tasks that a random two-layer network over letters solves now and then, and the collector around them."""

from __future__ import annotations

import random
from typing import Any

from tests.training.coders import Letters, Turns
from yearling.tasks import Environment, Task, Transcript, final_answer_text
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog, ReinforcementConfig, RolloutCollector
from yearling.training.rollouts.curriculum import Arm, Curriculum
from yearling.training.rollouts.runner import RolloutRunner, TemplatePromptCodec
from yearling.training.rollouts.sampler import Sampler


class Guess:
    """Solved by an answer that holds a letter of the first half of the alphabet in the first place (or the word `wanted`)."""

    def __init__(self, name: str = "guess", *, wanted: str = "") -> None:
        self.name = name
        self._wanted = wanted

    def task(self, seed: int) -> Task:
        rng = random.Random(f"{self.name} {seed}")
        question = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6))
        return Task(f"{self.name}-{question}", ({"role": "user", "content": question},), self.name)

    def reward(self, task: Task, transcript: Transcript) -> float:
        answer = final_answer_text(transcript)
        if self._wanted:
            return float(answer == self._wanted)
        return float("a" <= answer[:1] <= "m") if answer else 0.07


class TwoTurns(Guess):
    """Says `go on` once; solved when both answers begin with different letters."""

    def reply(self, task: Task, transcript: Transcript) -> dict[str, Any] | None:
        return {"role": "user", "content": "go on"} if len(transcript) == 1 else None

    def reward(self, task: Task, transcript: Transcript) -> float:
        return float(transcript[0]["content"][:1] != transcript[-1]["content"][:1])


def collector(
    policy: Policy, config: ReinforcementConfig, *, environment: Environment | None = None, log: InMemoryRolloutLog | None = None
) -> tuple[RolloutCollector, InMemoryRolloutLog]:
    chosen = environment or Guess()
    speech = TemplatePromptCodec(Letters(), Turns())
    sampler = Sampler(policy.decoder, stop_ids=speech.stop_ids, frozen_base=policy.has_adapter, max_rows=16)
    record = log or InMemoryRolloutLog()
    curriculum = Curriculum([Arm(chosen.name, chosen.task)], config.seed)
    return RolloutCollector(config, RolloutRunner(sampler, speech, lambda name: chosen), curriculum, record), record
