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


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_group_relative_by_hand() -> None:
    rewards, groups = doubles(1, 0, 0, 1, 1, 0.25), torch.tensor([7, 7, 7, 7, 3, 3])
    expected = doubles(0.5, -0.5, -0.5, 0.5, 0.375, -0.375)
    torch.testing.assert_close(group_relative_advantages(rewards, groups), expected)


def test_a_rare_success_is_not_blown_up() -> None:
    """Division by the standard deviation would give 2.65 instead of .875."""
    rewards = doubles(1, 0, 0, 0, 0, 0, 0, 0)
    assert float(group_relative_advantages(rewards, torch.zeros(8))[0]) == 0.875


def test_a_group_of_one_reward_teaches_nothing() -> None:
    rewards, groups = doubles(1, 1, 1, 0, 0), torch.tensor([0, 0, 0, 1, 1])
    assert group_relative_advantages(rewards, groups).abs().max() == 0


def test_leave_one_out_by_hand() -> None:
    rewards, groups = doubles(1, 0, 0, 4, 2), torch.tensor([0, 0, 0, 1, 1])
    torch.testing.assert_close(leave_one_out_advantages(rewards, groups), doubles(1, -0.5, -0.5, 2, -2))
    with pytest.raises(ValueError, match="two samples"):
        leave_one_out_advantages(doubles(1), torch.tensor([0]))


def test_gae_by_hand() -> None:
    """δ: 0+.5·.9−.5 = −.05, 0+.6·.9... worked with γ = .9, λ = .5 from the last token back."""
    rewards, values = doubles(0, 0, 1)[None], doubles(0.5, 0.6, 0.8)[None]
    last = 1 - 0.8
    middle = (0.9 * 0.8 - 0.6) + 0.9 * 0.5 * last
    first = (0.9 * 0.6 - 0.5) + 0.9 * 0.5 * middle
    assert (last, middle, first) == pytest.approx((0.2, 0.21, 0.1345))
    advantages, returns = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), discount=0.9, gae_lambda=0.5)
    torch.testing.assert_close(advantages[0], doubles(0.1345, 0.21, 0.2))
    torch.testing.assert_close(returns[0], doubles(0.6345, 0.81, 1.0))


def test_with_trace_1_every_decision_returns_the_final_reward() -> None:
    values = torch.rand(3, 9, dtype=torch.float64)
    rewards = torch.zeros_like(values)
    rewards[:, -1] = 1
    decisions = torch.ones(3, 9, dtype=torch.bool)
    advantages, returns = gae(rewards, values, decisions, gae_lambda=1.0)
    torch.testing.assert_close(returns, torch.ones_like(values))
    torch.testing.assert_close(advantages, 1 - values)


@given(st.integers(0, 10**6), st.lists(st.booleans(), min_size=1, max_size=12).filter(any))
def test_gae_with_gaps_equals_gae_compacted(seed: int, decides: list[bool]) -> None:
    source = torch.Generator().manual_seed(seed)
    values = torch.rand(1, len(decides), dtype=torch.float64, generator=source)
    rewards = torch.rand(1, len(decides), dtype=torch.float64, generator=source)
    decisions = torch.tensor([decides])
    rewards = rewards * decisions  # an environment's own rewards are tested below
    options = {"discount": 0.93, "gae_lambda": 0.8}
    with_gaps = gae(rewards, values, decisions, **options)
    compact = gae(
        rewards[decisions][None], values[decisions][None], torch.ones(1, int(decisions.sum()), dtype=torch.bool), **options
    )
    for full, short in zip(with_gaps, compact, strict=True):
        torch.testing.assert_close(full[decisions], short[0])
        assert not full[~decisions].any()


def test_what_a_tool_earns_belongs_to_the_decision_before_it() -> None:
    decisions = torch.tensor([[True, False, False, True]])
    rewards, values = doubles(0, 0, 1, 0)[None], torch.zeros(1, 4, dtype=torch.float64)
    advantages, _ = gae(rewards, values, decisions, gae_lambda=0.5)
    assert advantages[0].tolist() == [1, 0, 0, 0]


def test_padding_changes_nothing() -> None:
    values, rewards = torch.rand(2, 5, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    decisions = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    rewards = rewards * decisions
    batch, _ = gae(rewards, values, decisions)
    alone, _ = gae(rewards[1:, :3], values[1:, :3], decisions[1:, :3])
    torch.testing.assert_close(batch[1:, :3], alone)


def test_explained_variance() -> None:
    returns = doubles(0, 1, 2, 3)
    assert explained_variance(returns, returns) == 1
    assert explained_variance(torch.full_like(returns, 9), returns) == pytest.approx(0)
    assert explained_variance(-returns, returns) < 0
    assert explained_variance(returns, torch.ones(4)) == 0
    assert explained_variance(returns, 1 + 1e-9 * returns) == 0


@pytest.mark.parametrize(("length", "penalty"), [(0, 0), (80, 0), (90, -0.5), (100, -1), (140, -1)])
def test_overlong_answers_are_punished_in_a_line(length: int, penalty: float) -> None:
    assert overlong_penalty(length, max_tokens=100, soft_tokens=20) == penalty
