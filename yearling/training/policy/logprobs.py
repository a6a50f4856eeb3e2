"""Log-probabilities of chosen tokens without ever holding the logits of all of them.

The output projection is met in tiles of some rows and some columns, small enough for the processor's cache. Softmax needs its
largest logit and its sum over the whole vocabulary, which are kept running from tile to tile (2205.14135, section 3.1). Since
∂ log p(y) / ∂h = W_y − Σ_v p_v W_v needs nothing that comes later, a frozen projection computes it in the forward pass, while a
tile's exponentials are at hand; the backward pass only scales it. A projection that is trained too computes its tiles again in
the backward pass.

Shapes: N target tokens, E model width, V vocabulary, C columns of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

TILE_ROWS = 512
TILE_COLUMNS = 2048


def target_logprobs(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    labels_N: Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    tile: tuple[int, int] = (TILE_ROWS, TILE_COLUMNS),
) -> tuple[Tensor, Tensor]:
    """(log-probabilities (N,) with gradient, entropies in nats (N,) without) of softmax(h Wᵀ / temperature), in float32 or wider.

    Entropies are computed only when asked for, else they are empty. `tile` is rows and columns of the logits held at a time."""
    apply: Callable[..., tuple[Tensor, Tensor]] = _TargetLogprobs.apply  # torch leaves it without types
    return apply(hidden_NE, weight_VE, labels_N, 1.0 / temperature, entropy, tile)


class _TargetLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, scale: float, entropy: bool, tile: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        logprobs = torch.empty(hidden.shape[0], dtype=wide, device=hidden.device)
        log_totals = torch.empty_like(logprobs)
        entropies = torch.empty_like(logprobs if entropy else logprobs[:0])
        train_hidden, train_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        slopes = torch.empty_like(hidden) if train_hidden and not train_weight else None
        for rows in _tile_slices(hidden.shape[0], tile[0]):
            running = _OnlineSoftmax(hidden[rows], slopes is not None, entropy, wide)
            for columns in _tile_slices(weight.shape[0], tile[1]):
                running.update(hidden[rows], weight, labels[rows], columns, scale)
            log_totals[rows] = running.max_logits + running.sum_exp.log()
            logprobs[rows] = running.target_logits - log_totals[rows]
            if entropy:
                entropies[rows] = running.sum_exp.log() - running.sum_logit_exp / running.sum_exp
            if slopes is not None:
                slopes[rows] = weight[labels[rows]] - running.expected_weight()
        ctx.save_for_backward(hidden, weight, labels, log_totals) if train_weight else ctx.save_for_backward(slopes)
        ctx.scale, ctx.tile, ctx.train_weight = scale, tile, train_weight
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0] * ctx.scale
        if not ctx.train_weight:
            (slopes,) = ctx.saved_tensors
            return slopes * gradient[:, None].to(slopes.dtype), None, None, None, None, None
        hidden, weight, labels, log_totals = ctx.saved_tensors
        to_hidden, to_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        for rows in _tile_slices(hidden.shape[0], ctx.tile[0]):
            for columns in _tile_slices(weight.shape[0], ctx.tile[1]):
                logits = _scaled_logits(hidden[rows], weight[columns], ctx.scale, gradient.dtype)
                slope = logits.sub_(log_totals[rows, None]).exp_().neg_()
                here = _rows_within(labels[rows], columns)
                slope[here, labels[rows][here] - columns.start] += 1
                slope = slope.mul_(gradient[rows, None]).to(weight.dtype)
                to_hidden[rows].addmm_(slope, weight[columns])
                to_weight[columns].addmm_(slope.T, hidden[rows])
        return to_hidden, to_weight, None, None, None, None


class _OnlineSoftmax:
    """What is known of the softmax of some rows after a part of the vocabulary: the `largest` logit, and relative to it `total`
    Σ e^z, `weighted` Σ z e^z and the sum of the weights e^z W; besides the `chosen` logits."""

    def __init__(self, hidden: Tensor, with_gradient: bool, with_entropy: bool, dtype: torch.dtype) -> None:
        # Half of the lowest number stays finite when something is subtracted from it.
        self.max_logits = hidden.new_full((hidden.shape[0],), torch.finfo(dtype).min / 2, dtype=dtype)
        self.target_logits, self.sum_exp, self.sum_logit_exp = (torch.zeros_like(self.max_logits) for _ in range(3))
        self._sum_weight_exp = torch.zeros_like(hidden) if with_gradient else None
        self._with_entropy = with_entropy

    def update(self, hidden: Tensor, weight: Tensor, labels: Tensor, columns: slice, scale: float) -> None:
        logits = _scaled_logits(hidden, weight[columns], scale, self.max_logits.dtype)
        here = _rows_within(labels, columns)
        self.target_logits[here] = logits[here, labels[here] - columns.start]
        largest = torch.maximum(self.max_logits, logits.amax(1))
        gap = self.max_logits - largest
        shrink = gap.exp()
        logits.sub_(largest[:, None])
        if self._with_entropy:
            exponentials = logits.exp()
            self.sum_logit_exp.addcmul_(self.sum_exp, gap).mul_(shrink).add_(torch.linalg.vecdot(exponentials, logits))
        else:
            exponentials = logits.exp_()
        self.sum_exp.mul_(shrink).add_(exponentials.sum(1))
        if self._sum_weight_exp is not None:
            self._sum_weight_exp.mul_(shrink[:, None].to(hidden.dtype)).addmm_(exponentials.to(weight.dtype), weight[columns])
        self.max_logits = largest

    def expected_weight(self) -> Tensor:
        """Σ p W, (rows, E)."""
        if self._sum_weight_exp is None:
            raise RuntimeError("the weights were not summed")
        return self._sum_weight_exp / self.sum_exp[:, None].to(self._sum_weight_exp.dtype)


def _scaled_logits(hidden: Tensor, weight: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    logits: Tensor = (hidden @ weight.T).to(dtype)
    return logits if scale == 1.0 else logits.mul_(scale)


def _tile_slices(length: int, size: int) -> Iterator[slice]:
    """Parts of at most `size`, as equal as can be."""
    count = max(1, -(-length // size))
    for part in range(count):
        yield slice(length * part // count, length * (part + 1) // count)


def _rows_within(labels: Tensor, tile: slice) -> Tensor:
    """The rows whose label lies in the columns."""
    found: Tensor = ((labels >= tile.start) & (labels < tile.stop)).nonzero()[:, 0]
    return found
