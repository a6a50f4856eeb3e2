from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from yearling.training.losses.advantages import (
    explained_variance,
    gae,
    group_relative_advantages,
    leave_one_out_advantages,
    overlong_penalty,
)


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_group_relative_advantages_equal_hand_worked_values() -> None:
    rewards, groups = float64(1, 0, 0, 1, 1, 0.25), torch.tensor([7, 7, 7, 7, 3, 3])
    expected = float64(0.5, -0.5, -0.5, 0.5, 0.375, -0.375)
    torch.testing.assert_close(group_relative_advantages(rewards, groups), expected)


def test_group_relative_advantages_do_not_inflate_a_rare_success() -> None:
    """Division by the standard deviation would give 2.65 instead of .875."""
    rewards = float64(1, 0, 0, 0, 0, 0, 0, 0)
    assert float(group_relative_advantages(rewards, torch.zeros(8))[0]) == 0.875


def test_group_of_equal_rewards_has_no_advantages() -> None:
    rewards, groups = float64(1, 1, 1, 0, 0), torch.tensor([0, 0, 0, 1, 1])
    assert group_relative_advantages(rewards, groups).abs().max() == 0


def test_leave_one_out_advantages_equal_hand_worked_values() -> None:
    rewards, groups = float64(1, 0, 0, 4, 2), torch.tensor([0, 0, 0, 1, 1])
    torch.testing.assert_close(leave_one_out_advantages(rewards, groups), float64(1, -0.5, -0.5, 2, -2))
    with pytest.raises(ValueError, match="two samples"):
        leave_one_out_advantages(float64(1), torch.tensor([0]))


def test_gae_equals_hand_worked_values() -> None:
    """Worked from the last token back with γ = .9 and λ = .5."""
    rewards, values = float64(0, 0, 1)[None], float64(0.5, 0.6, 0.8)[None]
    last = 1 - 0.8
    middle = (0.9 * 0.8 - 0.6) + 0.9 * 0.5 * last
    first = (0.9 * 0.6 - 0.5) + 0.9 * 0.5 * middle
    assert (last, middle, first) == pytest.approx((0.2, 0.21, 0.1345))
    advantages, returns = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), discount=0.9, gae_lambda=0.5)
    torch.testing.assert_close(advantages[0], float64(0.1345, 0.21, 0.2))
    torch.testing.assert_close(returns[0], float64(0.6345, 0.81, 1.0))


def test_with_lambda_1_every_sampled_token_returns_the_final_reward() -> None:
    values = torch.rand(3, 9, dtype=torch.float64)
    rewards = torch.zeros_like(values)
    rewards[:, -1] = 1
    is_sampled = torch.ones(3, 9, dtype=torch.bool)
    advantages, returns = gae(rewards, values, is_sampled, gae_lambda=1.0)
    torch.testing.assert_close(returns, torch.ones_like(values))
    torch.testing.assert_close(advantages, 1 - values)


@given(st.integers(0, 10**6), st.lists(st.booleans(), min_size=1, max_size=12).filter(any))
def test_gae_with_gaps_equals_gae_without_them(seed: int, sampled: list[bool]) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(1, len(sampled), dtype=torch.float64, generator=generator)
    rewards = torch.rand(1, len(sampled), dtype=torch.float64, generator=generator)
    is_sampled = torch.tensor([sampled])
    rewards = rewards * is_sampled  # rewards of other tokens are tested below
    options = {"discount": 0.93, "gae_lambda": 0.8}
    with_gaps = gae(rewards, values, is_sampled, **options)
    all_sampled = torch.ones(1, int(is_sampled.sum()), dtype=torch.bool)
    without_gaps = gae(rewards[is_sampled][None], values[is_sampled][None], all_sampled, **options)
    for gapped, compact in zip(with_gaps, without_gaps, strict=True):
        torch.testing.assert_close(gapped[is_sampled], compact[0])
        assert not gapped[~is_sampled].any()


def test_reward_of_another_token_counts_for_the_sampled_token_before_it() -> None:
    is_sampled = torch.tensor([[True, False, False, True]])
    rewards, values = float64(0, 0, 1, 0)[None], torch.zeros(1, 4, dtype=torch.float64)
    advantages, _ = gae(rewards, values, is_sampled, gae_lambda=0.5)
    assert advantages[0].tolist() == [1, 0, 0, 0]


def test_padding_does_not_change_gae() -> None:
    values, rewards = torch.rand(2, 5, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    is_sampled = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    rewards = rewards * is_sampled
    padded, _ = gae(rewards, values, is_sampled)
    alone, _ = gae(rewards[1:, :3], values[1:, :3], is_sampled[1:, :3])
    torch.testing.assert_close(padded[1:, :3], alone)


def test_explained_variance_is_1_for_perfect_and_0_for_constant_values() -> None:
    returns = float64(0, 1, 2, 3)
    assert explained_variance(returns, returns) == 1
    assert explained_variance(torch.full_like(returns, 9), returns) == pytest.approx(0)
    assert explained_variance(-returns, returns) < 0
    assert explained_variance(returns, torch.ones(4)) == 0
    assert explained_variance(returns, 1 + 1e-9 * returns) == 0


@pytest.mark.parametrize(("length", "penalty"), [(0, 0), (80, 0), (90, -0.5), (100, -1), (140, -1)])
def test_overlong_penalty_is_linear_near_the_limit(length: int, penalty: float) -> None:
    assert overlong_penalty(length, max_tokens=100, soft_tokens=20) == penalty
