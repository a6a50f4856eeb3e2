"""The losses against their closed forms, worked by hand or by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from yearling.training.losses.kl import k2
from yearling.training.losses.preference import (
    dpo_loss,
    kto_loss,
    kto_reference_point,
    kto_weights,
    reward_model_loss,
    soft_preference_loss,
    winner_nll_loss,
)


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(function(at).sum(), at)
    return found


@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0])
def test_dpo_at_step_0_is_ln_2(q: float) -> None:
    assert dpo_loss(t(-3.0), t(-3.0), t(q), beta=0.1).item() == pytest.approx(math.log(2), abs=1e-15)


def test_dpo_by_hand() -> None:
    """β(Δ_w − Δ_l) = 0.1·(2 − (−3)) = 0.5; σ(0.5) = 0.622459."""
    sigma = 1 / (1 + math.exp(-0.5))
    assert dpo_loss(t(2.0), t(-3.0), t(1.0), beta=0.1).item() == pytest.approx(-math.log(sigma))
    assert dpo_loss(t(2.0), t(-3.0), t(0.8), beta=0.1).item() == pytest.approx(-0.8 * math.log(sigma) - 0.2 * math.log(1 - sigma))
    delta = t(2.0)
    assert slope(lambda x: dpo_loss(x, t(-3.0), t(0.8), beta=0.1), delta).item() == pytest.approx(-0.1 * (0.8 - sigma))


def test_a_soft_label_is_met_where_the_model_says_q() -> None:
    margin = math.log(0.7 / 0.3)
    assert slope(lambda m: soft_preference_loss(m, t(0.7)), t(margin)).item() == pytest.approx(0.0, abs=1e-12)
    # Half-sure labels pull the margin to zero from both sides, whereas sure ones always push on.
    assert (
        slope(lambda m: soft_preference_loss(m, t(0.5)), t(1.0)).item()
        > 0
        > slope(lambda m: soft_preference_loss(m, t(1.0)), t(1.0)).item()
    )


def test_the_reward_models_gradient_is_the_closed_form() -> None:
    """∂/∂r_a = −(q − σ(r_a − r_b)) + 0.02 (r_a + r_b), and its mirror image for r_b."""
    for a, b, q in ((0.4, -1.1, 1.0), (-2.0, 0.3, 0.25), (0.0, 0.0, 0.5)):
        first, second = t(a), t(b)
        reward_model_loss(first, second, t(q)).sum().backward()
        sigma = 1 / (1 + math.exp(b - a))
        assert first.grad is not None
        assert second.grad is not None
        assert first.grad.item() == pytest.approx(-(q - sigma) + 0.02 * (a + b), abs=1e-14)
        assert second.grad.item() == pytest.approx(q - sigma + 0.02 * (a + b), abs=1e-14)
    assert reward_model_loss(t(0.0), t(0.0), t(1.0)).item() == pytest.approx(math.log(2))


def test_kto_by_hand() -> None:
    """At Δ = z₀ both kinds lose half their weight, and their slopes are ∓ λ β / 4."""
    delta, up = t(1.5, 1.5), torch.tensor([True, False])
    z0 = t(1.5)[0]
    values = kto_loss(delta, up, z0, beta=0.2, weight_up=1.0, weight_down=4 / 3)
    assert values.tolist() == pytest.approx([0.5, 2 / 3])
    found = slope(lambda d: kto_loss(d, up, z0, beta=0.2, weight_up=1.0, weight_down=4 / 3), delta)
    assert found.tolist() == pytest.approx([-0.05, 0.2 / 3])
    sigma = 1 / (1 + math.exp(-0.2 * 2.5))
    assert kto_loss(t(4.0), up[:1], z0, beta=0.2, weight_up=3.0, weight_down=1.0).item() == pytest.approx(3 * (1 - sigma))
    assert kto_loss(t(4.0), up[1:], z0, beta=0.2, weight_up=3.0, weight_down=1.0).item() == pytest.approx(sigma)


def test_ktos_reference_point_is_clamped_and_carries_no_gradient() -> None:
    assert kto_reference_point(t(-1.0, -2.0)).item() == 0.0
    assert kto_reference_point(t(1.0, 2.0)).item() == 1.5
    point, delta = t(0.7), t(1.0)
    kto_loss(delta, torch.tensor([True]), point[0], beta=0.1, weight_up=1.0, weight_down=1.0).sum().backward()
    assert point.grad is None
    for ups, downs in ((3, 9), (10, 2), (5, 5)):
        up, down = kto_weights(ups, downs)
        assert up * ups == pytest.approx(down * downs)
        assert min(up, down) == 1.0
    assert kto_weights(4, 0) == (1.0, 1.0)


def test_the_winners_nll_follows_the_likelier_side() -> None:
    first, second, tokens_first, tokens_second = t(-6.0), t(-20.0), t(3.0), t(4.0)

    def nll(q: float) -> float:
        return winner_nll_loss(first, second, tokens_first, tokens_second, t(q)).item()

    assert (nll(1.0), nll(0.0), nll(0.5)) == (2.0, 5.0, 0.0)
    assert nll(0.75) == pytest.approx(1.0)


def sign_of_kl_term(term: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Whether walking down the term's expected on-policy gradient lowers the exact KL to the reference, by finite difference."""
    logits = torch.tensor([0.3, -1.0, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([0.0, 0.5, -0.2, 1.0], dtype=torch.float64).log_softmax(0)

    def kl(values: Tensor) -> float:
        logps = values.log_softmax(0)
        return float((logps.exp() * (logps - reference)).sum())

    logps = logits.log_softmax(0)
    # Each outcome as often as the policy draws it.
    (direction,) = torch.autograd.grad((logps.exp().detach() * term(logps, reference)).sum(), logits)
    return kl(logits.detach() - 1e-4 * direction) < kl(logits.detach())


def test_the_sign_of_the_kl_term() -> None:
    assert sign_of_kl_term(k2)
    assert not sign_of_kl_term(lambda ours, base: -k2(ours, base))  # the planted fault: maximised
    # k1 as a loss has an expected gradient of zero: no drop that a step of this size could show beyond rounding.
    logits = torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64, requires_grad=True)
    logps = logits.log_softmax(0)
    (direction,) = torch.autograd.grad((logps.exp().detach() * logps).sum(), logits)
    assert direction.abs().max() < 1e-15


def test_k2s_on_policy_gradient_is_that_of_the_kl() -> None:
    logits = torch.tensor([0.3, -1.0, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([0.0, 0.5, -0.2, 1.0], dtype=torch.float64).log_softmax(0)
    logps = logits.log_softmax(0)
    (estimated,) = torch.autograd.grad((logps.exp().detach() * k2(logps, reference)).sum(), logits, retain_graph=True)
    (exact,) = torch.autograd.grad((logps.exp() * (logps - reference)).sum(), logits)
    torch.testing.assert_close(estimated, exact)
