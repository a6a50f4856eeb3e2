"""What GRPO, PPO and rejection sampling share: rollouts, validation, the KL limit, and state.

Holds no loss and no step: each method's module shows its whole step in one function.

Shapes: N sampled tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from yearling.training.data.packing import PackedBatch, pack_examples
from yearling.training.methods.base import BaseMethod, Stateful
from yearling.training.policy.optimiser import Optimiser
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector
from yearling.training.rollouts.runner import Rollout

NUM_KL_ROLLOUTS = 8
"""Rollouts that the KL divergence from the base is measured on while it is only reported."""

ConfigT = TypeVar("ConfigT", bound=ReinforcementConfig)


class OnlineMethod(BaseMethod, Generic[ConfigT]):
    """Policy, optimiser and rollout collector of a method that learns from its own rollouts."""

    def __init__(self, config: ConfigT, policy: Policy, collector: RolloutCollector, **parts: Stateful) -> None:
        """`parts` are further parts of the state by their names in a checkpoint."""
        self.config = config
        self.policy = policy
        self.total_steps = config.steps
        self._collector = collector
        self._optimiser = Optimiser(policy.parameters(), config.optimiser_config(), config.steps)
        super().__init__(policy=policy, optimiser=self._optimiser, **parts, curriculum=collector.curriculum)

    def validate(self) -> dict[str, float] | None:
        """`score` is the pass rate of greedy answers to validation tasks."""
        return self._collector.validate()

    def stop_at_kl_limit(self, step: int, kl: float) -> bool:
        """Whether `kl`, in nats per token, exceeds the limit of the mode `stop`.

        If so, the gradients are discarded and no later step changes weights."""
        exceeds_limit = self.config.kl_mode == "stop" and kl > self.config.kl_limit
        if exceeds_limit:
            self.kl_stopped_at_step = step
            self.policy.decoder.zero_grad(set_to_none=True)
        return exceeds_limit


def num_sampled_tokens(rollouts: Sequence[Rollout]) -> float:
    """The number of tokens that the model sampled in all of these rollouts, as a metric."""
    return float(sum(rollout.num_sampled_tokens for rollout in rollouts))


def sampler_logprobs(rollouts: Sequence[Rollout], batch: PackedBatch) -> Tensor:
    """The sampler's log-probabilities of a batch's targets, (N,), in float64."""
    return torch.tensor([logprob for index in batch.example_indices for logprob in rollouts[index].logprobs], dtype=torch.float64)


def split_by_rollout(batches: Sequence[PackedBatch], values: Sequence[Tensor], rollouts: Sequence[Rollout]) -> list[Tensor]:
    """The values of sampled tokens, given by batch as (N,), as one tensor per rollout in the order of `rollouts`."""
    by_rollout: dict[int, Tensor] = {}
    for batch, values_N in zip(batches, values, strict=True):
        lengths = [rollouts[index].num_sampled_tokens for index in batch.example_indices]
        by_rollout |= zip(batch.example_indices, torch.split(values_N, lengths), strict=True)
    return [by_rollout[index] for index in range(len(rollouts))]


def measure_kl(
    policy: Policy, rollouts: Sequence[Rollout], batches: Sequence[PackedBatch], logps: Sequence[Tensor], temperature: float
) -> float:
    """Mean of log π − log π_ref over the sampled tokens of a few rollouts, in nats per token.

    `logps` are the policy's log-probabilities by batch, each (N,), for the policy that sampled the rollouts."""
    chosen = range(0, len(rollouts), -(-len(rollouts) // NUM_KL_ROLLOUTS))
    logps_by_rollout = split_by_rollout(batches, logps, rollouts)
    total, count = 0.0, 0
    examples = [rollouts[index].to_example() for index in chosen]
    for batch in pack_examples(examples, budget_tokens=2048, split_groups=True):
        reference_N = policy.reference_logprobs(batch, temperature=temperature)
        logps_N = torch.cat([logps_by_rollout[chosen[slot]] for slot in batch.example_indices])
        total += float((logps_N - reference_N).sum())
        count += batch.num_targets
    return total / count


def accumulate_metrics(totals: dict[str, float], metrics: Mapping[str, float]) -> None:
    """Add metrics to their totals."""
    for name, value in metrics.items():
        totals[name] = totals.get(name, 0.0) + value
