"""PPO with a value head: each token has an advantage of its own, instead of one per answer as in GRPO (1707.06347).

It suits long or multi-turn tasks, where the mean of a group cannot tell which step went wrong. The value head reads the policy's
final hidden states: the state from which a token is predicted also predicts the reward of the answer from there on. The head is
trained alone first, on rollouts of the unchanged policy, because an untrained head spoils the first updates (VC-PPO, 2503.01491).
It always learns from complete returns (λ = 1), while advantages use λ of the settings. Advantages are not normalised. Groups are
not refilled: the head gives an answer an advantage even if its whole group earned the same reward.

Shapes: N sampled tokens of a micro-batch, B episodes, T sampled tokens of the longest episode, E model width.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from yearling.errors import BadInput
from yearling.training.data.packing import PackedBatch, pack_examples
from yearling.training.losses.advantages import explained_variance, gae
from yearling.training.losses.kl import k1
from yearling.training.losses.policy_gradient import clipped_policy_loss, clipped_value_loss, truncated_importance_weights
from yearling.training.methods.online import (
    OnlineMethod,
    accumulate_metrics,
    measure_kl,
    num_sampled_tokens,
    sampler_logprobs,
    split_by_rollout,
)
from yearling.training.policy.optimiser import Optimiser, OptimiserConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector
from yearling.training.rollouts.runner import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoConfig(ReinforcementConfig):
    """Settings of PPO. Raises BadInput if a setting is out of range."""

    discount: float = 1.0
    """γ: the weight of a reward one token later."""
    trace: float = 0.95
    """λ of generalised advantage estimation."""
    value_warmup: int = 5
    """Steps at the start that train the value head alone."""
    value_passes: int = 20
    """Passes over a step's rollouts during the warm-up of the value head."""
    value_rate: float = 1e-3
    """Learning rate of the value head."""
    value_weight: float = 0.1
    """Weight of the value loss beside the policy loss in the shared trunk."""
    value_clip: float = 0.2
    """Maximum change of a value in one step."""

    def __post_init__(self) -> None:
        ReinforcementConfig.__post_init__(self)
        if not (0 < self.discount <= 1 and 0 <= self.trace <= 1):
            raise BadInput("discount must be above 0 and at most 1, and trace must be between 0 and 1.", param="trace")
        if self.value_warmup < 0 or self.value_passes < 1 or self.value_rate <= 0 or self.value_weight < 0:
            raise BadInput(
                "value_warmup and value_weight must not be negative; value_passes and value_rate must be positive.",
                param="value_warmup",
            )


