from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from yearling.training.losses.kl import k1, k2, k2_loss
from yearling.training.losses.policy_gradient import clipped_policy_loss


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def exact_kl(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """KL(π‖π_ref) of two categorical distributions."""
    logps = logits.log_softmax(-1)
    return (logps.exp() * (logps - reference_logits.log_softmax(-1))).sum()


def random_logits(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(logits that require a gradient, reference logits)."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randn(count, dtype=torch.float64, generator=generator)
    return torch.randn(count, dtype=torch.float64, generator=generator).requires_grad_(), reference


def descent_lowers_kl(loss_per_token: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Whether a small step down the loss's expected on-policy gradient lowers the exact KL divergence."""
    logits, reference = random_logits(4, seed=1)
    logps = logits.log_softmax(-1)
    # The expectation over tokens sampled from π: each token once, weighted by its detached probability.
    expected_loss = (logps.exp().detach() * loss_per_token(logps, reference.log_softmax(-1))).sum()
    (gradient,) = torch.autograd.grad(expected_loss, logits)
    return float(exact_kl(logits.detach() - 1e-4 * gradient, reference)) < float(exact_kl(logits.detach(), reference))


def test_k2_as_a_loss_lowers_the_kl_and_its_negation_raises_it() -> None:
    assert descent_lowers_kl(k2)
    assert not descent_lowers_kl(lambda logps, reference: -k2(logps, reference))  # the planted fault: maximised


def test_expected_gradient_of_log_pi_is_zero_so_k1_is_no_loss() -> None:
    logits = float64(0.3, -1.0, 0.8).requires_grad_()
    logps = logits.log_softmax(0)
    (gradient,) = torch.autograd.grad((logps.exp().detach() * logps).sum(), logits)
    assert gradient.abs().max() < 1e-15


def test_expected_gradient_of_k2_is_that_of_the_kl() -> None:
    logits, reference = random_logits(6, seed=3)
    logps = logits.log_softmax(-1)
    expected_k2 = (logps.exp().detach() * k2(logps, reference.log_softmax(-1))).sum()
    (gradient,) = torch.autograd.grad(expected_k2, logits)
    (exact_gradient,) = torch.autograd.grad(exact_kl(logits, reference), logits)
    torch.testing.assert_close(gradient, exact_gradient)


def test_gradient_of_k2_loss_equals_finite_differences_of_the_kl() -> None:
    logits, reference = random_logits(6, seed=3)
    logps = logits.log_softmax(-1)
    k2_loss(logps, reference.log_softmax(-1), denominator=1, weights_N=logps.exp()).loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    step = 1e-5
    for index in range(6):
        offset = torch.zeros_like(reference)
        offset[index] = step
        above, below = (float(exact_kl(logits.detach() + sign * offset, reference)) for sign in (1, -1))
        assert float(logits.grad[index]) == pytest.approx((above - below) / (2 * step), abs=1e-8)


def test_k1_subtracted_from_the_reward_lowers_the_kl() -> None:
    reference, logits = float64(0.3, -1, 0.5), float64(1, 0, -1).requires_grad_()
    logps = logits.log_softmax(-1)
    penalty = k1(logps, reference.log_softmax(-1))
    assert not penalty.requires_grad
    policy_loss = clipped_policy_loss(logps, logps.detach(), -penalty, denominator=1, weights_N=logps.exp())
    policy_loss.loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert float(exact_kl(logits.detach() - 0.05 * logits.grad, reference)) < float(exact_kl(logits.detach(), reference))


def test_kl_metric_is_the_mean_log_ratio() -> None:
    logps = float64(-1, -2)
    assert k2_loss(logps, logps, denominator=2).metrics["kl"] == 0
    assert k2_loss(logps, logps - 0.5, denominator=2).metrics["kl"] == pytest.approx(0.5)


def test_k2_loss_and_its_metric_are_sums_over_tokens_divided_by_the_denominator() -> None:
    logps, reference, weights = float64(-1, -3), float64(-2, -1), float64(0.5, 2)
    loss = k2_loss(logps, reference, denominator=4, weights_N=weights)
    assert float(loss.loss) == pytest.approx((0.5 * 0.5 * 1 + 2 * 0.5 * 4) / 4)
    assert loss.metrics["kl"] == pytest.approx((1 - 2) / 4)
