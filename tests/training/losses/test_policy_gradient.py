from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from yearling.training.losses.policy_gradient import (
    clipped_policy_loss,
    clipped_value_loss,
    truncated_importance_weights,
)


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def derivative(function: Callable[[float], float], at: float) -> float:
    """The derivative by central difference."""
    return (function(at + 1e-5) - function(at - 1e-5)) / 2e-5


def policy_loss(logp: float, old_logp: float, advantage: float) -> float:
    return float(clipped_policy_loss(float64(logp), float64(old_logp), float64(advantage), denominator=1).loss)


def test_gradient_raises_good_tokens_and_lowers_bad_ones() -> None:
    """Gradient descent moves against the derivative."""
    assert derivative(lambda logp: policy_loss(logp, -1.0, 1.0), -1.0) == pytest.approx(-1)
    assert derivative(lambda logp: policy_loss(logp, -1.0, -1.0), -1.0) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [(1.27, 1, False), (1.29, 1, True), (0.5, 1, False), (0.81, -1, False), (0.79, -1, True), (1.5, -1, False)],
)
def test_clip_removes_the_gradient_only_beyond_its_own_bound(ratio: float, advantage: float, clipped: bool) -> None:
    logp = math.log(ratio)
    gradient = derivative(lambda at: policy_loss(at, 0.0, advantage), logp)
    assert gradient == pytest.approx(0.0 if clipped else -ratio * advantage)
    loss = clipped_policy_loss(float64(logp), float64(0), float64(advantage), denominator=1)
    assert loss.metrics == pytest.approx({"ratio": ratio, "clipped": float(clipped)})


def test_importance_weights_are_truncated_and_detached() -> None:
    old_logps = float64(-1, -1, -1).requires_grad_()
    weights = truncated_importance_weights(old_logps, float64(-1, -3, 0))
    assert not weights.requires_grad
    assert weights.tolist() == pytest.approx([1, 2, math.exp(-1)])


def test_weights_carry_no_gradient() -> None:
    weight = float64(0.5).requires_grad_()
    logp = float64(-1).requires_grad_()
    clipped_policy_loss(logp, float64(-1), float64(1), denominator=1, weights_N=weight).loss.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is None
    assert logp.grad is not None
    assert float(logp.grad) == -0.5


def test_partial_losses_add_up_to_the_loss_of_the_step() -> None:
    generator = torch.Generator().manual_seed(0)
    logps, old_logps, advantages = (torch.randn(10, dtype=torch.float64, generator=generator) for _ in range(3))
    total = clipped_policy_loss(logps, old_logps, advantages, denominator=10)
    parts = [
        clipped_policy_loss(logps[part], old_logps[part], advantages[part], denominator=10)
        for part in (slice(0, 3), slice(3, 4), slice(4, 10))
    ]
    assert sum(float(part.loss) for part in parts) == pytest.approx(float(total.loss))
    assert sum(part.metrics["ratio"] for part in parts) == pytest.approx(total.metrics["ratio"])


def test_value_loss_equals_hand_worked_values() -> None:
    def loss(value: float, old_value: float, target: float) -> float:
        return float(clipped_value_loss(float64(value), float64(old_value), float64(target), denominator=1).loss)

    assert loss(0.5, 0.5, 1.0) == pytest.approx(0.125)
    # Beyond the bound towards the return: the error of the clipped value counts, and there is no gradient.
    assert loss(0.9, 0.5, 1.0) == pytest.approx(0.5 * 0.3**2)
    assert derivative(lambda value: loss(value, 0.5, 1.0), 0.9) == pytest.approx(0)
    # Away from the return: the actual error counts and pulls the value back.
    assert derivative(lambda value: loss(value, 0.5, 1.0), 0.1) == pytest.approx(-0.9)
    assert derivative(lambda value: loss(value, 0.5, 1.0), 0.6) < 0
