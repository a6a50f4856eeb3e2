"""Chooses the tasks to try next: those that the policy solves sometimes, but not always.

A binary reward teaches at most H(p) bits per sample at the pass rate p, so nothing is learnt from tasks that always or never
succeed. The sources of tasks are called arms: an environment at one difficulty, or one prompt with its grader. Arms with a pass
rate inside a band are sampled often. The others are sampled now and then, because their pass rates change as the policy learns.
Independent of models; the only reward is solved or not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from yearling.errors import BadInput
from yearling.tasks import Environment, Task, train_seed
from yearling.training.rollouts.runner import Rollout
from yearling.training.seeding import step_generator

PASS_RATE_BAND = (0.2, 0.8)
"""Pass rates from which a policy learns well."""
_OUT_OF_BAND_WEIGHT = 0.1
"""Sampling weight of an arm outside the band."""
_COUNT_DECAY = 0.8
"""Factor on an arm's counts at each step that tries it: older counts describe an older policy."""
VALIDATION_ONE_IN = 10
"""One task in this many, chosen by its key, is held out for validation."""
_MAX_SKIPS = 10_000
"""Maximum number of tasks of an arm to inspect in search of one."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A source of tasks: `task_at(i)` for i from 0 up. `num_tasks` is None for an endless source."""

    name: str
    task_at: Callable[[int], Task]
    num_tasks: int | None = None


@dataclass(slots=True)
class _ArmCounts:
    num_tried: float = 0.0
    num_solved: float = 0.0


@dataclass
class Curriculum:
    """Samples tasks from arms by their estimated pass rates. Everything that changes is in `state_dict`.

    Raises BadInput if two arms have the same name, or if there are no tasks to train on."""

    arms: Sequence[Arm]
    seed: int
    pass_rate_band: tuple[float, float] = PASS_RATE_BAND
    _next_index: Counter[str] = field(default_factory=Counter)
    _counts: dict[str, _ArmCounts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise BadInput("Two sources of tasks have the same name.", advice="Give each task once.")
        if all(_has_only_validation_tasks(arm) for arm in self.arms):
            raise BadInput("There are no tasks to train on.", advice="Give more tasks: one in ten is held out for validation.")

    def sample_tasks(self, count: int, *, step: int, attempt: int = 0) -> list[tuple[str, Task]]:
        """`count` training tasks, each as (arm, task). A finite arm repeats within a call only after all other arms were taken.

        Raises BadInput if an arm turns out to have no training task."""
        generator = step_generator(self.seed, step, purpose=1000 + attempt)
        arms = [arm for arm in self.arms if not _has_only_validation_tasks(arm)]
        weights = torch.tensor([self.sampling_weight(arm.name) for arm in arms], dtype=torch.float64)
        has_endless = any(arm.num_tasks is None for arm in arms)
        chosen: list[int] = []
        while arms and len(chosen) < count:
            size = count if has_endless else min(count - len(chosen), len(arms))
            chosen += torch.multinomial(weights, size, replacement=has_endless, generator=generator).tolist()
        return [self._next_task(arms[index]) for index in chosen]

    def validation_tasks(self, count: int) -> list[tuple[str, Task]]:
        """The first `count` validation tasks, each as (arm, task), alternating between arms. Fewer if there are no more."""
        by_key: dict[str, tuple[str, Task]] = {}
        for index in range(_MAX_SKIPS):
            for arm in self.arms:
                if arm.num_tasks is None or index < arm.num_tasks:
                    task = arm.task_at(index)
                    if is_validation_task(task.key) and len(by_key) < count:
                        by_key.setdefault(task.key, (arm.name, task))
            if len(by_key) >= count or all(arm.num_tasks is not None and index >= arm.num_tasks for arm in self.arms):
                break
        return list(by_key.values())

    def pass_rate(self, arm: str) -> float | None:
        """The estimated pass rate of an arm, None before its first try."""
        counts = self._counts.get(arm)
        return None if counts is None or counts.num_tried == 0 else (counts.num_solved + 0.5) / (counts.num_tried + 1)

    def sampling_weight(self, arm: str) -> float:
        """The relative frequency with which an arm is sampled."""
        rate = self.pass_rate(arm)
        return 1.0 if rate is None or self.pass_rate_band[0] <= rate <= self.pass_rate_band[1] else _OUT_OF_BAND_WEIGHT

    def update(self, rollouts: Sequence[Rollout]) -> None:
        """Update the pass rates from all rollouts of a step, those of replaced groups included."""
        for arm in sorted({rollout.arm for rollout in rollouts}):
            arm_rollouts = [rollout for rollout in rollouts if rollout.arm == arm]
            counts = self._counts.setdefault(arm, _ArmCounts())
            counts.num_tried = _COUNT_DECAY * counts.num_tried + len(arm_rollouts)
            counts.num_solved = _COUNT_DECAY * counts.num_solved + sum(rollout.is_solved for rollout in arm_rollouts)

    def state_dict(self) -> dict[str, object]:
        """The next task and the counts of each arm, as JSON values."""
        records = {name: [counts.num_tried, counts.num_solved] for name, counts in sorted(self._counts.items())}
        return {"next": dict(sorted(self._next_index.items())), "records": records}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._next_index = Counter(state["next"])
        self._counts = {name: _ArmCounts(*record) for name, record in state["records"].items()}

    def _next_task(self, arm: Arm) -> tuple[str, Task]:
        for _ in range(_MAX_SKIPS):
            index = self._next_index[arm.name]
            self._next_index[arm.name] += 1
            task = arm.task_at(index if arm.num_tasks is None else index % arm.num_tasks)
            if not is_validation_task(task.key):
                return arm.name, task
        raise BadInput(f"{arm.name} has no tasks to train on.", advice="All its tasks are held out for validation. Give more.")


def environment_arm(environment: Environment, *, name: str = "") -> Arm:
    """An endless arm of an environment's training tasks."""
    return Arm(name or environment.name, lambda index: environment.task(train_seed(index)))


def prompt_arms(tasks: Sequence[Task]) -> list[Arm]:
    """One arm for each task, so that each has its own pass rate."""

    def single_task_arm(task: Task) -> Arm:
        return Arm(task.key, lambda index: task, 1)

    return [single_task_arm(task) for task in tasks]


def is_validation_task(key: str) -> bool:
    """Whether a task is held out for validation. Its key alone decides."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % VALIDATION_ONE_IN == 0


def _has_only_validation_tasks(arm: Arm) -> bool:
    return arm.num_tasks is not None and all(is_validation_task(arm.task_at(index).key) for index in range(arm.num_tasks))
