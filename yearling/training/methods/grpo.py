"""GRPO: the advantage of an answer is its reward relative to its group, the answers to the same prompt (2402.03300).

Differs from the paper: advantages are not divided by the group's standard deviation (2503.20783); the clip is wider above than
below, the loss is a mean over all tokens of the step, and groups of equal rewards are replaced (2503.14476); the optional KL
penalty is k2. The policy samples its own rollouts, so ρ is 1 in the first pass up to rounding. If another engine sampled them,
the importance weights would correct for it.

Shapes: N sampled tokens of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from yearling.training.data.packing import pack_examples
from yearling.training.losses.advantages import group_relative_advantages, leave_one_out_advantages
from yearling.training.losses.kl import k2_loss
from yearling.training.losses.policy_gradient import clipped_policy_loss, truncated_importance_weights
from yearling.training.methods.online import (
    OnlineMethod,
    accumulate_metrics,
    measure_kl,
    num_sampled_tokens,
    sampler_logprobs,
)
from yearling.training.rollouts.collector import ReinforcementConfig
from yearling.training.rollouts.runner import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoConfig(ReinforcementConfig):
    """Settings of GRPO. Raises BadInput if a setting is out of range."""

    leave_one_out: bool = False
    """Compare each answer with the mean of the other answers (RLOO, 2402.14740) instead of the mean of all."""


class Grpo(OnlineMethod[GrpoConfig]):
    """GRPO. The loss is the mean over the sampled tokens of the whole step."""

    name = "grpo"

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number)
        rollouts_s = time.perf_counter() - started
        metrics = dict(collected.metrics)
        rollouts = collected.trainable_rollouts
        if not rollouts:
            return {**metrics, "tokens": 0.0, "rollouts_s": rollouts_s}

        advantages = self._advantages(rollouts)
        examples = [rollout.to_example() for rollout in rollouts]
        batches = pack_examples(examples, budget_tokens=self.config.budget_tokens, split_groups=True)
        num_tokens = num_sampled_tokens(rollouts)
        old_logps: list[Tensor] = []
        for update in range(self.config.updates):
            totals: dict[str, float] = {}
            for index, batch in enumerate(batches):
                logps_N, entropy_N = self.policy.logprobs_and_entropy(batch, temperature=self.config.temperature)
                if update == 0:
                    old_logps.append(logps_N.detach())
                old_N = old_logps[index]
                sampled_N = sampler_logprobs(rollouts, batch).to(logps_N)
                policy_loss = clipped_policy_loss(
                    logps_N,
                    old_N,
                    advantages.to(logps_N)[batch.owners_N.to(logps_N.device)],
                    denominator=num_tokens,
                    weights_N=truncated_importance_weights(old_N, sampled_N),
                    clip_low=self.config.clip_low,
                    clip_high=self.config.clip_high,
                )
                loss = policy_loss.loss
                if self.config.kl_mode != "off":
                    reference_N = self.policy.reference_logprobs(batch, temperature=self.config.temperature)
                    kl_loss = k2_loss(logps_N, reference_N, denominator=num_tokens)
                    accumulate_metrics(totals, kl_loss.metrics)
                    if self.config.kl_mode == "penalise":
                        loss = loss + self.config.kl_weight * kl_loss.loss
                loss.backward()  # type: ignore[no-untyped-call]
                accumulate_metrics(totals, {**policy_loss.metrics, "loss": float(loss.detach())})
                if update == 0:
                    entropy = float(entropy_N.sum()) / num_tokens
                    engine_ratio = float((old_N - sampled_N).exp().sum()) / num_tokens
                    accumulate_metrics(totals, {"entropy": entropy, "engine_ratio": engine_ratio})
            metrics |= totals
            if self.stop_at_kl_limit(number, totals.get("kl", 0.0)):
                break
            metrics |= self._optimiser.step(number)
        if self.config.kl_mode == "off":
            metrics["kl"] = measure_kl(self.policy, rollouts, batches, old_logps, self.config.temperature)
        update_s = time.perf_counter() - started - rollouts_s
        tokens = num_sampled_tokens(collected.all_rollouts)
        return {**metrics, "tokens": tokens, "rollouts_s": rollouts_s, "update_s": update_s}

    def _advantages(self, rollouts: Sequence[Rollout]) -> Tensor:
        """The advantage of each rollout, in float64."""
        rewards = torch.tensor([self.config.reward(rollout) for rollout in rollouts], dtype=torch.float64)
        groups = torch.tensor([rollout.group for rollout in rollouts])
        return (
            leave_one_out_advantages(rewards, groups) if self.config.leave_one_out else group_relative_advantages(rewards, groups)
        )
