"""Yearling's side of `yearling bench train`, GRPO with LoRA: `python -m benchmarks.training.grpo_worker JOB.json`; see
`speed.py`.

Every answer has exactly the job's number of tokens, because nothing ends it, and a random reward. Each step is therefore the same
work: sampling, the update of the adapter, AdamW.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training.worker_protocol import StepTimer, peak_memory_bytes, write_line
from yearling.models import load_decoder
from yearling.tasks import Task, Transcript

if TYPE_CHECKING:
    from yearling.training.methods.grpo import Grpo


@dataclass(frozen=True)
class PretokenizedPrompts:
    """Prompt codec and environment in one: prompts are given as token ids, and the reward is a random function of the answer."""

    prompts: Sequence[Sequence[int]]
    name: str = "random"
    stop_ids: frozenset[int] = frozenset()

    def encode(self, messages: Sequence[Mapping[str, Any]], /) -> list[int]:
        """The prompt whose index is the first message."""
        return list(self.prompts[int(messages[0]["content"])])

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        """Nothing: the environment never replies."""
        return []

    def decode(self, ids: Sequence[int]) -> str:
        """The ids as text."""
        return " ".join(map(str, ids))

    def task(self, seed: int) -> Task:
        """A task whose message is the index of its prompt."""
        return Task(f"{seed}", ({"role": "user", "content": str(seed % len(self.prompts))},), self.name)

    def reward(self, task: Task, transcript: Transcript) -> float:
        """0 or 1, each with probability ½, the same for the same answer."""
        return float(random.Random(str(transcript)).random() < 0.5)


def build_grpo(job: Mapping[str, Any]) -> Grpo:
    """The method of a job, with its sampler and environment."""
    from yearling.training.methods.grpo import Grpo, GrpoConfig
    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.collector import InMemoryRolloutLog, RolloutCollector
    from yearling.training.rollouts.curriculum import Arm, Curriculum
    from yearling.training.rollouts.runner import RolloutRunner
    from yearling.training.rollouts.sampler import Sampler

    policy = Policy.lora(load_decoder(Path(job["weights"])), base_sha256=job["sha256"], rank=job["rank"])
    prompts = PretokenizedPrompts(job["prompts"])
    config = GrpoConfig(
        prompts=len(prompts.prompts),
        samples=job["samples"],
        max_tokens=job["new_tokens"],
        truncated="score",
        attempts=1,
        steps=1000,
        learning_rate=job["learning_rate"],
        budget_tokens=job["budget_tokens"],
    )
    sampler = Sampler(policy.decoder, stop_ids=prompts.stop_ids, frozen_base=True)
    runner = RolloutRunner(sampler, prompts, lambda name: prompts)
    curriculum = Curriculum([Arm(prompts.name, prompts.task)], 0)
    return Grpo(config, policy, RolloutCollector(config, runner, curriculum, InMemoryRolloutLog()))


def main(path: str) -> None:
    """Run the job in the file `path` until the input ends."""
    import logging

    import torch

    logging.disable(logging.WARNING)  # every answer is truncated on purpose
    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)  # as in `loop.torch_arithmetic`; this process does nothing else
    method = build_grpo(job)
    write_line(sys.stdout, ready=True, path=method.policy.trunk_implementation)
    for number, _ in enumerate(sys.stdin, 1):
        timer = StepTimer()
        metrics = method.step(number)
        write_line(sys.stdout, **timer.elapsed(), rollouts_s=metrics["rollouts_s"], tokens=metrics["tokens"])
    write_line(sys.stdout, peak_bytes=peak_memory_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
