"""`yearling bench learn`: does reinforcement learning teach a model tasks that it could not solve and never trained on?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.cli.console import err, print_json, print_table
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.tasks import Environment, Task
    from yearling.training import TrainingProgress

EnvironmentSpecs = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Name -> (environment, its settings)."""

_SHOWN_METRICS = (
    "pass_rate",
    "reward",
    "kl",
    "entropy",
    "length",
    "truncated",
    "teaching_groups",
    "explained_variance",
    "rollouts_s",
    "update_s",
)


@dataclass(frozen=True)
class LearningTask:
    """What a run trains on, what else is measured before and after it, and settings that suit it."""

    trained: EnvironmentSpecs
    settings: Mapping[str, Any]
    only_measured: EnvironmentSpecs = field(default_factory=dict)
    """Held-out kinds of tasks, and tasks that the model might forget."""


CHAIN_SUM_SPECS: EnvironmentSpecs = {
    "chain_sum": ("reasoning_gym:chain_sum", {"settings": {"min_digits": 1, "max_digits": 1, "min_terms": 2, "max_terms": 2}})
}
LEARNING_TASKS = {
    "chain_sum": LearningTask(
        trained=CHAIN_SUM_SPECS,
        # Truncated answers are scored, not masked: an answer that is more than a number is wrong.
        settings={
            "steps": 110,
            "max_tokens": 8,
            "prompts": 8,
            "samples": 16,
            "attempts": 2,
            "truncated": "score",
            "learning_rate": 5e-4,
            "schedule": "linear",
        },
    ),
    "running_totals": LearningTask(
        trained={"running_totals": ("running_totals", {"terms": 6})},
        settings={"max_tokens": 32, "prompts": 8, "samples": 8, "truncated": "score", "learning_rate": 3e-4},
    ),
    "instructions": LearningTask(
        trained={"constraints": ("instructions", {"kinds": "seen"})},
        # Truncated answers are scored, not masked. Four in ten are truncated at the start: if only answers that end could fail,
        # the model would learn not to end them.
        settings={
            "max_tokens": 96,
            "prompts": 8,
            "samples": 8,
            "attempts": 2,
            "learning_rate": 2e-4,
            "truncated": "score",
        },
        only_measured={
            "held-out constraints": ("instructions", {"kinds": "held_out"}),
            "not trained: letter_counting": ("reasoning_gym:letter_counting", {}),
            "not trained: chain_sum": CHAIN_SUM_SPECS["chain_sum"],
        },
    ),
}


def run(
    *,
    method: str,
    task: str,
    setting: list[str],
    seeds: str,
    cpu_minutes: float,
    rank: int,
    exam_tasks: int,
    threads: int,
    device: str,
    model: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run the command; `yearling bench learn --help` describes the options. Raises BadInput for an unknown task or setting."""
    from benchmarks.training.rl_experiment import run_rl_experiment
    from yearling.evals import wilson_interval
    from yearling.models import ModelLibrary
    from yearling.tasks import open_environment

    if task not in LEARNING_TASKS:
        raise BadInput(
            f"There is no learning task {task!r}.", advice=f"Available tasks: {', '.join(LEARNING_TASKS)}.", param="task"
        )
    settings = load_settings(data_dir=data_dir)
    base = ModelLibrary(settings.models_dir).get(model or settings.model)
    learning_task = LEARNING_TASKS[task]
    environments = {name: open_environment(kind, **options) for name, (kind, options) in learning_task.trained.items()}
    only_measured = {name: open_environment(kind, **options) for name, (kind, options) in learning_task.only_measured.items()}
    exams = {name: _exam_tasks(environment, exam_tasks) for name, environment in {**environments, **only_measured}.items()}
    results = []
    for seed in (int(part) for part in seeds.split(",")):
        config = {"steps": 1000, **learning_task.settings, **_parse_settings(setting), "seed": seed}
        folder = settings.data_dir / "bench" / f"learn-{method}-{task}-{seed}-{time.strftime('%Y%m%dT%H%M%S')}"
        result = run_rl_experiment(
            method,
            base,
            environments,
            config,
            folder,
            exams=exams,
            open_environment=open_environment,
            rank=rank,
            threads=threads,
            device=device,
            cpu_limit_s=60 * cpu_minutes,
            on_progress=_print_progress,
        )
        results.append({"method": method, "task": task, "seed": seed, "run": str(folder), **asdict(result)})
        for name in exams:  # print results at once: a later seed may not finish
            before, after = result.before[name], result.after[name]
            line = f"seed {seed}, {name}: {before.sampled} of {before.tasks} solved by sampling before, {after.sampled} after"
            err.print(line, highlight=False)
    if as_json:
        print_json(results)
        return

    def solved_share(counts: Mapping[str, int], decoding: str) -> str:
        interval = wilson_interval(counts[decoding], counts["tasks"])
        return f"{counts[decoding] / counts['tasks']:.2f} ({interval.low:.2f} to {interval.high:.2f})"

    rows = []
    for row in results:
        for name in exams:
            for when, counts, cpu in (("before", row["before"], ""), ("after", row["after"], f"{row['cpu_s'] / 60:.0f}")):
                shares = (solved_share(counts[name], "sampled"), solved_share(counts[name], "greedy"))
                rows.append([str(row["seed"]), name, when, *shares, f"{row['steps']}", cpu])
    print_table(["seed", "exam", "", "solved, sampled at 1", "solved, greedy", "steps", "CPU minutes"], rows)


def _exam_tasks(environment: Environment, count: int) -> list[Task]:
    """The first `count` different exam tasks of an environment, or fewer if it has no more."""
    from yearling.tasks import exam_seed

    by_key: dict[str, Task] = {}
    for index in range(10 * count):
        task = environment.task(exam_seed(index))
        by_key.setdefault(task.key, task)
        if len(by_key) == count:
            break
    return list(by_key.values())


def _parse_settings(assignments: list[str]) -> dict[str, Any]:
    """Settings from NAME=VALUE. A value is read as JSON if possible, else as text. Raises BadInput without `=`."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise BadInput(f"{assignment!r} is not an assignment.", advice="Write --set NAME=VALUE.", param="set")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def _print_progress(progress: TrainingProgress) -> None:
    shown = " ".join(f"{name} {progress.metrics[name]:.3f}" for name in _SHOWN_METRICS if name in progress.metrics)
    err.print(f"step {progress.step}: {shown}", highlight=False)
