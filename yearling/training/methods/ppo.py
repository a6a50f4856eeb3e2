"""PPO with a value head: every token is judged by what it changed, not every answer by its group (1707.06347).

For long or multi-turn tasks, where a group's mean cannot say which step was the wrong one. The value head reads the policy's own
final hidden states, the one at a token's source predicting what the answer will earn from there on. It is trained alone first, on
what answers of the unchanged policy earned, since an untrained one poisons the first updates (VC-PPO, 2503.01491); it always
learns from whole returns (λ = 1) while advantages are traced by λ. Advantages are not normalised. Nothing is refilled: an
answer teaches beside its own prediction, also where all of its group earned the same.

Shapes: N drawn tokens of a micro-batch, B episodes, T drawn tokens of the longest, E model width.
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
from yearling.training.losses.policy_gradient import clipped_policy_loss, clipped_value_loss, k1, truncated_importance_weights
from yearling.training.methods.base import BaseMethod
from yearling.training.methods.grpo import accumulate_metrics, measure_kl, sampler_logprobs
from yearling.training.policy.optimiser import Optimiser, OptimiserConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector
from yearling.training.rollouts.runner import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoConfig(ReinforcementConfig):
    discount: float = 1.0
    trace: float = 0.95
    """λ of the advantages."""
    value_warmup: int = 5
    """Steps at the beginning that train the value head alone."""
    value_passes: int = 20
    """Passes over a step's rollouts in those steps."""
    value_rate: float = 1e-3
    """Learning rate of the head."""
    value_weight: float = 0.1
    """Of the value loss beside the policy's, in the trunk that both share."""
    value_clip: float = 0.2

    def __post_init__(self) -> None:
        ReinforcementConfig.__post_init__(self)
        if not (0 < self.discount <= 1 and 0 <= self.trace <= 1):
            raise BadInput("discount and trace must lie between 0 and 1.", param="trace")
        if self.value_warmup < 0 or self.value_passes < 1 or self.value_rate <= 0 or self.value_weight < 0:
            raise BadInput("The settings of the value head make no sense.", param="value_warmup")


