"""The KL divergence of two next-token distributions: its definition, its gradient, its sign."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.training.networks import random_pairs, tiny_policy
from yearling.training.data.packing import pack_examples
from yearling.training.policy.distribution_kl import kl_from_states


def states(rows: int, seed: int, *, width: int = 7) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rows", [1, 64, 130])
@pytest.mark.parametrize("trains_weight", [False, True])
def test_value_and_gradient_equal_the_definition(rows: int, trains_weight: bool) -> None:
    reference, weight = states(rows, 1), states(50, 2).requires_grad_(trains_weight)
    hidden = states(rows, 3).requires_grad_()
    values = kl_from_states(reference, weight.detach(), hidden, weight)
    p = (reference @ weight.detach().T).softmax(1)
    expected = (p * (p.log() - (hidden @ weight.T).softmax(1).log())).sum(1)
    torch.testing.assert_close(values, expected)
    weights = torch.arange(1.0, rows + 1, dtype=torch.float64)
    inputs = [hidden, weight] if trains_weight else [hidden]
    gradients = torch.autograd.grad((values * weights).sum(), inputs)
    for gradient, wanted in zip(gradients, torch.autograd.grad((expected * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_sign_of_the_gradient_by_finite_differences() -> None:
    """A small step against the gradient brings the policy nearer to its reference."""
    policy = tiny_policy()
    (batch,) = pack_examples(random_pairs(3), budget_tokens=10_000)
    reference = policy.reference_states(batch)
    parameter = policy.parameters()[1]
    divergence = policy.kl_from_reference(batch, reference).sum()
    (gradient,) = torch.autograd.grad(divergence, [parameter])
    before = divergence.detach()
    assert before > 0
    epsilon = 1e-6
    for index in gradient.abs().flatten().topk(3).indices.tolist():
        with torch.no_grad():
            parameter.view(-1)[index] += epsilon
            after = policy.kl_from_reference(batch, reference).sum()
            parameter.view(-1)[index] -= epsilon
        assert float(after - before) / epsilon == pytest.approx(float(gradient.flatten()[index]), rel=1e-3)
    with torch.no_grad():
        parameter.sub_(1e-3 * gradient / gradient.norm())
        assert policy.kl_from_reference(batch, reference).sum() < before


@pytest.mark.parametrize("full", [False, True])
def test_a_policy_that_equals_its_base_has_no_divergence(full: bool) -> None:
    policy = tiny_policy(full=full, trained=False)
    (batch,) = pack_examples(random_pairs(2), budget_tokens=10_000)
    values = policy.kl_from_reference(batch, policy.reference_states(batch))
    torch.testing.assert_close(values, torch.zeros_like(values), atol=1e-12, rtol=0)