class ValueHead(nn.Module):
    """Predicts the reward still to come from the hidden state before each token. It is 0 everywhere until it is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden_NE: Tensor) -> Tensor:
        """Values, (N,)."""
        values_N: Tensor = self.out(self.norm(hidden_NE.to(self.out.weight.dtype)))[:, 0]
        return values_N


class Ppo(OnlineMethod[PpoConfig]):
    """PPO. Policy and value loss are means over the sampled tokens of the whole step."""

    name = "ppo"

    def __init__(self, config: PpoConfig, policy: Policy, collector: RolloutCollector) -> None:
        dtype = torch.promote_types(policy.decoder.dtype, torch.float32)
        self.head = ValueHead(policy.decoder.config.hidden_size).to(policy.device, dtype)
        head_config = OptimiserConfig(learning_rate=config.value_rate, schedule="constant", warmup=0.0)
        self._head_optimiser = Optimiser(self.head.parameters(), head_config, config.steps)
        super().__init__(config, policy, collector, head=self.head, head_optimiser=self._head_optimiser)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number, refill=False)
        rollouts_s = time.perf_counter() - started
        metrics = dict(collected.metrics)
        tokens = num_sampled_tokens(collected.all_rollouts)
        rollouts = collected.trainable_rollouts
        if not rollouts:
            return {**metrics, "tokens": tokens, "rollouts_s": rollouts_s}

        examples = [rollout.to_example() for rollout in rollouts]
        batches = pack_examples(examples, budget_tokens=self.config.budget_tokens, split_groups=True)
        num_tokens = num_sampled_tokens(rollouts)
        old_outputs = [self._evaluate_batch(batch) for batch in batches]
        old_logps = [logps_N for _, logps_N, _ in old_outputs]
        values = split_by_rollout(batches, [values_N for _, _, values_N in old_outputs], rollouts)
        penalties = self._kl_penalties(batches, old_logps, rollouts)
        rewards = [torch.zeros_like(value) for value in values]
        for rollout, reward, penalty in zip(rollouts, rewards, penalties, strict=True):
            reward -= self.config.kl_weight * penalty if self.config.kl_mode == "penalise" else 0.0
            reward[-1] += self.config.reward(rollout)
        advantages, _ = gae_by_rollout(rewards, values, discount=self.config.discount, gae_lambda=self.config.trace)
        _, returns = gae_by_rollout(rewards, values, discount=self.config.discount, gae_lambda=1.0)
        metrics["explained_variance"] = explained_variance(torch.cat(values), torch.cat(returns))
        metrics["value"] = float(torch.cat(values).mean())
        if self.config.kl_mode != "off":
            metrics["kl"] = float(torch.cat(penalties).sum()) / num_tokens
        else:
            metrics["kl"] = measure_kl(self.policy, rollouts, batches, old_logps, self.config.temperature)

        if self.stop_at_kl_limit(number, metrics["kl"]):
            pass
        elif number <= self.config.value_warmup:
            hidden = [hidden_NE for hidden_NE, _, _ in old_outputs]
            metrics |= self._warm_up_value_head(number, batches, hidden, returns, num_tokens)
        else:
            for update in range(self.config.updates):
                totals: dict[str, float] = {}
                for batch, (_, old_N, old_values_N) in zip(batches, old_outputs, strict=True):
                    hidden_TE = self.policy.hidden(batch)
                    logps_N, entropy_N = self.policy.logprobs_and_entropy(
                        batch, temperature=self.config.temperature, hidden_TE=hidden_TE
                    )
                    values_N = self.head(hidden_TE.index_select(0, batch.sources_N.to(hidden_TE.device)))
                    sampled_N = sampler_logprobs(rollouts, batch).to(logps_N)
                    policy_loss = clipped_policy_loss(
                        logps_N,
                        old_N,
                        torch.cat([advantages[index] for index in batch.example_indices]).to(logps_N),
                        denominator=num_tokens,
                        weights_N=truncated_importance_weights(old_N, sampled_N),
                        clip_low=self.config.clip_low,
                        clip_high=self.config.clip_high,
                    )
                    value_loss = clipped_value_loss(
                        values_N,
                        old_values_N,
                        torch.cat([returns[index] for index in batch.example_indices]).to(values_N),
                        denominator=num_tokens,
                        clip=self.config.value_clip,
                    )
                    loss = policy_loss.loss + self.config.value_weight * value_loss.loss
                    loss.backward()  # type: ignore[no-untyped-call]
                    accumulate_metrics(totals, {"loss": float(loss.detach()), **policy_loss.metrics, **value_loss.metrics})
                    if update == 0:
                        entropy = float(entropy_N.sum()) / num_tokens
                        engine_ratio = float((old_N - sampled_N).exp().sum()) / num_tokens
                        accumulate_metrics(totals, {"entropy": entropy, "engine_ratio": engine_ratio})
                self._head_optimiser.step(number)
                metrics |= totals | self._optimiser.step(number)
        update_s = time.perf_counter() - started - rollouts_s
        return {**metrics, "tokens": tokens, "rollouts_s": rollouts_s, "update_s": update_s}

    @torch.no_grad()
    def _evaluate_batch(self, batch: PackedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(hidden states before each sampled token (N, E), log π (N,), values (N,)), before the step changes anything."""
        hidden_TE = self.policy.hidden(batch)
        logps_N, _ = self.policy.logprobs_and_entropy(
            batch, temperature=self.config.temperature, entropy=False, hidden_TE=hidden_TE
        )
        hidden_NE = hidden_TE.index_select(0, batch.sources_N.to(hidden_TE.device))
        return hidden_NE, logps_N, self.head(hidden_NE)

    def _kl_penalties(self, batches: Sequence[PackedBatch], logps: Sequence[Tensor], rollouts: Sequence[Rollout]) -> list[Tensor]:
        """k1 of each sampled token by rollout; zeros if the KL divergence is not used."""
        if self.config.kl_mode == "off":
            return [torch.zeros(rollout.num_sampled_tokens) for rollout in rollouts]
        penalties = [
            k1(logps_N, self.policy.reference_logprobs(batch, temperature=self.config.temperature))
            for batch, logps_N in zip(batches, logps, strict=True)
        ]
        return split_by_rollout(batches, penalties, rollouts)

    def _warm_up_value_head(
        self,
        number: int,
        batches: Sequence[PackedBatch],
        hidden: Sequence[Tensor],
        returns: Sequence[Tensor],
        num_tokens: float,
    ) -> dict[str, float]:
        """Fit the head to the returns of the rollouts. The trunk, and with it the policy, does not change."""
        hidden_NE = torch.cat(list(hidden))
        returns_N = torch.cat([returns[index] for batch in batches for index in batch.example_indices]).to(hidden_NE.device)
        metrics: dict[str, float] = {}
        for _ in range(self.config.value_passes):
            values_N = self.head(hidden_NE)
            value_loss = clipped_value_loss(
                values_N, values_N.detach(), returns_N.to(values_N), denominator=num_tokens, clip=None
            )
            value_loss.loss.backward()  # type: ignore[no-untyped-call]
            loss = value_loss.metrics["value_loss"]
            metrics = {**value_loss.metrics, "loss": loss, **self._head_optimiser.step(number)}
        return {**metrics, "warming": 1.0}


def gae_by_rollout(
    rewards: Sequence[Tensor], values: Sequence[Tensor], *, discount: float, gae_lambda: float
) -> tuple[list[Tensor], list[Tensor]]:
    """(advantages, returns) of episodes of different lengths. Each tensor covers the sampled tokens of one episode."""
    lengths = [len(value) for value in values]
    is_sampled_BT = pad_sequence([torch.ones_like(value, dtype=torch.bool) for value in values], batch_first=True)
    rewards_BT, values_BT = pad_sequence(list(rewards), batch_first=True), pad_sequence(list(values), batch_first=True)
    advantages_BT, returns_BT = gae(rewards_BT, values_BT, is_sampled_BT, discount=discount, gae_lambda=gae_lambda)
    return (
        [row[:length] for row, length in zip(advantages_BT, lengths, strict=True)],
        [row[:length] for row, length in zip(returns_BT, lengths, strict=True)],
    )
