"""Does it learn? One run by reinforcement on given environments, with exams on given tasks before and after.

The exams' tasks come from the caller: this room never opens what is held out. Modules that need torch are imported when a run
begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.models import ChatTemplate, LocalModel, Tokenizer, load_decoder
from yearling.training.device import choose_device
from yearling.training.loop import TrainingProgress, TrainOptions, train
from yearling.training.run import RunFolder
from yearling.training.setup import config_class

if TYPE_CHECKING:
    from yearling.tasks import Environment, Task
    from yearling.training.rollouts.runner import RolloutRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedCounts:
    """How many tasks of an exam were solved: drawing at temperature 1, and taking the likeliest tokens."""

    tasks: int
    drawn: int
    greedy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RlExperimentResult:
    """What came of a run. Times in seconds; `cpu_s` is that of the training alone, over all cores."""

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

    `openers` finds the environment that grades a task by its name. The run's folder keeps metrics, rollouts and checkpoints."""
    import torch

    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.collector import RolloutCollector
    from yearling.training.rollouts.curriculum import Curriculum, environment_arm
    from yearling.training.rollouts.runner import RolloutRunner, TemplatePromptCodec
    from yearling.training.rollouts.sampler import Sampler
    from yearling.training.setup import method_class

    torch.set_num_threads(threads)
    settings = config_class(method).from_dict(config)
    chosen = choose_device(device)
    run = RunFolder.create(
        folder,
        settings.plain(),
        method=method,
        seed=settings.seed,
        model={"name": model.name, "sha256": model.sha256},
        setup={"rank": rank, "environments": sorted(environments)},
        options=asdict(TrainOptions(validate_every=settings.steps)),
        threads=threads,
        device=chosen,
    )
    decoder = load_decoder(model.weights)
    policy = Policy.lora(decoder, base_sha256=model.sha256, rank=rank, seed=settings.seed, device=chosen)
    speech = TemplatePromptCodec(Tokenizer.load(model), ChatTemplate.load(model))
    sampler = Sampler(policy.decoder, stop_ids=speech.stop_ids, frozen_base=True)
    player = RolloutRunner(sampler, speech, open_environment)
    arms = [environment_arm(environment, name=name) for name, environment in environments.items()]
    curriculum = Curriculum(arms, settings.seed, (settings.hard, settings.easy))
    learner: Any = method_class(method)(settings, policy, RolloutCollector(settings, player, curriculum, run))

    before = {name: count_solved(player, tasks, settings) for name, tasks in exams.items()}
    started_s, started_cpu_s = time.perf_counter(), time.process_time()

    def watch(progress: TrainingProgress) -> None:
        on_progress(progress)
        if time.process_time() - started_cpu_s > cpu_limit_s:
            run.request_stop()

    outcome = train(learner, run, on_progress=watch)
    cpu_s, wall_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
    after = {name: count_solved(player, tasks, settings) for name, tasks in exams.items()}
    return RlExperimentResult(before=before, after=after, steps=outcome.step, cpu_s=cpu_s, wall_s=wall_s)


def count_solved(runner: RolloutRunner, tasks: Sequence[Task], settings: Any) -> SolvedCounts:
    """One drawn and one greedy answer to each task; the draws are the same for the same tasks."""
    from yearling.training.rollouts.runner import RolloutConfig

    config = RolloutConfig(samples=1, max_tokens=settings.max_tokens, max_episode_tokens=settings.room)
    given = [("exam", task) for task in tasks]
    solved = [
        sum(rollout.is_solved for rollout in runner.run(given, config, seed=10**6, step=0, greedy=greedy))
        for greedy in (False, True)
    ]
    return SolvedCounts(tasks=len(tasks), drawn=solved[0], greedy=solved[1])
