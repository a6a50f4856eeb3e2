"""Yearling's side of `yearling bench train`, DPO with LoRA: `python -m benchmarks.training.dpo_worker JOB.json`; see
`speed.py`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training.worker_protocol import StepTimer, peak_memory_bytes, write_line
from yearling.models import load_decoder
from yearling.tasks import PreferencePair

if TYPE_CHECKING:
    from yearling.training.methods.dpo import Dpo


class PretokenizedPairs:
    """A lesson encoder for pairs whose token ids are given. The key of a lesson is the index of its pair."""

    def __init__(self, pairs: Sequence[dict[str, list[int]]]) -> None:
        self._pairs = pairs
        self.dropped_by_reason: dict[str, int] = {}

    def encode_pair(self, lesson: PreferencePair) -> tuple[list[int], list[int], list[int]]:
        """(prompt ids, ids of the chosen answer, ids of the rejected answer)."""
        pair = self._pairs[int(lesson.key)]
        return pair["prompt_ids"], pair["chosen_ids"], pair["rejected_ids"]


def build_dpo(job: Mapping[str, Any]) -> Dpo:
    """The method of a job, with its reference log-probabilities computed."""
    from yearling.training.methods.dpo import Dpo, DpoConfig
    from yearling.training.policy.policy import Policy

    policy = Policy.lora(load_decoder(Path(job["weights"])), base_sha256=job["sha256"], rank=job["rank"])
    lessons = [PreferencePair(str(index), (), "a", "b", q=1.0, weight=1.0) for index in range(len(job["pairs"]))]
    config = DpoConfig(
        beta=job["beta"],
        learning_rate=job["learning_rate"],
        lessons_per_step=len(lessons),
        budget_tokens=job["budget_tokens"],
        validation=0.0,
        passes=1000.0,
    )
    encoder: Any = PretokenizedPairs(job["pairs"])  # it encodes pairs only, which is all that DPO needs
    method = Dpo(config, policy, lessons, encoder)
    method.references.precompute(range(len(method.table.examples)))
    return method


def profile_dpo_step(job: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """(operation, calls, share of the processor time) of the second step of a job, the largest share first."""
    from torch.profiler import ProfilerActivity, profile

    from yearling.training.loop import torch_arithmetic

    with torch_arithmetic(job["threads"]):
        method = build_dpo(job)
        method.step(1)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            method.step(2)
    averages = profiler.key_averages()
    total = sum(row.self_cpu_time_total for row in averages)
    operations = [(row.key, row.count, row.self_cpu_time_total / total) for row in averages]
    return sorted(operations, key=lambda operation: -operation[2])


def main(path: str) -> None:
    """Run the job in the file `path` until the input ends."""
    import torch

    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)  # as in `loop.torch_arithmetic`; this process does nothing else
    started = time.perf_counter()
    method = build_dpo(job)
    policy = method.policy
    facts = {"path": policy.trunk_implementation, "dtype": str(policy.decoder.dtype)}
    write_line(sys.stdout, ready=True, **facts, prepare_s=time.perf_counter() - started)
    for number, _ in enumerate(sys.stdin, 1):
        timer = StepTimer()
        metrics = method.step(number)
        write_line(sys.stdout, **timer.elapsed(), loss=metrics["loss"])
    write_line(sys.stdout, peak_bytes=peak_memory_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
