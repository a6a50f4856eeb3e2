"""The KL divergence between the next-token distributions of two networks, over the whole vocabulary.

KL(p ‖ π) = Σ_v p_v (log p_v − log π_v), where p is the distribution of a frozen reference: the direction that keeps what the
reference would say (forward KL; 1503.02531 distils with it). Its gradient by the policy's logits is π − p. For a frozen
projection the forward pass turns that into the gradient by the hidden states at once, so that logits are held for a few rows
only. A trained projection goes through autograd.

Shapes: N target tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

MAX_ROWS = 64
"""Rows of logits that are held at a time."""


def kl_from_states(reference_NE: Tensor, reference_weight_VE: Tensor, hidden_NE: Tensor, weight_VE: Tensor) -> Tensor:
    """KL(softmax(reference) ‖ softmax(hidden)) of each row in nats, (N,), in float32 or wider.

    The logits are `reference_NE` times `reference_weight_VE` and `hidden_NE` times `weight_VE`. Only the latter two carry a
    gradient."""
    if weight_VE.requires_grad:
        parts = [
            _row_kl(reference @ reference_weight_VE.T, hidden @ weight_VE.T)
            for reference, hidden in zip(torch.split(reference_NE, MAX_ROWS), torch.split(hidden_NE, MAX_ROWS), strict=True)
        ]
        return torch.cat(parts)
    apply: Callable[..., Tensor] = _FrozenProjectionKl.apply  # torch does not type it
    return apply(reference_NE, reference_weight_VE, hidden_NE, weight_VE)


def _row_kl(reference_logits: Tensor, logits: Tensor) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_p, log_pi = F.log_softmax(reference_logits.to(wide), 1), F.log_softmax(logits.to(wide), 1)
    return (log_p.exp() * (log_p - log_pi)).sum(1)


class _KlContext(FunctionCtx):
    """What the forward pass leaves for the backward pass: the gradient by the hidden states."""

    saved_tensors: tuple[Tensor, ...]


class _FrozenProjectionKl(torch.autograd.Function):
    """`kl_from_states` for a projection that is not trained."""

    @staticmethod
    def forward(ctx: _KlContext, reference: Tensor, reference_weight: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        values, grad_hidden = torch.empty(hidden.shape[0], dtype=wide, device=hidden.device), torch.empty_like(hidden)
        for start in range(0, hidden.shape[0], MAX_ROWS):
            rows = slice(start, start + MAX_ROWS)
            log_p = F.log_softmax((reference[rows] @ reference_weight.T).to(wide), 1)
            log_pi = F.log_softmax((hidden[rows] @ weight.T).to(wide), 1)
            p = log_p.exp()
            values[rows] = torch.linalg.vecdot(p, log_p.sub_(log_pi))
            grad_hidden[rows] = log_pi.exp_().sub_(p).to(weight.dtype) @ weight
        ctx.save_for_backward(grad_hidden)
        return values

    @staticmethod
    def backward(ctx: _KlContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad_hidden,) = ctx.saved_tensors
        return None, None, grad_hidden * gradients[0][:, None].to(grad_hidden.dtype), None
