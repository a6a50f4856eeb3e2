"""Advantages: how much better than expected an answer or a token turned out. Pure functions of rewards and values.

Advantages within a group are not divided by the standard deviation, which would weight prompts by how rarely their outcomes
differ (2503.20783). Within an episode only the tokens that the model sampled count; the tokens of an environment or a tool are
skipped, so an episode with gaps has the same advantages as the same episode without them. Independent of networks.

Shapes: N samples, B episodes, T tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MIN_VARIANCE = 1e-12
"""A smaller variance of the returns is rounding noise."""


def group_relative_advantages(rewards_N: Tensor, groups_N: Tensor) -> Tensor:
    """r − mean of its group, (N,) (2402.03300 without the division, as in 2503.20783).

    A group of one sample, or of equal rewards, has advantages of 0."""
    _, group_indices_N = torch.unique(groups_N, return_inverse=True)
    sums, counts = _group_sums_and_counts(rewards_N, group_indices_N)
    return rewards_N - (sums / counts)[group_indices_N]


def leave_one_out_advantages(rewards_N: Tensor, groups_N: Tensor) -> Tensor:
    """r − mean of the other samples of its group, (N,) (2402.14740). Raises ValueError for a group of one sample."""
    _, group_indices_N = torch.unique(groups_N, return_inverse=True)
    sums, counts = _group_sums_and_counts(rewards_N, group_indices_N)
    if bool((counts < 2).any()):
        raise ValueError("leave-one-out advantages need at least two samples in each group")
    return rewards_N - (sums[group_indices_N] - rewards_N) / (counts[group_indices_N] - 1)


def gae(
    rewards_BT: Tensor, values_BT: Tensor, is_sampled_BT: Tensor, *, discount: float = 1.0, gae_lambda: float = 0.95
) -> tuple[Tensor, Tensor]:
    """(advantages, returns), each (B, T), of generalised advantage estimation (1506.02438, equation 16).

    δ = r + γV' − V and A = δ + γλA', where ' is the next token that the model *sampled*. Returns are A + V. Both are 0 at all
    other tokens. The reward of another token counts for the sampled token before it, undiscounted; a reward before the first
    sampled token is ignored. The value after the last sampled token is 0. Raises ValueError if the shapes differ.
    """
    if not rewards_BT.shape == values_BT.shape == is_sampled_BT.shape:
        raise ValueError("rewards, values and is_sampled must have the same shape")
    advantages_BT, returns_BT = torch.zeros_like(values_BT), torch.zeros_like(values_BT)
    zeros_B = values_BT.new_zeros(values_BT.shape[0])
    next_value_B, next_advantage_B, reward_B = zeros_B, zeros_B, zeros_B
    for t in range(values_BT.shape[1] - 1, -1, -1):
        sampled_B, value_B = is_sampled_BT[:, t], values_BT[:, t]
        reward_B = reward_B + rewards_BT[:, t]
        delta_B = reward_B + discount * next_value_B - value_B
        advantage_B = delta_B + discount * gae_lambda * next_advantage_B
        advantages_BT[:, t] = torch.where(sampled_B, advantage_B, zeros_B)
        returns_BT[:, t] = torch.where(sampled_B, advantage_B + value_B, zeros_B)
        next_value_B = torch.where(sampled_B, value_B, next_value_B)
        next_advantage_B = torch.where(sampled_B, advantage_B, next_advantage_B)
        reward_B = torch.where(sampled_B, zeros_B, reward_B)
    return advantages_BT, returns_BT


def explained_variance(values_N: Tensor, returns_N: Tensor) -> float:
    """1 − Var(R − V) / Var(R): 1 for a perfect value function, 0 for a constant one. 0 if all returns are equal."""
    variance = returns_N.double().var(unbiased=False)
    if returns_N.numel() == 0 or float(variance) < _MIN_VARIANCE:
        return 0.0
    return float(1 - (returns_N.double() - values_N.double()).var(unbiased=False) / variance)


def overlong_penalty(length: int, *, max_tokens: int, soft_tokens: int) -> float:
    """The penalty on long answers (2503.14476, equation 13): 0 up to `soft_tokens` below `max_tokens`, then linear to −1."""
    if soft_tokens <= 0:
        return 0.0
    return -min(1.0, max(0.0, (length - (max_tokens - soft_tokens)) / soft_tokens))


def _group_sums_and_counts(rewards_N: Tensor, group_indices_N: Tensor) -> tuple[Tensor, Tensor]:
    num_groups = int(group_indices_N.max()) + 1 if group_indices_N.numel() else 0
    sums = rewards_N.new_zeros(num_groups).index_add(0, group_indices_N, rewards_N)
    counts = rewards_N.new_zeros(num_groups).index_add(0, group_indices_N, torch.ones_like(rewards_N))
    return sums, counts
