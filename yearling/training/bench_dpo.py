"""Yearling's side of `yearling bench train`, DPO with LoRA: `python -m yearling.training.bench_dpo JOB.json`; see `bench.py`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yearling.models import load_decoder
from yearling.tasks import Pair
from yearling.training.bench import peak_bytes


class Given:
    """An encoder of pairs whose ids are there already."""

    def __init__(self, pairs: Sequence[dict[str, list[int]]]) -> None:
        self._pairs = pairs
        self.dropped: dict[str, int] = {}

    def pair(self, lesson: Pair) -> tuple[list[int], list[int], list[int]]:
        pair = self._pairs[int(lesson.key)]
        return pair["prompt_ids"], pair["chosen_ids"], pair["rejected_ids"]


def main(path: str) -> None:
    import torch

    from yearling.training.dpo import Dpo, DpoConfig
    from yearling.training.policy import Policy

    job: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)  # as in `loop.arithmetic`; this process does nothing else
    policy = Policy.lora(load_decoder(Path(job["weights"])), base_sha256=job["sha256"], rank=job["rank"])
    lessons = [Pair(str(number), (), "a", "b", q=1.0, weight=1.0) for number in range(len(job["pairs"]))]
    config = DpoConfig(
        beta=job["beta"], learning_rate=job["learning_rate"], lessons_per_step=len(lessons), budget_tokens=job["budget_tokens"],
        validation=0.0, passes=1000.0,
    )  # fmt: skip
    method = Dpo(config, policy, lessons, Given(job["pairs"]))  # type: ignore[arg-type]  # it encodes pairs, which is all DPO asks
    started = time.perf_counter()
    for number in range(len(method.table.examples)):
        method.references.of(number)
    facts = {"path": policy.path, "dtype": str(policy.decoder.dtype), "prepare_s": time.perf_counter() - started}
    print(json.dumps({"ready": True, **facts}), flush=True)
    for number, _ in enumerate(sys.stdin, 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        metrics = method.step(number)
        times = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu_started}
        print(json.dumps({**times, "loss": metrics["loss"]}), flush=True)
    print(json.dumps({"peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
