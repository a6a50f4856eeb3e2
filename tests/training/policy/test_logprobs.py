from __future__ import annotations

import pytest
import torch

from yearling.training.policy.logprobs import target_logprobs


def tensors(train_weight: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(11, 7, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(23, 7, generator=generator, dtype=torch.float64).requires_grad_(train_weight)
    return hidden, weight, torch.randint(0, 23, (11,), generator=generator)


@pytest.mark.parametrize("train_weight", [False, True])
@pytest.mark.parametrize("tile", [(1, 5), (4, 23), (100, 6), (100, 100)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_chunks_equal_the_definition(train_weight: bool, tile: tuple[int, int], temperature: float) -> None:
    hidden, weight, labels = tensors(train_weight)
    upstream = torch.linspace(-1, 2, 11, dtype=torch.float64)
    found, entropy = target_logprobs(hidden, weight, labels, temperature=temperature, entropy=True, tile=tile)
    (found * upstream).sum().backward()
    ours = [tensor.grad for tensor in (hidden, weight)]
    hidden.grad = weight.grad = None
    logps = (hidden @ weight.T / temperature).log_softmax(-1)
    expected = logps.gather(1, labels[:, None])[:, 0]
    (expected * upstream).sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(entropy, -(logps.exp() * logps).sum(-1))
    assert not entropy.requires_grad
    torch.testing.assert_close(ours[0], hidden.grad)
    assert (ours[1] is None) == (not train_weight)
    if train_weight:
        torch.testing.assert_close(ours[1], weight.grad)


def test_entropy_is_left_out_unless_asked_for_and_does_not_change_the_slope() -> None:
    hidden, weight, labels = tensors(False)
    grads = []
    for entropy in (True, False):
        logprobs, entropies = target_logprobs(hidden, weight, labels, entropy=entropy, tile=(3, 10))
        assert entropies.shape == ((11,) if entropy else (0,))
        hidden.grad = None
        logprobs.sum().backward()
        grads.append(hidden.grad)
    assert torch.equal(grads[0], grads[1])
