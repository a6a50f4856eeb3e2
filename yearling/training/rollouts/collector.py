"""What the reinforcement methods have in common: settings, and the rollouts that a step learns from.

Groups whose samples all earned the same teach nothing: they are left out and others are drawn in their place, a bounded number
of times. Truncated answers are masked, since nobody knows what they were going to say. What was drawn is recorded before
anything is learnt from it; a step that is made again reads the record. Holds no loss and no step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from yearling.errors import BadInput
from yearling.training.config import TrainingConfig
from yearling.training.losses.advantages import overlong_penalty
from yearling.training.losses.policy_gradient import CLIP_HIGH, CLIP_LOW
from yearling.training.policy.optimiser import Schedule
from yearling.training.rollouts.curriculum import PASS_RATE_BAND, Curriculum
from yearling.training.rollouts.runner import Rollout, RolloutConfig, RolloutRunner

log = logging.getLogger(__name__)

TRUNCATED_WARNING_SHARE = 0.1
"""Share of truncated answers above which a step says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforcementConfig(TrainingConfig):
    """A step draws `prompts` groups of `samples` answers. The KL cap compares the policy with its base by the mean of
    log π − log π_ref."""

    steps: int = 100
    prompts: int = 16
    samples: int = 8
    max_tokens: int = 64
    room: int = 0
    """Tokens of a whole episode after its prompt where the environment answers back; 0: four answers' worth."""
    temperature: float = 1.0
    attempts: int = 3
    """How often groups are drawn at most to fill a step with groups that teach."""
    truncated: Literal["mask", "score"] = "mask"
    overlong_tokens: int = 0
    """Answers that come nearer to `max_tokens` than this are punished more and more; needs truncated = score."""
    updates: int = 1
    """Passes over a step's rollouts, each with an update of its own."""
    clip_low: float = CLIP_LOW
    clip_high: float = CLIP_HIGH
    easy: float = PASS_RATE_BAND[1]
    hard: float = PASS_RATE_BAND[0]
    """Tasks are drawn rarely while their pass rate lies outside `hard` to `easy`."""
    budget_tokens: int = 2048
    """Tokens of a micro-batch: bounds memory, never changes a gradient."""
    validation_tasks: int = 64
    learning_rate: float = 2e-4
    schedule: Schedule = "constant"
    warmup: float = 0.02

    def __post_init__(self) -> None:
        if min(self.steps, self.prompts, self.attempts, self.updates, self.budget_tokens) < 1 or self.samples < 2:
            raise BadInput("Steps, prompts, attempts, updates must be at least 1, and samples at least 2.", param="samples")
        if not 0 <= self.hard < self.easy <= 1:
            raise BadInput("The band of pass rates must lie between 0 and 1.", param="hard")
        if self.overlong_tokens and self.truncated != "score":
            raise BadInput("A penalty on long answers needs them scored.", advice="Set truncated to `score`.")
        TrainingConfig.__post_init__(self)
        self.rollout_config()

    def rollout_config(self) -> RolloutConfig:
        return RolloutConfig(
            samples=self.samples, max_tokens=self.max_tokens, max_episode_tokens=self.room, temperature=self.temperature
        )

    def reward(self, rollout: Rollout) -> float:
        """1 for solved, 0 for everything else, partial credit included; less the penalty on long answers."""
        penalty = overlong_penalty(rollout.num_sampled_tokens, max_tokens=self.max_tokens, soft_tokens=self.overlong_tokens)
        return float(rollout.is_solved) + penalty

    def is_trainable(self, rollout: Rollout) -> bool:
        """Whether a rollout is learnt from."""
        return self.truncated == "score" or not rollout.truncated


class RolloutLog(Protocol):
    """Where a step's draws are kept before they are learnt from: a run folder."""

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, Any]], *, attempt: int = 0) -> None: ...

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, Any]] | None: ...


