"""Log-probabilities of chosen tokens without ever holding the logits of all of them.

The output projection meets its rows in chunks. Since ∂ log p(y) / ∂h = W_y − Σ_v p_v W_v needs nothing that comes later, a frozen
projection computes it in the forward pass, while the chunk's probabilities are at hand; the backward pass only scales it. A
projection that is trained too computes its chunks again in the backward pass.

Shapes: N target tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 48 * 2**20
"""Of the logits held at a time."""


def target_logprobs(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    labels_N: Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    chunk_rows: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(log-probabilities (N,) with gradient, entropies in nats (N,) without) of softmax(h Wᵀ / temperature), in float32 or wider.

    Entropies are computed only when asked for, else they are empty."""
    rows = chunk_rows or max(1, CHUNK_BYTES // (weight_VE.shape[0] * 4))
    apply: Callable[..., tuple[Tensor, Tensor]] = _Logprobs.apply  # torch leaves it without types
    return apply(hidden_NE, weight_VE, labels_N, 1.0 / temperature, entropy, rows)


class _Logprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, scale: float, entropy: bool, rows: int
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        logprobs = torch.empty(hidden.shape[0], dtype=wide, device=hidden.device)
        entropies = torch.empty_like(logprobs if entropy else logprobs[:0])
        train_hidden, train_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        slopes = torch.empty_like(hidden) if train_hidden and not train_weight else None
        for start in range(0, hidden.shape[0], rows):
            span = slice(start, start + rows)
            logps = _log_softmax(hidden[span], weight, scale, wide)  # (rows, V)
            logprobs[span] = logps.gather(1, labels[span, None])[:, 0]
            if entropy:
                entropies[span] = -torch.linalg.vecdot(logps.exp(), logps)
            if slopes is not None:
                slopes[span] = _slope(logps, weight, labels[span])
        ctx.save_for_backward(hidden, weight, labels) if train_weight else ctx.save_for_backward(slopes)
        ctx.scale, ctx.rows, ctx.train_weight = scale, rows, train_weight
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0] * ctx.scale
        if not ctx.train_weight:
            (slopes,) = ctx.saved_tensors
            return slopes * gradient[:, None].to(slopes.dtype), None, None, None, None, None
        hidden, weight, labels = ctx.saved_tensors
        wide = gradient.dtype
        to_hidden, to_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        for start in range(0, hidden.shape[0], ctx.rows):
            span = slice(start, start + ctx.rows)
            logps = _log_softmax(hidden[span], weight, ctx.scale, wide)
            slope = logps.exp_().neg_()
            slope[torch.arange(slope.shape[0], device=slope.device), labels[span]] += 1
            slope = slope.mul_(gradient[span, None]).to(weight.dtype)
            to_hidden[span] = slope @ weight
            to_weight.addmm_(slope.T, hidden[span])
        return to_hidden, to_weight, None, None, None, None


def _log_softmax(hidden: Tensor, weight: Tensor, scale: float, wide: torch.dtype) -> Tensor:
    logits = (hidden @ weight.T).to(wide)
    if scale != 1.0:
        logits *= scale
    return logits.sub_(torch.logsumexp(logits, dim=-1, keepdim=True))


def _slope(logps: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """∂ log p(label) / ∂ (h · scale), (rows, E); destroys `logps`."""
    return weight[labels] - logps.exp_().to(weight.dtype) @ weight
