from __future__ import annotations

import pytest
import torch
from torch import Tensor

from yearling.training.policy.logprobs import target_logprobs


def random_projection(train_weight: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden states, weight, labels)."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(11, 7, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(23, 7, generator=generator, dtype=torch.float64).requires_grad_(train_weight)
    return hidden, weight, torch.randint(0, 23, (11,), generator=generator)


@pytest.mark.parametrize("train_weight", [False, True])
@pytest.mark.parametrize("tile", [(1, 5), (4, 23), (100, 6), (100, 100)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_tiled_values_and_gradients_equal_the_definition(train_weight: bool, tile: tuple[int, int], temperature: float) -> None:
    hidden, weight, labels = random_projection(train_weight)
    grad_output = torch.linspace(-1, 2, 11, dtype=torch.float64)
    logprobs, entropy = target_logprobs(hidden, weight, labels, temperature=temperature, entropy=True, tile=tile)
    (logprobs * grad_output).sum().backward()  # type: ignore[no-untyped-call]
    grad_hidden, grad_weight = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    all_logps = (hidden @ weight.T / temperature).log_softmax(-1)
    expected = all_logps.gather(1, labels[:, None])[:, 0]
    (expected * grad_output).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(logprobs, expected)
    torch.testing.assert_close(entropy, -(all_logps.exp() * all_logps).sum(-1))
    assert not entropy.requires_grad
    torch.testing.assert_close(grad_hidden, hidden.grad)
    assert (grad_weight is None) == (not train_weight)
    if train_weight:
        torch.testing.assert_close(grad_weight, weight.grad)


def test_entropy_is_optional_and_does_not_change_the_gradient() -> None:
    hidden, weight, labels = random_projection(False)
    gradients: list[Tensor] = []
    for entropy in (True, False):
        logprobs, entropies = target_logprobs(hidden, weight, labels, entropy=entropy, tile=(3, 10))
        assert entropies.shape == ((11,) if entropy else (0,))
        hidden.grad = None
        logprobs.sum().backward()  # type: ignore[no-untyped-call]
        assert hidden.grad is not None
        gradients.append(hidden.grad)
    assert torch.equal(gradients[0], gradients[1])
