"""Collects the rollouts that a step of reinforcement learning learns from, and holds the settings of all online methods.

A group of samples with equal rewards teaches nothing: it is left out and replaced by another group, a bounded number of times.
Truncated answers are masked, because their reward is unknown. Rollouts are recorded before anything is learnt from them, and a
step that is repeated reads the record. Holds no loss and no step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from yearling.errors import BadInput
from yearling.training.config import TrainingConfig
from yearling.training.losses.advantages import overlong_penalty
from yearling.training.losses.policy_gradient import CLIP_HIGH, CLIP_LOW
from yearling.training.policy.optimiser import Schedule
from yearling.training.rollouts.curriculum import PASS_RATE_BAND, Curriculum
from yearling.training.rollouts.runner import Rollout, RolloutConfig, RolloutRunner

log = logging.getLogger(__name__)

TRUNCATED_WARNING_SHARE = 0.1
"""A step logs a warning if it truncates a larger share of its answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforcementConfig(TrainingConfig):
    """Settings of online methods. A step samples `prompts` groups of `samples` answers each. The KL divergence from the base is
    measured as the mean of log π − log π_ref. Raises BadInput if a setting is out of range."""

    steps: int = 100
    """Number of steps."""
    prompts: int = 16
    """Groups in one step, each of one prompt."""
    samples: int = 8
    """Answers in one group."""
    max_tokens: int = 64
    """Longest answer in tokens."""
    room: int = 0
    """Maximum tokens of an episode after its prompt, if the environment replies to answers; 0 is four times max_tokens."""
    temperature: float = 1.0
    """Sampling temperature."""
    attempts: int = 3
    """Maximum rounds of sampling to fill a step with groups of different rewards."""
    truncated: Literal["mask", "score"] = "mask"
    """Truncated answers: leave them out, or score them like other answers."""
    overlong_tokens: int = 0
    """Width of the range below max_tokens in which longer answers are penalised more; needs truncated = score."""
    updates: int = 1
    """Passes over a step's rollouts, each with its own update."""
    clip_low: float = CLIP_LOW
    """How far the policy ratio may fall below 1."""
    clip_high: float = CLIP_HIGH
    """How far the policy ratio may rise above 1."""
    easy: float = PASS_RATE_BAND[1]
    """Tasks with a higher pass rate are sampled rarely."""
    hard: float = PASS_RATE_BAND[0]
    """Tasks with a lower pass rate are sampled rarely."""
    budget_tokens: int = 2048
    """Tokens of a micro-batch. It bounds memory and never changes a gradient."""
    validation_tasks: int = 64
    """Maximum number of tasks in a validation."""
    learning_rate: float = 2e-4
    schedule: Schedule = "constant"
    warmup: float = 0.02

    def __post_init__(self) -> None:
        if min(self.steps, self.prompts, self.attempts, self.updates, self.budget_tokens) < 1 or self.samples < 2:
            raise BadInput(
                "steps, prompts, attempts, updates and budget_tokens must be at least 1, and samples at least 2.", param="samples"
            )
        if not 0 <= self.hard < self.easy <= 1:
            raise BadInput("hard and easy must be between 0 and 1, and hard must be below easy.", param="hard")
        if self.overlong_tokens and self.truncated != "score":
            raise BadInput("overlong_tokens needs truncated answers to be scored.", advice="Set truncated to `score`.")
        TrainingConfig.__post_init__(self)
        self.rollout_config()

    def rollout_config(self) -> RolloutConfig:
        """How to sample the rollouts of a step."""
        return RolloutConfig(
            samples=self.samples, max_tokens=self.max_tokens, max_episode_tokens=self.room, temperature=self.temperature
        )

    def reward(self, rollout: Rollout) -> float:
        """1 for a solved task, 0 for anything else, partial credit included; minus the penalty on long answers."""
        penalty = overlong_penalty(rollout.num_sampled_tokens, max_tokens=self.max_tokens, soft_tokens=self.overlong_tokens)
        return float(rollout.is_solved) + penalty

    def is_trainable(self, rollout: Rollout) -> bool:
        """Whether a step may learn from a rollout."""
        return self.truncated == "score" or not rollout.truncated


class RolloutLog(Protocol):
    """Where the rollouts of a step are recorded before the step learns from them, such as a run folder."""

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, object]], *, attempt: int = 0) -> None:
        """Record the rollouts of one attempt of a step, as JSON values."""
        ...

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, object]] | None:
        """The recorded rollouts, or None if there are none."""
        ...


