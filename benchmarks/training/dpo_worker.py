"""Yearling's side of `yearling bench train`, DPO with LoRA:
`python -m benchmarks.training.dpo_worker JOB.json`; see `speed.py`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training.speed import peak_memory_bytes
from yearling.models import load_decoder
from yearling.tasks import PreferencePair

if TYPE_CHECKING:
    from yearling.training.methods.dpo import Dpo


class PretokenizedPairs:
    """An encoder of pairs whose ids are there already."""

    def __init__(self, pairs: Sequence[dict[str, list[int]]]) -> None:
        self._pairs = pairs
        self.dropped_by_reason: dict[str, int] = {}

    def encode_pair(self, lesson: PreferencePair) -> tuple[list[int], list[int], list[int]]:
        pair = self._pairs[int(lesson.key)]
        return pair["prompt_ids"], pair["chosen_ids"], pair["rejected_ids"]


def build_dpo(job: Mapping[str, Any]) -> Dpo:
    """The method, its reference computed."""
    from yearling.training.methods.dpo import Dpo, DpoConfig
    from yearling.training.policy.policy import Policy

    policy = Policy.lora(load_decoder(Path(job["weights"])), base_sha256=job["sha256"], rank=job["rank"])
    lessons = [PreferencePair(str(number), (), "a", "b", q=1.0, weight=1.0) for number in range(len(job["pairs"]))]
    config = DpoConfig(
        beta=job["beta"], learning_rate=job["learning_rate"], lessons_per_step=len(lessons), budget_tokens=job["budget_tokens"],
        validation=0.0, passes=1000.0,
    )  # fmt: skip
    method = Dpo(config, policy, lessons, PretokenizedPairs(job["pairs"]))  # type: ignore[arg-type]  # it encodes pairs, which is all DPO asks
    method.references.precompute(range(len(method.table.examples)))
    return method


def profile_dpo_step(job: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """(operation, calls, share of the processor time) of one step after a first one, the largest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as watching

    from yearling.training.loop import torch_arithmetic

    with torch_arithmetic(job["threads"]):
        method = build_dpo(job)
        method.step(1)
        with watching(activities=[ProfilerActivity.CPU]) as watched:
            method.step(2)
    rows = watched.key_averages()
    total = sum(row.self_cpu_time_total for row in rows)
    found = [(row.key, row.count, row.self_cpu_time_total / total) for row in rows]
    return sorted(found, key=lambda row: -row[2])


def main(path: str) -> None:
    import torch

    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)  # as in `loop.arithmetic`; this process does nothing else
    started = time.perf_counter()
    method = build_dpo(job)
    policy = method.policy
    facts = {"path": policy.trunk_implementation, "dtype": str(policy.decoder.dtype), "prepare_s": time.perf_counter() - started}
    print(json.dumps({"ready": True, **facts}), flush=True)
    for number, _ in enumerate(sys.stdin, 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        metrics = method.step(number)
        times = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu_started}
        print(json.dumps({**times, "loss": metrics["loss"]}), flush=True)
    print(json.dumps({"peak_bytes": peak_memory_bytes()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
