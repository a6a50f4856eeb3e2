"""The preference losses against closed forms that are worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from yearling.training.losses.preference import (
    dpo_loss,
    kto_loss,
    kto_reference_point,
    kto_weights,
    reward_model_loss,
    soft_preference_loss,
    winner_nll_loss,
)


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    return torch.autograd.grad(function(at).sum(), at)[0]


@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0])
def test_dpo_loss_is_ln_2_if_the_policy_equals_its_reference(q: float) -> None:
    assert dpo_loss(float64(-3.0), float64(-3.0), float64(q), beta=0.1).item() == pytest.approx(math.log(2), abs=1e-15)


def test_dpo_loss_and_gradient_equal_hand_worked_values() -> None:
    """β(Δ_w − Δ_l) = 0.1·(2 − (−3)) = 0.5; σ(0.5) = 0.622459."""
    sigma = 1 / (1 + math.exp(-0.5))
    first, second = float64(2.0), float64(-3.0)
    assert dpo_loss(first, second, float64(1.0), beta=0.1).item() == pytest.approx(-math.log(sigma))
    soft = dpo_loss(first, second, float64(0.8), beta=0.1)
    assert soft.item() == pytest.approx(-0.8 * math.log(sigma) - 0.2 * math.log(1 - sigma))
    slope = gradient(lambda delta: dpo_loss(delta, second, float64(0.8), beta=0.1), first)
    assert slope.item() == pytest.approx(-0.1 * (0.8 - sigma))


def test_soft_preference_loss_is_minimal_where_the_models_probability_is_q() -> None:
    at_q = float64(math.log(0.7 / 0.3))
    assert gradient(lambda margin: soft_preference_loss(margin, float64(0.7)), at_q).item() == pytest.approx(0.0, abs=1e-12)
    # A label of ½ pulls the margin towards zero, whereas a certain label always pushes it up.
    uncertain = gradient(lambda margin: soft_preference_loss(margin, float64(0.5)), float64(1.0))
    certain = gradient(lambda margin: soft_preference_loss(margin, float64(1.0)), float64(1.0))
    assert uncertain.item() > 0 > certain.item()


def test_gradient_of_reward_model_loss_equals_the_closed_form() -> None:
    """∂/∂r_a = −(q − σ(r_a − r_b)) + 0.02 (r_a + r_b), and its mirror image for r_b."""
    for a, b, q in ((0.4, -1.1, 1.0), (-2.0, 0.3, 0.25), (0.0, 0.0, 0.5)):
        first, second = float64(a), float64(b)
        reward_model_loss(first, second, float64(q)).sum().backward()  # type: ignore[no-untyped-call]
        sigma = 1 / (1 + math.exp(b - a))
        assert first.grad is not None
        assert second.grad is not None
        assert first.grad.item() == pytest.approx(-(q - sigma) + 0.02 * (a + b), abs=1e-14)
        assert second.grad.item() == pytest.approx(q - sigma + 0.02 * (a + b), abs=1e-14)
    assert reward_model_loss(float64(0.0), float64(0.0), float64(1.0)).item() == pytest.approx(math.log(2))


def test_kto_loss_and_gradient_equal_hand_worked_values() -> None:
    """At Δ = z₀ both kinds have half their weight as loss, and gradients of ∓ λ β / 4."""
    delta, is_up = float64(1.5, 1.5), torch.tensor([True, False])
    z0 = float64(1.5)[0]

    def loss(delta: Tensor) -> Tensor:
        return kto_loss(delta, is_up, z0, beta=0.2, weight_up=1.0, weight_down=4 / 3)

    assert loss(delta).tolist() == pytest.approx([0.5, 2 / 3])
    assert gradient(loss, delta).tolist() == pytest.approx([-0.05, 0.2 / 3])
    sigma = 1 / (1 + math.exp(-0.2 * 2.5))
    up = kto_loss(float64(4.0), is_up[:1], z0, beta=0.2, weight_up=3.0, weight_down=1.0)
    down = kto_loss(float64(4.0), is_up[1:], z0, beta=0.2, weight_up=3.0, weight_down=1.0)
    assert up.item() == pytest.approx(3 * (1 - sigma))
    assert down.item() == pytest.approx(sigma)


def test_kto_reference_point_is_clamped_and_carries_no_gradient() -> None:
    assert kto_reference_point(float64(-1.0, -2.0)).item() == 0.0
    assert kto_reference_point(float64(1.0, 2.0)).item() == 1.5
    point, delta = float64(0.7), float64(1.0)
    loss = kto_loss(delta, torch.tensor([True]), point[0], beta=0.1, weight_up=1.0, weight_down=1.0)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert point.grad is None


def test_kto_weights_balance_both_kinds_by_raising_the_rarer_one() -> None:
    for num_up, num_down in ((3, 9), (10, 2), (5, 5)):
        weight_up, weight_down = kto_weights(num_up, num_down)
        assert weight_up * num_up == pytest.approx(weight_down * num_down)
        assert min(weight_up, weight_down) == 1.0
    assert kto_weights(4, 0) == (1.0, 1.0)


def test_winner_nll_is_that_of_the_likelier_answer() -> None:
    first, second, tokens_first, tokens_second = float64(-6.0), float64(-20.0), float64(3.0), float64(4.0)

    def nll(q: float) -> float:
        return winner_nll_loss(first, second, tokens_first, tokens_second, float64(q)).item()

    assert (nll(1.0), nll(0.0), nll(0.5)) == (2.0, 5.0, 0.0)
    assert nll(0.75) == pytest.approx(1.0)
