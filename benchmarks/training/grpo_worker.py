"""Yearling's side of `yearling bench train`, GRPO with LoRA:
`python -m benchmarks.training.grpo_worker JOB.json`; see `speed.py`.

Every answer has exactly the job's number of tokens (nothing ends it) and a random reward, so that each step is the same work:
drawing, the update of the adapter, AdamW.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training.speed import TrainingContender
from yearling.inference import peak_memory_bytes
from yearling.models import LocalModel, export_decoder, load_decoder
from yearling.tasks import Task, Transcript

if TYPE_CHECKING:
    from yearling.training.methods.grpo import Grpo

TRL_GRPO_DEFAULTS: dict[str, Any] = {"batch_size": 16, "bf16": False}
"""TRL's settings for GRPO on a CPU; dev/LOG.md says what else was tried."""


@dataclass(frozen=True)
class PretokenizedPrompts:
    """Speech and environment in one: prompts are ids that are there already, rewards are drawn by the answer's own words."""

    prompts: Sequence[Sequence[int]]
    name: str = "random"
    stop_ids: frozenset[int] = frozenset()

    def encode(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> list[int]:
        return list(self.prompts[int(messages[0]["content"])])

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))

    def task(self, seed: int) -> Task:
        return Task(f"{seed}", ({"role": "user", "content": str(seed % len(self.prompts))},), self.name)

    def reward(self, task: Task, transcript: Transcript) -> float:
        return float(random.Random(str(transcript)).random() < 0.5)


def grpo_contenders(
    model: LocalModel,
    folder: Path,
    *,
    prompts: int = 8,
    samples: int = 8,
    new_tokens: int = 64,
    prompt_tokens: int = 64,
    rank: int = 16,
    budget_tokens: int = 1024,
    trl_python: Path | None = None,
    trl_settings: Sequence[Mapping[str, Any]] = (),
) -> tuple[list[TrainingContender], int]:
    """(Yearling, and TRL in each of its settings; tokens drawn in a step). `folder` takes the weights as TRL reads them."""
    decoder = load_decoder(model.weights)
    rng = random.Random(0)
    drawn = [rng.choices(range(100, decoder.config.vocab_size), k=prompt_tokens) for _ in range(prompts)]
    common = {"prompts": drawn, "samples": samples, "new_tokens": new_tokens, "rank": rank, "learning_rate": 1e-5}
    ours = {**common, "weights": str(model.weights), "sha256": model.sha256, "budget_tokens": budget_tokens}
    contenders = [TrainingContender("Yearling", (sys.executable, "-m", "benchmarks.training.grpo_worker"), ours)]
    if trl_python is not None:
        export_decoder(decoder, folder, source=model.weights)
        script = Path(__file__).with_name("trl_grpo_worker.py")
        for settings in trl_settings or [TRL_GRPO_DEFAULTS]:
            job = {**common, "model": str(folder), **TRL_GRPO_DEFAULTS, **settings}
            label = "TRL" + "".join(f" {name}={value}" for name, value in settings.items())
            contenders.append(TrainingContender(label, (str(trl_python), str(script)), job))
    return contenders, prompts * samples * new_tokens


def build_grpo(job: Mapping[str, Any]) -> Grpo:
    """The method with everything around it."""
    from yearling.training.methods.grpo import Grpo, GrpoConfig
    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.collector import InMemoryRolloutLog, RolloutCollector
    from yearling.training.rollouts.curriculum import Arm, Curriculum
    from yearling.training.rollouts.runner import RolloutRunner
    from yearling.training.rollouts.sampler import Sampler

    policy = Policy.lora(load_decoder(Path(job["weights"])), base_sha256=job["sha256"], rank=job["rank"])
    given = PretokenizedPrompts(job["prompts"])
    config = GrpoConfig(
        prompts=len(given.prompts), samples=job["samples"], max_tokens=job["new_tokens"], truncated="score", attempts=1,
        steps=1000, learning_rate=job["learning_rate"], budget_tokens=job["budget_tokens"],
    )  # fmt: skip
    sampler = Sampler(policy.decoder, stop_ids=given.stop_ids, frozen_base=True)
    curriculum = Curriculum([Arm(given.name, given.task)], 0)
    return Grpo(
        config,
        policy,
        RolloutCollector(config, RolloutRunner(sampler, given, lambda name: given), curriculum, InMemoryRolloutLog()),
    )


def main(path: str) -> None:
    import logging

    import torch

    logging.disable(logging.WARNING)  # of answers that are cut, which is what is asked for here
    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)  # as in `loop.arithmetic`; this process does nothing else
    method = build_grpo(job)
    print(json.dumps({"ready": True, "path": method.policy.trunk_implementation}), flush=True)
    for number, _ in enumerate(sys.stdin, 1):
        started, started_cpu = time.perf_counter(), time.process_time()
        figures = method.step(number)
        spent = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - started_cpu}
        took = {**spent, "rollouts_s": figures["rollouts_s"], "tokens": figures["tokens"]}
        print(json.dumps(took), flush=True)
    print(json.dumps({"peak_bytes": peak_memory_bytes(os.getpid())}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