class InMemoryRolloutLog:
    """A rollout log for tests and measurements, which are never resumed."""

    def __init__(self) -> None:
        self.rollouts_by_attempt: dict[tuple[int, int], list[dict[str, object]]] = {}
        """(step, attempt) -> rollouts."""

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, object]], *, attempt: int = 0) -> None:
        """See `RolloutLog`."""
        self.rollouts_by_attempt[step, attempt] = [dict(rollout) for rollout in rollouts]

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, object]] | None:
        """See `RolloutLog`."""
        return self.rollouts_by_attempt.get((step, attempt))


@dataclass(frozen=True, slots=True)
class StepRollouts:
    """The rollouts of a step: those to learn from, all that were sampled, and their metrics."""

    trainable_rollouts: tuple[Rollout, ...]
    all_rollouts: tuple[Rollout, ...]
    metrics: dict[str, float]


class RolloutCollector:
    """Samples, records and selects the rollouts of each step."""

    def __init__(
        self, config: ReinforcementConfig, runner: RolloutRunner, curriculum: Curriculum, rollout_log: RolloutLog
    ) -> None:
        self._config = config
        self._runner = runner
        self.curriculum = curriculum
        self._rollout_log = rollout_log

    def collect(self, step: int, *, refill: bool = True) -> StepRollouts:
        """The rollouts of a step: read if they were recorded, else sampled and recorded.

        With `refill`, groups of equal rewards are replaced by further groups. Without it, every group is kept."""
        trainable: list[Rollout] = []
        all_rollouts: list[Rollout] = []
        num_kept_groups = attempt = num_groups = 0
        while num_kept_groups < self._config.prompts and attempt < (self._config.attempts if refill else 1):
            tasks = self.curriculum.sample_tasks(self._config.prompts - num_kept_groups, step=step, attempt=attempt)
            recorded = self._rollout_log.read_rollouts(step, attempt=attempt)
            if recorded is None:
                rollouts = self._runner.run(
                    tasks, self._config.rollout_config(), seed=self._config.seed, step=step, first_group=num_groups
                )
                self._rollout_log.record_rollouts(step, [rollout.to_json() for rollout in rollouts], attempt=attempt)
            else:
                rollouts = [Rollout.from_json(value) for value in recorded]
            all_rollouts += rollouts
            num_groups += len(tasks)
            attempt += 1
            for group in group_rollouts(rollouts):
                usable = [rollout for rollout in group if self._config.is_trainable(rollout)]
                if not refill or len({self._config.reward(rollout) for rollout in usable}) > 1:
                    trainable += usable
                    num_kept_groups += 1
        self.curriculum.update(all_rollouts)
        metrics = self._step_metrics(all_rollouts, num_kept_groups, attempt)
        return StepRollouts(tuple(trainable), tuple(all_rollouts), metrics)

    def validate(self) -> dict[str, float] | None:
        """`score` is the pass rate of greedy answers to the validation tasks. None if there are no validation tasks."""
        tasks = self.curriculum.validation_tasks(self._config.validation_tasks)
        if not tasks:
            return None
        config = RolloutConfig(samples=1, max_tokens=self._config.max_tokens, max_episode_tokens=self._config.room)
        rollouts = self._runner.run(tasks, config, seed=0, step=0, greedy=True)
        pass_rate = sum(rollout.is_solved for rollout in rollouts) / len(rollouts)
        return {"score": pass_rate}

    def _step_metrics(self, rollouts: Sequence[Rollout], num_kept_groups: int, attempts: int) -> dict[str, float]:
        count = len(rollouts)
        truncated = sum(rollout.truncated for rollout in rollouts) / count
        if truncated > TRUNCATED_WARNING_SHARE:
            log.warning("%.0f %% of the answers were truncated: raise max_tokens.", 100 * truncated)
        return {
            "reward": sum(self._config.reward(rollout) for rollout in rollouts) / count,
            "pass_rate": sum(rollout.is_solved for rollout in rollouts) / count,
            "truncated": truncated,
            "length": sum(rollout.num_sampled_tokens for rollout in rollouts) / count,
            "rollouts": float(count),
            "teaching_groups": float(num_kept_groups),
            "attempts": float(attempts),
        }


def group_rollouts(rollouts: Sequence[Rollout]) -> list[list[Rollout]]:
    """The rollouts by group, in the order in which the groups first appear."""
    groups: dict[int, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.group, []).append(rollout)
    return list(groups.values())