class ValueHead(nn.Module):
    """What an answer will earn, from the hidden state before its next token: 0 everywhere until it is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden_NE: Tensor) -> Tensor:
        values_N: Tensor = self.out(self.norm(hidden_NE.to(self.out.weight.dtype)))[:, 0]
        return values_N


class Ppo(BaseMethod):
    """A training method (`method.py`)."""

    name = "ppo"

    def __init__(self, config: PpoConfig, policy: Policy, collector: RolloutCollector) -> None:
        self.config = config
        self.policy = policy
        self.total_steps = config.steps
        self._collector = collector
        wide = torch.promote_types(policy.decoder.dtype, torch.float32)
        self.head = ValueHead(policy.decoder.config.hidden_size).to(policy.device, wide)
        self._optimiser = Optimiser(policy.parameters(), config.optimiser_config(), config.steps)
        rate = OptimiserConfig(learning_rate=config.value_rate, schedule="constant", warmup=0.0)
        self._head_optimiser = Optimiser(self.head.parameters(), rate, config.steps)
        super().__init__(
            policy=policy,
            optimiser=self._optimiser,
            head=self.head,
            head_optimiser=self._head_optimiser,
            curriculum=collector.curriculum,
        )

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number, refill=False)
        drawn_s = time.perf_counter() - started
        figures = dict(collected.metrics)
        drawn = float(sum(one.num_sampled_tokens for one in collected.all_rollouts))
        kept = collected.trainable_rollouts
        if not kept:
            return {**figures, "tokens": drawn, "rollouts_s": drawn_s}

        batches = pack_examples([one.to_example() for one in kept], budget_tokens=self.config.budget_tokens, split_groups=True)
        tokens = float(sum(one.num_sampled_tokens for one in kept))
        before = [self._evaluate_batch(batch) for batch in batches]
        values = split_by_rollout(batches, [values_N for _, _, values_N in before], kept)
        penalties = self._kl_penalties(batches, [logps_N for _, logps_N, _ in before], kept)
        rewards = [torch.zeros_like(value) for value in values]
        for one, reward, penalty in zip(kept, rewards, penalties, strict=True):
            reward -= self.config.kl_weight * penalty if self.config.kl_mode == "penalise" else 0.0
            reward[-1] += self.config.reward(one)
        advantages, _ = gae_by_rollout(rewards, values, discount=self.config.discount, gae_lambda=self.config.trace)
        _, returns = gae_by_rollout(rewards, values, discount=self.config.discount, gae_lambda=1.0)
        figures["explained_variance"] = explained_variance(torch.cat(values), torch.cat(returns))
        figures["value"] = float(torch.cat(values).mean())
        if self.config.kl_mode != "off":
            figures["kl"] = float(torch.cat(penalties).sum()) / tokens
        else:
            logps = [logps_N for _, logps_N, _ in before]
            figures["kl"] = measure_kl(self.policy, kept, batches, logps, self.config.temperature)

        warming = number <= self.config.value_warmup
        if self.config.kl_mode == "stop" and figures["kl"] > self.config.kl_limit:
            self.kl_stopped_at_step = number
        elif warming:
            figures |= self._warm_up_value_head(number, batches, [hidden_NE for hidden_NE, _, _ in before], returns, tokens)
        else:
            for update in range(self.config.updates):
                sums: dict[str, float] = {}
                for batch, (_, old_N, old_values_N) in zip(batches, before, strict=True):
                    hidden_TE = self.policy.hidden(batch)
                    logps_N, entropy_N = self.policy.logprobs_and_entropy(
                        batch, temperature=self.config.temperature, hidden_TE=hidden_TE
                    )
                    values_N = self.head(hidden_TE.index_select(0, batch.sources_N.to(hidden_TE.device)))
                    sampled_N = sampler_logprobs(kept, batch).to(logps_N)
                    policy = clipped_policy_loss(
                        logps_N,
                        old_N,
                        torch.cat([advantages[owner] for owner in batch.example_indices]).to(logps_N),
                        denominator=tokens,
                        weights_N=truncated_importance_weights(old_N, sampled_N),
                        clip_low=self.config.clip_low,
                        clip_high=self.config.clip_high,
                    )
                    value = clipped_value_loss(
                        values_N,
                        old_values_N,
                        torch.cat([returns[owner] for owner in batch.example_indices]).to(values_N),
                        denominator=tokens,
                        clip=self.config.value_clip,
                    )
                    loss = policy.loss + self.config.value_weight * value.loss
                    loss.backward()  # type: ignore[no-untyped-call]
                    accumulate_metrics(sums, {"loss": float(loss.detach()), **policy.metrics, **value.metrics})
                    if update == 0:
                        accumulate_metrics(sums, {"entropy": float(entropy_N.sum()) / tokens})
                        accumulate_metrics(sums, {"engine_ratio": float((old_N - sampled_N).exp().sum()) / tokens})
                self._head_optimiser.step(number)
                figures |= sums | self._optimiser.step(number)
        learnt_s = time.perf_counter() - started - drawn_s
        return {**figures, "tokens": drawn, "rollouts_s": drawn_s, "update_s": learnt_s}

    def validate(self) -> dict[str, float] | None:
        return self._collector.validate()

    @torch.no_grad()
    def _evaluate_batch(self, batch: PackedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(hidden states before each drawn token (N, E), log π, values), as they are before the step changes anything."""
        hidden_TE = self.policy.hidden(batch)
        logps_N, _ = self.policy.logprobs_and_entropy(
            batch, temperature=self.config.temperature, entropy=False, hidden_TE=hidden_TE
        )
        hidden_NE = hidden_TE.index_select(0, batch.sources_N.to(hidden_TE.device))
        return hidden_NE, logps_N, self.head(hidden_NE)

    def _kl_penalties(self, batches: Sequence[PackedBatch], logps: Sequence[Tensor], rollouts: Sequence[Rollout]) -> list[Tensor]:
        """k1 of each drawn token by rollout; zeros where the KL does not matter."""
        if self.config.kl_mode == "off":
            return [torch.zeros(one.num_sampled_tokens) for one in rollouts]
        found = [
            k1(logps_N, self.policy.reference_logprobs(batch, temperature=self.config.temperature))
            for batch, logps_N in zip(batches, logps, strict=True)
        ]
        return split_by_rollout(batches, found, rollouts)

    def _warm_up_value_head(
        self, number: int, batches: Sequence[PackedBatch], hidden: Sequence[Tensor], returns: Sequence[Tensor], tokens: float
    ) -> dict[str, float]:
        """Fit the head to what the answers earned; the trunk, and with it the policy, stays as it is."""
        hidden_NE = torch.cat(list(hidden))
        returns_N = torch.cat([returns[owner] for batch in batches for owner in batch.example_indices]).to(hidden_NE.device)
        figures: dict[str, float] = {}
        for _ in range(self.config.value_passes):
            values_N = self.head(hidden_NE)
            part = clipped_value_loss(values_N, values_N.detach(), returns_N.to(values_N), denominator=tokens, clip=None)
            part.loss.backward()  # type: ignore[no-untyped-call]
            figures = {**part.metrics, "loss": part.metrics["value_loss"], **self._head_optimiser.step(number)}
        return {**figures, "warming": 1.0}


def split_by_rollout(batches: Sequence[PackedBatch], values: Sequence[Tensor], rollouts: Sequence[Rollout]) -> list[Tensor]:
    """Values of drawn tokens, batch by batch, sorted by rollout."""
    found: dict[int, Tensor] = {}
    for batch, values_N in zip(batches, values, strict=True):
        found |= zip(
            batch.example_indices,
            torch.split(values_N, [rollouts[owner].num_sampled_tokens for owner in batch.example_indices]),
            strict=True,
        )
    return [found[owner] for owner in range(len(rollouts))]


def gae_by_rollout(
    rewards: Sequence[Tensor], values: Sequence[Tensor], *, discount: float, gae_lambda: float
) -> tuple[list[Tensor], list[Tensor]]:
    """(advantages, returns) of episodes of different lengths, given by their drawn tokens alone."""
    lengths = [len(one) for one in values]
    decisions_BT = pad_sequence([torch.ones_like(one, dtype=torch.bool) for one in values], batch_first=True)
    rewards_BT, values_BT = pad_sequence(list(rewards), batch_first=True), pad_sequence(list(values), batch_first=True)
    advantages_BT, returns_BT = gae(rewards_BT, values_BT, decisions_BT, discount=discount, gae_lambda=gae_lambda)
    return (
        [row[:length] for row, length in zip(advantages_BT, lengths, strict=True)],
        [row[:length] for row, length in zip(returns_BT, lengths, strict=True)],
    )
