"""One process of a distributed run in `test_sharding.py`: trains runs, given by their folders, up to a step.

torchrun --nproc-per-node 2 -m tests.training.sharded_run STEPS FOLDER...
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.training.networks import tiny_policy
from tests.training.offline_methods import OFFLINE_CONFIGS, AnyOfflineMethod, letter_encoder, random_lessons
from yearling.training import RunFolder, TrainingProgress, process_group, run_for_this_process, train, world_size
from yearling.training.setup import method_class

SETTINGS = {"lessons_per_step": 5, "learning_rate": 1e-2, "steps": 6, "budget_tokens": 20, "validation": 0.3, "warmup": 0.0}
"""The number of micro-batches is sometimes odd, so that one process has a pass that does not count."""


def make_method(name: str) -> AnyOfflineMethod:
    config = OFFLINE_CONFIGS[name].from_dict(SETTINGS)
    policy = tiny_policy(trained=False)
    if world_size() > 1:
        policy.shard()
    method: AnyOfflineMethod = method_class(name)(config, policy, random_lessons(name, 20), letter_encoder(config.max_tokens))
    return method


def main(folder: Path, steps: int) -> None:
    """Train the run in a folder, and stop after a step."""
    run = run_for_this_process(RunFolder.open(folder))

    def stop_after_steps(progress: TrainingProgress) -> None:
        if progress.step == steps:
            run.request_stop()

    train(make_method(run.facts["method"]), run, on_progress=stop_after_steps)


if __name__ == "__main__":
    with process_group("cpu"):
        for path in sys.argv[2:]:
            main(Path(path), int(sys.argv[1]))
