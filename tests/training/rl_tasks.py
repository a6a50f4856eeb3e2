"""Tasks that a random two-layer network over letters solves now and then, and a rollout collector for them."""

from __future__ import annotations

import random
from typing import Any

from tests.training.letter_codec import LetterPrompts, LetterTokenizer
from yearling.tasks import Environment, Task, Transcript, final_answer_text
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog, ReinforcementConfig, RolloutCollector, RolloutLog
from yearling.training.rollouts.curriculum import Arm, Curriculum
from yearling.training.rollouts.runner import RenderedPromptCodec, RolloutRunner
from yearling.training.rollouts.sampler import Sampler

SMALL_RL_CONFIG: dict[str, Any] = {
    "prompts": 4,
    "samples": 4,
    "max_tokens": 4,
    "validation_tasks": 4,
    "truncated": "score",
    "warmup": 0.0,
}
"""Settings of an online method with small steps."""


class LetterTask:
    """Solved by an answer whose first letter is in the first half of the alphabet, or by the word `solution` if it is given."""

    def __init__(self, name: str = "guess", *, solution: str = "") -> None:
        self.name = name
        self._solution = solution

    def task(self, seed: int) -> Task:
        rng = random.Random(f"{self.name} {seed}")
        question = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6))
        return Task(f"{self.name}-{question}", ({"role": "user", "content": question},), self.name)

    def reward(self, task: Task, transcript: Transcript) -> float:
        answer = final_answer_text(transcript)
        if self._solution:
            return float(answer == self._solution)
        return float("a" <= answer[:1] <= "m") if answer else 0.07


class TwoTurnTask(LetterTask):
    """Replies `go on` once. Solved if the two answers begin with different letters."""

    def reply(self, task: Task, transcript: Transcript) -> dict[str, Any] | None:
        return {"role": "user", "content": "go on"} if len(transcript) == 1 else None

    def reward(self, task: Task, transcript: Transcript) -> float:
        return float(str(transcript[0]["content"])[:1] != str(transcript[-1]["content"])[:1])


def letter_prompt_codec() -> RenderedPromptCodec:
    """The codec of the letter tokenizer and its prompts."""
    return RenderedPromptCodec(LetterTokenizer(), LetterPrompts())


def make_collector(
    policy: Policy,
    config: ReinforcementConfig,
    *,
    environment: Environment | None = None,
    log: RolloutLog | None = None,
) -> tuple[RolloutCollector, InMemoryRolloutLog]:
    """(collector, the log in memory that it uses unless `log` is given)."""
    chosen = environment or LetterTask()
    codec = letter_prompt_codec()
    sampler = Sampler(policy.decoder, stop_ids=codec.stop_ids, frozen_base=policy.has_adapter, max_rows=16)
    memory_log = log if isinstance(log, InMemoryRolloutLog) else InMemoryRolloutLog()
    curriculum = Curriculum([Arm(chosen.name, chosen.task)], config.seed)
    runner = RolloutRunner(sampler, codec, lambda name: chosen)
    return RolloutCollector(config, runner, curriculum, memory_log if log is None else log), memory_log
