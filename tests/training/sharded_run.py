"""One of the processes of `test_sharding.py`: runs in their folders, up to a step, in as many processes as there are.

torchrun --nproc-per-node 2 -m tests.training.sharded_run STEPS FOLDER...
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.training.coders import Letters, Turns
from tests.training.networks import tiny_policy
from tests.training.test_methods import CONFIGS, lessons
from yearling.training import RunFolder, TrainingProgress, process_group, run_for_this_process, train, world_size
from yearling.training.data.encoding import LessonEncoder
from yearling.training.methods.offline import OfflineMethod
from yearling.training.setup import method_class

SETTINGS = {"lessons_per_step": 5, "learning_rate": 1e-2, "steps": 6, "budget_tokens": 20, "validation": 0.3, "warmup": 0.0}
"""Micro-batches of which there is an odd number now and then, so that a process has a pass without a share."""


def learner(name: str) -> OfflineMethod:
    config = CONFIGS[name].from_dict(SETTINGS)
    policy = tiny_policy(trained=False)
    if world_size() > 1:
        policy.shard()
    encoder = LessonEncoder(Letters(), Turns(), model_hash="none", max_tokens=config.max_tokens)
    made: OfflineMethod = method_class(name)(config, policy, lessons(name, 20), encoder)
    return made


def main(folder: Path, steps: int) -> None:
    run = run_for_this_process(RunFolder.open(folder))

    def stop(progress: TrainingProgress) -> None:
        if progress.step == steps:
            run.request_stop()

    train(learner(run.facts["method"]), run, on_progress=stop)


if __name__ == "__main__":
    with process_group("cpu"):
        for path in sys.argv[2:]:
            main(Path(path), int(sys.argv[1]))
