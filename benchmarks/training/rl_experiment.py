"""One run of reinforcement learning on given environments, with exams on given tasks before and after it.

The caller supplies the exams' tasks; this module never opens what is held out. Modules that need torch are imported when a run
starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput
from yearling.inference import PromptRenderer
from yearling.models import ChatTemplate, LocalModel, Tokenizer, load_decoder
from yearling.training.device import choose_device
from yearling.training.loop import TrainingProgress, TrainOptions, train
from yearling.training.run import RunFolder
from yearling.training.setup import config_class, method_class

if TYPE_CHECKING:
    from yearling.tasks import Environment, Task
    from yearling.training.rollouts.collector import ReinforcementConfig
    from yearling.training.rollouts.runner import RolloutRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedCounts:
    """How many tasks of an exam were solved: `sampled` at temperature 1, `greedy` by taking the likeliest tokens."""

    tasks: int
    sampled: int
    greedy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RlExperimentResult:
    """The result of a run. Times are in seconds; `cpu_s` is the training's processor time over all cores."""

    before: Mapping[str, SolvedCounts]
    after: Mapping[str, SolvedCounts]
    steps: int
    cpu_s: float
    wall_s: float


def run_rl_experiment(
    method: str,
    model: LocalModel,
    environments: Mapping[str, Environment],
    config: Mapping[str, Any],
    folder: Path,
    *,
    exams: Mapping[str, Sequence[Task]],
    open_environment: Callable[[str], Environment],
    rank: int = 16,
    threads: int = 2,
    device: str = "auto",
    cpu_limit_s: float = 3600.0,
    on_progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> RlExperimentResult:
    """Train an adapter on the training tasks of `environments` until the configured steps or `cpu_limit_s` are used up.

    `open_environment` returns the environment that scores a task, by its name. The run's folder keeps metrics, rollouts and
    checkpoints. Raises BadInput for wrong settings, and for a method that does not learn from rollouts."""
    import torch

    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector
    from yearling.training.rollouts.curriculum import Curriculum, environment_arm
    from yearling.training.rollouts.runner import RenderedPromptCodec, RolloutRunner
    from yearling.training.rollouts.sampler import Sampler

    torch.set_num_threads(threads)
    settings = config_class(method).from_dict(config)
    if not isinstance(settings, ReinforcementConfig):
        raise BadInput(f"{method} does not learn from rollouts.", advice="Use grpo, ppo or rejection.", param="method")
    chosen_device = choose_device(device)
    run = RunFolder.create(
        folder,
        settings.to_dict(),
        method=method,
        seed=settings.seed,
        model={"name": model.name, "sha256": model.sha256},
        setup={"rank": rank, "environments": sorted(environments)},
        options=asdict(TrainOptions(validate_every=settings.steps)),
        threads=threads,
        device=chosen_device,
    )
    decoder = load_decoder(model.weights)
    policy = Policy.lora(decoder, base_sha256=model.sha256, rank=rank, seed=settings.seed, device=chosen_device)
    tokenizer = Tokenizer.load(model)
    codec = RenderedPromptCodec(tokenizer, PromptRenderer(tokenizer, ChatTemplate.load(model)))
    sampler = Sampler(policy.decoder, stop_ids=codec.stop_ids, frozen_base=True)
    runner = RolloutRunner(sampler, codec, open_environment)
    arms = [environment_arm(environment, name=name) for name, environment in environments.items()]
    curriculum = Curriculum(arms, settings.seed, (settings.hard, settings.easy))
    online_method = method_class(method)(settings, policy, RolloutCollector(settings, runner, curriculum, run))

    before = {name: count_solved(runner, tasks, settings) for name, tasks in exams.items()}
    started_s, started_cpu_s = time.perf_counter(), time.process_time()

    def stop_at_cpu_limit(progress: TrainingProgress) -> None:
        on_progress(progress)
        if time.process_time() - started_cpu_s > cpu_limit_s:
            run.request_stop()

    outcome = train(online_method, run, on_progress=stop_at_cpu_limit)
    cpu_s, wall_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
    after = {name: count_solved(runner, tasks, settings) for name, tasks in exams.items()}
    return RlExperimentResult(before=before, after=after, steps=outcome.step, cpu_s=cpu_s, wall_s=wall_s)


def count_solved(runner: RolloutRunner, tasks: Sequence[Task], settings: ReinforcementConfig) -> SolvedCounts:
    """The solved tasks among one sampled and one greedy answer to each. The random numbers are the same in every call."""
    from yearling.training.rollouts.runner import RolloutConfig

    config = RolloutConfig(samples=1, max_tokens=settings.max_tokens, max_episode_tokens=settings.room)
    exam = [("exam", task) for task in tasks]
    num_sampled, num_greedy = (
        sum(rollout.is_solved for rollout in runner.run(exam, config, seed=10**6, step=0, greedy=greedy))
        for greedy in (False, True)
    )
    return SolvedCounts(tasks=len(tasks), sampled=num_sampled, greedy=num_greedy)
