"""Which tasks to try next: those that are sometimes solved.

A binary reward can teach at most H(p) bits a sample, p the pass rate: nothing from what always or never succeeds. Sources of
tasks ("arms": an environment at one difficulty, or one prompt with its grader) are drawn more often while their pass rate lies
in a band; the others are looked at now and then, since they change as the model learns. Knows neither models nor rewards
beyond solved or not.
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
from yearling.training.methods.protocol import step_generator
from yearling.training.rollouts.runner import Rollout

PASS_RATE_BAND = (0.2, 0.8)
_OUT_OF_BAND_WEIGHT = 0.1
"""Weight of an arm outside the band."""
_COUNT_DECAY = 0.8
"""What an arm's counts are worth after each step that tried it: the model that they were about has changed."""
VALIDATION_ONE_IN = 10
"""One task in this many, by its key, is kept for choosing the best checkpoint and never trained on."""
_MAX_SKIPS = 10_000


@dataclass(frozen=True, slots=True)
class Arm:
    """A source of tasks: `task(i)` for i from 0 up; `count` how many there are, None without end."""

    name: str
    task_at: Callable[[int], Task]
    num_tasks: int | None = None


@dataclass(slots=True)
class _ArmCounts:
    num_tried: float = 0.0
    num_solved: float = 0.0


@dataclass
class Curriculum:
    """Draws tasks from arms by what is known of their pass rates. Everything that changes is in `state_dict`."""

    arms: Sequence[Arm]
    seed: int
    pass_rate_band: tuple[float, float] = PASS_RATE_BAND
    _next_index: Counter[str] = field(default_factory=Counter)
    _counts: dict[str, _ArmCounts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise BadInput("Two sources of tasks have one name.", advice="Give each task once.")
        if all(_has_only_validation_tasks(arm) for arm in self.arms):
            raise BadInput("There are no tasks to train on.", advice="Give more: one in ten is kept for validation.")

    def sample_tasks(self, count: int, *, step: int, attempt: int = 0) -> list[tuple[str, Task]]:
        """`count` (arm, task) for training. An arm that has an end is drawn at most once in a call while others are left."""
        generator = step_generator(self.seed, step, purpose=1000 + attempt)
        arms = [arm for arm in self.arms if not _has_only_validation_tasks(arm)]
        weights = torch.tensor([self.sampling_weight(arm.name) for arm in arms], dtype=torch.float64)
        endless = any(arm.num_tasks is None for arm in arms)
        picked: list[int] = []
        while arms and len(picked) < count:
            size = count if endless else min(count - len(picked), len(arms))
            picked += torch.multinomial(weights, size, replacement=endless, generator=generator).tolist()
        return [self._next_task(arms[index]) for index in picked]

    def validation_tasks(self, count: int) -> list[tuple[str, Task]]:
        """The first `count` tasks that are kept for validation, the arms taking turns; fewer where there are no more."""
        found: dict[str, tuple[str, Task]] = {}
        for index in range(_MAX_SKIPS):
            for arm in self.arms:
                if arm.num_tasks is None or index < arm.num_tasks:
                    task = arm.task_at(index)
                    if is_validation_task(task.key) and len(found) < count:
                        found.setdefault(task.key, (arm.name, task))
            if len(found) >= count or all(arm.num_tasks is not None and index >= arm.num_tasks for arm in self.arms):
                break
        return list(found.values())

    def pass_rate(self, arm: str) -> float | None:
        """The estimate of an arm's pass rate, None before it was tried."""
        record = self._counts.get(arm)
        return None if record is None or record.num_tried == 0 else (record.num_solved + 0.5) / (record.num_tried + 1)

    def sampling_weight(self, arm: str) -> float:
        rate = self.pass_rate(arm)
        return 1.0 if rate is None or self.pass_rate_band[0] <= rate <= self.pass_rate_band[1] else _OUT_OF_BAND_WEIGHT

    def update(self, rollouts: Sequence[Rollout]) -> None:
        """Learn from one step's rollouts, those of dropped groups included."""
        for arm in sorted({rollout.arm for rollout in rollouts}):
            mine = [rollout for rollout in rollouts if rollout.arm == arm]
            record = self._counts.setdefault(arm, _ArmCounts())
            record.num_tried = _COUNT_DECAY * record.num_tried + len(mine)
            record.num_solved = _COUNT_DECAY * record.num_solved + sum(rollout.is_solved for rollout in mine)

    def state_dict(self) -> dict[str, Any]:
        records = {name: [record.num_tried, record.num_solved] for name, record in sorted(self._counts.items())}
        return {"next": dict(sorted(self._next_index.items())), "records": records}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next_index = Counter(state["next"])
        self._counts = {name: _ArmCounts(*record) for name, record in state["records"].items()}

    def _next_task(self, arm: Arm) -> tuple[str, Task]:
        for _ in range(_MAX_SKIPS):
            index = self._next_index[arm.name]
            self._next_index[arm.name] += 1
            task = arm.task_at(index if arm.num_tasks is None else index % arm.num_tasks)
            if not is_validation_task(task.key):
                return arm.name, task
        raise BadInput(f"{arm.name} has no tasks to train on.", advice="All of them are kept for validation: give more.")


def environment_arm(environment: Environment, *, name: str = "") -> Arm:
    """The training tasks of an environment, without end."""
    return Arm(name or environment.name, lambda index: environment.task(train_seed(index)))


def prompt_arms(tasks: Sequence[Task]) -> list[Arm]:
    """One arm for each task, so that each is tried by its own pass rate."""

    def single(task: Task) -> Arm:
        return Arm(task.key, lambda index: task, 1)

    return [single(task) for task in tasks]


def is_validation_task(key: str) -> bool:
    """Whether a task is kept for validation, decided by its key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % VALIDATION_ONE_IN == 0


def _has_only_validation_tasks(arm: Arm) -> bool:
    return arm.num_tasks is not None and all(is_validation_task(arm.task_at(index).key) for index in range(arm.num_tasks))