class InMemoryRolloutLog:
    """A log for measurements that nobody will resume."""

    def __init__(self) -> None:
        self.rollouts_by_attempt: dict[tuple[int, int], list[dict[str, Any]]] = {}

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, Any]], *, attempt: int = 0) -> None:
        self.rollouts_by_attempt[step, attempt] = [dict(rollout) for rollout in rollouts]

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, Any]] | None:
        return self.rollouts_by_attempt.get((step, attempt))


@dataclass(frozen=True, slots=True)
class StepRollouts:
    """A step's rollouts: `kept` are learnt from, `everything` was drawn."""

    trainable_rollouts: tuple[Rollout, ...]
    all_rollouts: tuple[Rollout, ...]
    metrics: dict[str, float]


class RolloutCollector:
    """Draws, records and sorts the rollouts of a step."""

    def __init__(
        self, config: ReinforcementConfig, runner: RolloutRunner, curriculum: Curriculum, rollout_log: RolloutLog
    ) -> None:
        self._config = config
        self._runner = runner
        self.curriculum = curriculum
        self._rollout_log = rollout_log

    def collect(self, step: int, *, refill: bool = True) -> StepRollouts:
        """The rollouts of a step, read where they were recorded and drawn where not. With `refill`, groups that teach nothing
        are replaced; without, every group is kept."""
        kept: list[Rollout] = []
        everything: list[Rollout] = []
        full = attempt = groups = 0
        while full < self._config.prompts and attempt < (self._config.attempts if refill else 1):
            tasks = self.curriculum.sample_tasks(self._config.prompts - full, step=step, attempt=attempt)
            found = self._rollout_log.read_rollouts(step, attempt=attempt)
            if found is None:
                drawn = self._runner.run(
                    tasks, self._config.rollout_config(), seed=self._config.seed, step=step, first_group=groups
                )
                self._rollout_log.record_rollouts(step, [rollout.to_json() for rollout in drawn], attempt=attempt)
            else:
                drawn = [Rollout.from_json(one) for one in found]
            everything += drawn
            groups += len(tasks)
            attempt += 1
            for members in group_rollouts(drawn):
                usable = [rollout for rollout in members if self._config.is_trainable(rollout)]
                if not refill or len({self._config.reward(rollout) for rollout in usable}) > 1:
                    kept += usable
                    full += 1
        self.curriculum.update(everything)
        return StepRollouts(tuple(kept), tuple(everything), self._step_metrics(everything, full, attempt))

    def validate(self) -> dict[str, float] | None:
        """The pass rate of the likeliest answers on tasks that are kept for it."""
        tasks = self.curriculum.validation_tasks(self._config.validation_tasks)
        if not tasks:
            return None
        config = RolloutConfig(samples=1, max_tokens=self._config.max_tokens, max_episode_tokens=self._config.room)
        rollouts = self._runner.run(tasks, config, seed=0, step=0, greedy=True)
        rate = sum(rollout.is_solved for rollout in rollouts) / len(rollouts)
        return {"score": rate}

    def _step_metrics(self, rollouts: Sequence[Rollout], num_groups: int, attempts: int) -> dict[str, float]:
        count = len(rollouts)
        cut = sum(rollout.truncated for rollout in rollouts) / count
        if cut > TRUNCATED_WARNING_SHARE:
            log.warning("%.0f %% of the answers were cut at their longest length: raise max_tokens.", 100 * cut)
        return {
            "reward": sum(self._config.reward(rollout) for rollout in rollouts) / count,
            "pass_rate": sum(rollout.is_solved for rollout in rollouts) / count,
            "truncated": cut,
            "length": sum(rollout.num_sampled_tokens for rollout in rollouts) / count,
            "rollouts": float(count),
            "teaching_groups": float(num_groups),
            "attempts": float(attempts),
        }


def group_rollouts(rollouts: Sequence[Rollout]) -> list[list[Rollout]]:
    """The rollouts of each group, in the order of their first."""
    groups: dict[int, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.group, []).append(rollout)
    return list(groups.values())
