from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from yearling.training.losses.kl import k1, k2_loss
from yearling.training.losses.policy_gradient import (
    clipped_policy_loss,
    clipped_value_loss,
    truncated_importance_weights,
)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def slope(function: Callable[[float], float], at: float) -> float:
    """The derivative by central difference."""
    return (function(at + 1e-5) - function(at - 1e-5)) / 2e-5


def policy_loss(logp: float, old: float, advantage: float) -> float:
    return float(clipped_policy_loss(doubles(logp), doubles(old), doubles(advantage), denominator=1).loss)


def test_a_good_token_becomes_likelier_and_a_bad_one_rarer() -> None:
    """Gradient descent moves against the slope."""
    assert slope(lambda logp: policy_loss(logp, -1.0, 1.0), -1.0) == pytest.approx(-1)
    assert slope(lambda logp: policy_loss(logp, -1.0, -1.0), -1.0) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [(1.27, 1, False), (1.29, 1, True), (0.5, 1, False), (0.81, -1, False), (0.79, -1, True), (1.5, -1, False)],
)
def test_the_clip_takes_the_gradient_away_only_past_its_own_bound(ratio: float, advantage: float, clipped: bool) -> None:
    logp = math.log(ratio)
    found = slope(lambda at: policy_loss(at, 0.0, advantage), logp)
    assert found == pytest.approx(0.0 if clipped else -ratio * advantage)
    part = clipped_policy_loss(doubles(logp), doubles(0), doubles(advantage), denominator=1)
    assert part.metrics == pytest.approx({"ratio": ratio, "clipped": float(clipped)})


def test_the_engine_ratio_is_truncated_and_detached() -> None:
    old = doubles(-1, -1, -1).requires_grad_()
    ratio = truncated_importance_weights(old, doubles(-1, -3, 0))
    assert not ratio.requires_grad
    assert ratio.tolist() == pytest.approx([1, 2, math.exp(-1)])


def test_weights_pass_no_gradient() -> None:
    weight = doubles(0.5).requires_grad_()
    logp = doubles(-1).requires_grad_()
    clipped_policy_loss(logp, doubles(-1), doubles(1), denominator=1, weights_N=weight).loss.backward()
    assert weight.grad is None
    assert logp.grad is not None
    assert float(logp.grad) == -0.5


def test_parts_add_up_to_the_whole() -> None:
    source = torch.Generator().manual_seed(0)
    logps, old, advantages = (torch.randn(10, dtype=torch.float64, generator=source) for _ in range(3))
    whole = clipped_policy_loss(logps, old, advantages, denominator=10)
    cuts = [slice(0, 3), slice(3, 4), slice(4, 10)]
    parts = [clipped_policy_loss(logps[cut], old[cut], advantages[cut], denominator=10) for cut in cuts]
    assert sum(float(part.loss) for part in parts) == pytest.approx(float(whole.loss))
    assert sum(part.metrics["ratio"] for part in parts) == pytest.approx(whole.metrics["ratio"])


def test_value_loss_by_hand() -> None:
    def loss(value: float, old: float, target: float) -> float:
        return float(clipped_value_loss(doubles(value), doubles(old), doubles(target), denominator=1).loss)

    assert loss(0.5, 0.5, 1.0) == pytest.approx(0.125)
    # Moved past the bound towards the return: the bounded value's error counts, and its slope is 0.
    assert loss(0.9, 0.5, 1.0) == pytest.approx(0.5 * 0.3**2)
    assert slope(lambda value: loss(value, 0.5, 1.0), 0.9) == pytest.approx(0)
    # Moved away from it: the real error counts, and pulls it back.
    assert slope(lambda value: loss(value, 0.5, 1.0), 0.1) == pytest.approx(-0.9)
    assert slope(lambda value: loss(value, 0.5, 1.0), 0.6) < 0


def kl(logits: Tensor, reference: Tensor) -> Tensor:
    logps = logits.log_softmax(-1)
    return (logps.exp() * (logps - reference.log_softmax(-1))).sum()


def test_k2_descends_the_kl_divergence() -> None:
    """Its expected gradient over the policy's own tokens is that of KL(π‖π_ref), sign included: descent lowers the KL."""
    source = torch.Generator().manual_seed(3)
    reference = torch.randn(6, dtype=torch.float64, generator=source)
    logits = torch.randn(6, dtype=torch.float64, generator=source).requires_grad_()
    logps = logits.log_softmax(-1)
    # The expectation over tokens drawn from π: each token once, weighted by its detached probability.
    k2_loss(logps, reference.log_softmax(-1), denominator=1, weights_N=logps.exp()).loss.backward()
    assert logits.grad is not None
    for index in range(6):

        def divergence(at: float, index: int = index) -> float:
            moved = logits.detach().clone()
            moved[index] = at
            return float(kl(moved, reference))

        assert float(logits.grad[index]) == pytest.approx(slope(divergence, float(logits.detach()[index])), abs=1e-8)
    assert float(kl(logits.detach() - 0.05 * logits.grad, reference)) < float(kl(logits.detach(), reference))


def test_k1_as_a_reward_descends_it_too() -> None:
    """A reward of −k1 under the policy gradient: the same direction. As a loss, k1 could not: it is detached."""
    reference, logits = doubles(0.3, -1, 0.5), doubles(1, 0, -1).requires_grad_()
    logps = logits.log_softmax(-1)
    penalty = k1(logps, reference.log_softmax(-1))
    assert not penalty.requires_grad
    part = clipped_policy_loss(logps, logps.detach(), -penalty, denominator=1, weights_N=logps.exp())
    part.loss.backward()
    assert logits.grad is not None
    assert float(kl(logits.detach() - 0.05 * logits.grad, reference)) < float(kl(logits.detach(), reference))


def test_the_kl_of_equal_policies_is_zero_and_of_a_surer_one_positive() -> None:
    logps = doubles(-1, -2)
    assert k2_loss(logps, logps, denominator=2).metrics["kl"] == 0
    assert k2_loss(logps, logps - 0.5, denominator=2).metrics["kl"] == pytest.approx(0.5)
