"""`yearling bench learn`: whether reinforcement teaches a model what it did not know, on tasks that it never trained on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.cli.console import err, print_json, print_table
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.tasks import Environment, Task
    from yearling.training import TrainingProgress

Sources = dict[str, tuple[str, dict[str, Any]]]
"""Name -> (environment, its settings)."""


@dataclass(frozen=True)
class Exercise:
    """What is trained on, what else is examined (held-out kinds, or tasks that may be forgotten), and settings that suit it."""

    trained: Sources
    besides: Sources
    settings: dict[str, Any]


CHAIN_SUM_SPECS: Sources = {
    "chain_sum": ("reasoning_gym:chain_sum", {"settings": {"min_digits": 1, "max_digits": 1, "min_terms": 2, "max_terms": 2}})
}
TASKS = {
    "chain_sum": Exercise(
        CHAIN_SUM_SPECS,
        {},
        # Scored and not masked: who writes more than a number has not answered.
        {
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
    "running_totals": Exercise(
        {"running_totals": ("running_totals", {"terms": 6})},
        {},
        {"max_tokens": 32, "prompts": 8, "samples": 8, "truncated": "score", "learning_rate": 3e-4},
    ),
    "instructions": Exercise(
        {"constraints": ("instructions", {"kinds": "seen"})},
        {
            "held-out constraints": ("instructions", {"kinds": "held_out"}),
            "not trained: letter_counting": ("reasoning_gym:letter_counting", {}),
            "not trained: chain_sum": CHAIN_SUM_SPECS["chain_sum"],
        },
        # Scored and not masked: four in ten are cut at the start, and if only answers that end can fail, none will end.
        {"max_tokens": 96, "prompts": 8, "samples": 8, "attempts": 2, "learning_rate": 2e-4, "truncated": "score"},
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
    """See `yearling bench learn --help`."""
    from benchmarks.training.rl_experiment import run_rl_experiment
    from yearling.evals import wilson_interval
    from yearling.models import ModelLibrary
    from yearling.tasks import open_environment

    if task not in TASKS:
        raise BadInput(f"There is no learning task {task!r}.", advice=f"Tasks: {', '.join(TASKS)}.", param="task")
    settings = load_settings(data_dir=data_dir)
    chosen = ModelLibrary(settings.models_dir).get(model or settings.model)
    chosen_task = TASKS[task]
    environments = {name: open_environment(kind, **options) for name, (kind, options) in chosen_task.trained.items()}
    besides = {name: open_environment(kind, **options) for name, (kind, options) in chosen_task.besides.items()}
    exams = {name: _exam(environment, exam_tasks) for name, environment in {**environments, **besides}.items()}
    results = []
    for seed in (int(part) for part in seeds.split(",")):
        config = {"steps": 1000, **chosen_task.settings, **_given(setting), "seed": seed}
        folder = settings.data_dir / "bench" / f"learn-{method}-{task}-{seed}-{time.strftime('%Y%m%dT%H%M%S')}"
        found = run_rl_experiment(
            method,
            chosen,
            environments,
            config,
            folder,
            exams=exams,
            open_environment=open_environment,
            rank=rank,
            threads=threads,
            device=device,
            cpu_limit_s=60 * cpu_minutes,
            on_progress=_report,
        )
        results.append({"method": method, "task": task, "seed": seed, "run": str(folder), **asdict(found)})
        for name in exams:  # a later seed may never end
            before, after = found.before[name], found.after[name]
            err.print(f"seed {seed}, {name}: {before.drawn} of {before.tasks} drawn before, {after.drawn} after", highlight=False)
    if as_json:
        print_json(results)
        return

    def rate(numbers: dict[str, int], kind: str) -> str:
        interval = wilson_interval(numbers[kind], numbers["tasks"])
        return f"{numbers[kind] / numbers['tasks']:.2f} ({interval.low:.2f} to {interval.high:.2f})"

    rows = [
        [str(one["seed"]), name, when, rate(passed[name], "drawn"), rate(passed[name], "greedy"), f"{one['steps']}", cpu]
        for one in results
        for name in exams
        for when, passed, cpu in (("before", one["before"], ""), ("after", one["after"], f"{one['cpu_s'] / 60:.0f}"))
    ]
    print_table(["seed", "exam", "", "solved, drawn at 1", "solved, greedy", "steps", "CPU minutes"], rows)


def _exam(environment: Environment, count: int) -> list[Task]:
    """The first `count` different exam tasks of an environment; fewer where it has no more."""
    from yearling.tasks import exam_seed

    found: dict[str, Task] = {}
    for index in range(10 * count):
        drawn = environment.task(exam_seed(index))
        found.setdefault(drawn.key, drawn)
        if len(found) == count:
            break
    return list(found.values())


def _given(texts: list[str]) -> dict[str, Any]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"{text!r} sets nothing.", advice="Write --set NAME=VALUE.", param="set")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _report(progress: TrainingProgress) -> None:
    wanted = (
        "pass_rate",
        "reward",
        "kl",
        "entropy",
        "length",
        "truncated",
        "teaching_groups",
        "explained_variance",
        "rollouts_s",
    )
    shown = " ".join(f"{name} {progress.metrics[name]:.3f}" for name in (*wanted, "update_s") if name in progress.metrics)
    err.print(f"step {progress.step}: {shown}", highlight=False)
