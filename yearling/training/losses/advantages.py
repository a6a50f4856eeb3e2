"""How much better than expected an answer, or a token, turned out: pure functions of rewards and values.

Knows no network. Advantages of a group are not divided by its standard deviation, which would weight easy and hard prompts by
how rarely they go the other way (2503.20783). In an episode only the model's own tokens are decisions; what an environment or a
tool wrote in between is skipped, so that an episode with gaps gives what the same episode without them gives.

Shapes: N samples, B episodes, T tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MIN_VARIANCE = 1e-12
"""Variance below which returns differ by rounding alone."""


def group_relative_advantages(rewards_N: Tensor, groups_N: Tensor) -> Tensor:
    """r − mean of its group (2402.03300 without the division; 2503.20783). A group of one sample, or of one reward, gives 0."""
    _, places_N = torch.unique(groups_N, return_inverse=True)
    sums, counts = _group_sums_and_counts(rewards_N, places_N)
    return rewards_N - (sums / counts)[places_N]


def leave_one_out_advantages(rewards_N: Tensor, groups_N: Tensor) -> Tensor:
    """r − mean of the others of its group (2402.14740). Raises ValueError for a group of one, which has no others."""
    _, places_N = torch.unique(groups_N, return_inverse=True)
    sums, counts = _group_sums_and_counts(rewards_N, places_N)
    if bool((counts < 2).any()):
        raise ValueError("leaving one out needs at least two samples in each group")
    return rewards_N - (sums[places_N] - rewards_N) / (counts[places_N] - 1)


def gae(
    rewards_BT: Tensor, values_BT: Tensor, is_sampled_BT: Tensor, *, discount: float = 1.0, gae_lambda: float = 0.95
) -> tuple[Tensor, Tensor]:
    """(advantages, returns), each (B, T), of generalised advantage estimation (1506.02438, equation 16): δ = r + γV' − V and
    A = δ + γλA', where ' is the next *decision*, a token that the model drew. Elsewhere both are 0.

    A reward at a token that is no decision goes to the decision before it, undiscounted; one before the first decision is
    nobody's doing. Returns are A + V. After the last decision the value is 0.
    """
    if not rewards_BT.shape == values_BT.shape == is_sampled_BT.shape:
        raise ValueError("rewards, values and decisions must have one shape")
    advantages_BT, returns_BT = torch.zeros_like(values_BT), torch.zeros_like(values_BT)
    zeros_B = values_BT.new_zeros(values_BT.shape[0])
    next_value_B, next_advantage_B, earned_B = zeros_B, zeros_B, zeros_B
    for t in range(values_BT.shape[1] - 1, -1, -1):
        decides_B, value_B = is_sampled_BT[:, t], values_BT[:, t]
        earned_B = earned_B + rewards_BT[:, t]
        surprise_B = earned_B + discount * next_value_B - value_B
        advantage_B = surprise_B + discount * gae_lambda * next_advantage_B
        advantages_BT[:, t] = torch.where(decides_B, advantage_B, zeros_B)
        returns_BT[:, t] = torch.where(decides_B, advantage_B + value_B, zeros_B)
        next_value_B = torch.where(decides_B, value_B, next_value_B)
        next_advantage_B = torch.where(decides_B, advantage_B, next_advantage_B)
        earned_B = torch.where(decides_B, zeros_B, earned_B)
    return advantages_BT, returns_BT


def explained_variance(values_N: Tensor, returns_N: Tensor) -> float:
    """1 − Var(R − V) / Var(R): 1 for a perfect value function, 0 for a constant one; 0 where all returns are equal."""
    spread = returns_N.double().var(unbiased=False)
    if returns_N.numel() == 0 or float(spread) < _MIN_VARIANCE:
        return 0.0
    return float(1 - (returns_N.double() - values_N.double()).var(unbiased=False) / spread)


def overlong_penalty(length: int, *, max_tokens: int, soft_tokens: int) -> float:
    """0 for answers that leave `soft_tokens` unused, then falling in a line to −1 at `max_tokens` (2503.14476, equation 13)."""
    if soft_tokens <= 0:
        return 0.0
    return -min(1.0, max(0.0, (length - (max_tokens - soft_tokens)) / soft_tokens))


def _group_sums_and_counts(rewards_N: Tensor, group_indices_N: Tensor) -> tuple[Tensor, Tensor]:
    groups = int(group_indices_N.max()) + 1 if group_indices_N.numel() else 0
    sums = rewards_N.new_zeros(groups).index_add(0, group_indices_N, rewards_N)
    counts = rewards_N.new_zeros(groups).index_add(0, group_indices_N, torch.ones_like(rewards_N))
    return sums, counts
