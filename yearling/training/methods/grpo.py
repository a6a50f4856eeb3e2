"""GRPO: answers to one prompt are judged by their group's mean (2402.03300).

Departures from the paper: advantages are not divided by the group's standard deviation (2503.20783); the clip is wider above
than below, the loss is a mean over all tokens of the step, groups of one reward are replaced (2503.14476); the KL to the base,
where it is wanted, enters as k2. The network that learns also draws, so that ρ is 1 in the first pass up to rounding; were
another engine to draw, `engine_ratio` would correct for it.

Shapes: N drawn tokens of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from yearling.training.data.packing import PackedBatch, pack_examples
from yearling.training.losses.advantages import group_relative_advantages, leave_one_out_advantages
from yearling.training.losses.policy_gradient import clipped_policy_loss, k2_loss, truncated_importance_weights
from yearling.training.methods.base import BaseMethod
from yearling.training.policy.optimiser import Optimiser
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector
from yearling.training.rollouts.runner import Rollout

NUM_KL_ROLLOUTS = 8
"""Rollouts on which the KL to the base is measured where nothing depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoConfig(ReinforcementConfig):
    leave_one_out: bool = False
    """Judge each answer by the mean of the others (RLOO, 2402.14740) and not by that of all."""


class Grpo(BaseMethod):
    """A training method (`method.py`)."""

    name = "grpo"

    def __init__(self, config: GrpoConfig, policy: Policy, collector: RolloutCollector) -> None:
        self.config = config
        self.policy = policy
        self.total_steps = config.steps
        self._collector = collector
        self._optimiser = Optimiser(policy.parameters(), config.optimiser_config(), config.steps)
        super().__init__(policy=policy, optimiser=self._optimiser, curriculum=collector.curriculum)

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number)
        drawn_s = time.perf_counter() - started
        figures = dict(collected.metrics)
        kept = collected.trainable_rollouts
        if not kept:
            return {**figures, "tokens": 0.0, "rollouts_s": drawn_s}

        advantages = self._advantages(kept)
        batches = pack_examples([one.to_example() for one in kept], budget_tokens=self.config.budget_tokens, split_groups=True)
        tokens = float(sum(one.num_sampled_tokens for one in kept))
        old: list[Tensor] = []
        for update in range(self.config.updates):
            sums: dict[str, float] = {}
            for index, batch in enumerate(batches):
                logps_N, entropy_N = self.policy.logprobs_and_entropy(batch, temperature=self.config.temperature)
                if update == 0:
                    old.append(logps_N.detach())
                sampled_N = sampler_logprobs(kept, batch).to(logps_N)
                weights_N = truncated_importance_weights(old[index], sampled_N)
                part = clipped_policy_loss(
                    logps_N,
                    old[index],
                    advantages.to(logps_N)[batch.owners_N.to(logps_N.device)],
                    denominator=tokens,
                    weights_N=weights_N,
                    clip_low=self.config.clip_low,
                    clip_high=self.config.clip_high,
                )
                loss = part.loss
                if self.config.kl_mode != "off":
                    reference_N = self.policy.reference_logprobs(batch, temperature=self.config.temperature)
                    near = k2_loss(logps_N, reference_N, denominator=tokens)
                    accumulate_metrics(sums, near.metrics)
                    if self.config.kl_mode == "penalise":
                        loss = loss + self.config.kl_weight * near.loss
                loss.backward()  # type: ignore[no-untyped-call]
                accumulate_metrics(sums, part.metrics)
                accumulate_metrics(sums, {"loss": float(loss.detach())})
                if update == 0:
                    accumulate_metrics(sums, {"entropy": float(entropy_N.sum()) / tokens})
                    accumulate_metrics(sums, {"engine_ratio": float((old[index] - sampled_N).exp().sum()) / tokens})
            figures |= sums
            if self.config.kl_mode == "stop" and sums["kl"] > self.config.kl_limit:
                self.kl_stopped_at_step = number
                self.policy.decoder.zero_grad(set_to_none=True)
                break
            figures |= self._optimiser.step(number)
        if self.config.kl_mode == "off":
            figures["kl"] = measure_kl(self.policy, kept, batches, old, self.config.temperature)
        learnt_s = time.perf_counter() - started - drawn_s
        drawn = float(sum(one.num_sampled_tokens for one in collected.all_rollouts))
        return {**figures, "tokens": drawn, "rollouts_s": drawn_s, "update_s": learnt_s}

    def validate(self) -> dict[str, float] | None:
        return self._collector.validate()

    def _advantages(self, kept: tuple[Rollout, ...]) -> Tensor:
        rewards = torch.tensor([self.config.reward(one) for one in kept], dtype=torch.float64)
        groups = torch.tensor([one.group for one in kept])
        return (leave_one_out_advantages if self.config.leave_one_out else group_relative_advantages)(rewards, groups)


def sampler_logprobs(rollouts: tuple[Rollout, ...], batch: PackedBatch) -> Tensor:
    """The sampler's log-probabilities of a batch's targets, (N,)."""
    return torch.tensor([value for owner in batch.example_indices for value in rollouts[owner].logprobs], dtype=torch.float64)


def measure_kl(
    policy: Policy, rollouts: tuple[Rollout, ...], batches: list[PackedBatch], logps: list[Tensor], temperature: float
) -> float:
    """Mean of log π − log π_ref over the tokens of a few rollouts, in nats a token, for the policy that drew them."""
    some = range(0, len(rollouts), -(-len(rollouts) // NUM_KL_ROLLOUTS))
    mine: dict[int, Tensor] = {}
    for batch, values_N in zip(batches, logps, strict=True):
        mine |= zip(
            batch.example_indices,
            torch.split(values_N, [rollouts[one].num_sampled_tokens for one in batch.example_indices]),
            strict=True,
        )
    total, count = 0.0, 0
    for batch in pack_examples([rollouts[one].to_example() for one in some], budget_tokens=2048, split_groups=True):
        reference_N = policy.reference_logprobs(batch, temperature=temperature)
        total += float((torch.cat([mine[some[owner]] for owner in batch.example_indices]) - reference_N).sum())
        count += batch.num_targets
    return total / count


def accumulate_metrics(totals: dict[str, float], metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        totals[name] = totals.get(name, 0.0) + value
