"""Log-probabilities of target tokens, without ever holding the logits of all of them.

The output projection is computed in tiles of rows and columns that fit the processor's cache. The largest logit and the sum of
the softmax are updated from tile to tile (2205.14135, section 3.1). The gradient ∂ log p(y) / ∂h = W_y − Σ_v p_v W_v depends on
nothing that comes later. For a frozen projection the forward pass therefore computes it while a tile's exponentials are at hand,
and the backward pass only scales it. For a trained projection the backward pass computes the tiles again.

Shapes: N target tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

TILE_ROWS = 512
TILE_COLUMNS = 2048
"""Default size of a tile of logits."""


def target_logprobs(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    labels_N: Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    tile: tuple[int, int] = (TILE_ROWS, TILE_COLUMNS),
) -> tuple[Tensor, Tensor]:
    """(log-probabilities (N,), entropies in nats (N,)) of softmax(h Wᵀ / temperature), in float32 or wider.

    Only the log-probabilities carry a gradient. With `entropy` False the entropies are empty, (0,). `tile` is the number of rows
    and columns of logits that are held at a time."""
    apply: Callable[..., tuple[Tensor, Tensor]] = _TargetLogprobs.apply  # torch does not type it
    return apply(hidden_NE, weight_VE, labels_N, 1.0 / temperature, entropy, tile)


class _LogprobContext(FunctionCtx):
    """What the forward pass leaves for the backward pass."""

    scale: float
    tile: tuple[int, int]
    train_weight: bool
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _TargetLogprobs(torch.autograd.Function):
    """`target_logprobs` as an autograd function."""

    @staticmethod
    def forward(
        ctx: _LogprobContext, hidden: Tensor, weight: Tensor, labels: Tensor, scale: float, entropy: bool, tile: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        wide_dtype = torch.promote_types(hidden.dtype, torch.float32)
        logprobs = torch.empty(hidden.shape[0], dtype=wide_dtype, device=hidden.device)
        log_sums = torch.empty_like(logprobs)
        entropies = torch.empty_like(logprobs if entropy else logprobs[:0])
        train_hidden, train_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if train_hidden and not train_weight else None
        for rows in _tile_slices(hidden.shape[0], tile[0]):
            softmax = _OnlineSoftmax(hidden[rows], grad_hidden is not None, entropy, wide_dtype)
            for columns in _tile_slices(weight.shape[0], tile[1]):
                softmax.update(hidden[rows], weight, labels[rows], columns, scale)
            log_sums[rows] = softmax.max_logits + softmax.sum_exp.log()
            logprobs[rows] = softmax.target_logits - log_sums[rows]
            if entropy:
                entropies[rows] = softmax.sum_exp.log() - softmax.sum_logit_exp / softmax.sum_exp
            if grad_hidden is not None:
                grad_hidden[rows] = weight[labels[rows]] - softmax.expected_weight()
        if train_weight:
            ctx.save_for_backward(hidden, weight, labels, log_sums)
        elif grad_hidden is not None:
            ctx.save_for_backward(grad_hidden)
        ctx.scale, ctx.tile, ctx.train_weight = scale, tile, train_weight
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    def backward(ctx: _LogprobContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_output = gradients[0] * ctx.scale
        if not ctx.train_weight:
            (grad_hidden,) = ctx.saved_tensors
            return grad_hidden * grad_output[:, None].to(grad_hidden.dtype), None, None, None, None, None
        hidden, weight, labels, log_sums = ctx.saved_tensors
        grad_hidden, grad_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        for rows in _tile_slices(hidden.shape[0], ctx.tile[0]):
            for columns in _tile_slices(weight.shape[0], ctx.tile[1]):
                logits = _scaled_logits(hidden[rows], weight[columns], ctx.scale, grad_output.dtype)
                grad_logits = logits.sub_(log_sums[rows, None]).exp_().neg_()
                targets = _rows_within(labels[rows], columns)
                grad_logits[targets, labels[rows][targets] - columns.start] += 1
                grad_logits = grad_logits.mul_(grad_output[rows, None]).to(weight.dtype)
                grad_hidden[rows].addmm_(grad_logits, weight[columns])
                grad_weight[columns].addmm_(grad_logits.T, hidden[rows])
        return grad_hidden, grad_weight, None, None, None, None


class _OnlineSoftmax:
    """The softmax of some rows after a part of the vocabulary.

    `max_logits` is the largest logit so far. Relative to it, `sum_exp` is Σ e^z, `sum_logit_exp` is Σ z e^z, and the weights e^z
    W are summed for the gradient. `target_logits` are the logits of the labels."""

    def __init__(self, hidden: Tensor, with_gradient: bool, with_entropy: bool, dtype: torch.dtype) -> None:
        # Half of the lowest number stays finite if something is subtracted from it.
        self.max_logits = hidden.new_full((hidden.shape[0],), torch.finfo(dtype).min / 2, dtype=dtype)
        self.target_logits, self.sum_exp, self.sum_logit_exp = (torch.zeros_like(self.max_logits) for _ in range(3))
        self._sum_weight_exp = torch.zeros_like(hidden) if with_gradient else None
        self._with_entropy = with_entropy

    def update(self, hidden: Tensor, weight: Tensor, labels: Tensor, columns: slice, scale: float) -> None:
        """Add the logits of some columns."""
        logits = _scaled_logits(hidden, weight[columns], scale, self.max_logits.dtype)
        targets = _rows_within(labels, columns)
        self.target_logits[targets] = logits[targets, labels[targets] - columns.start]
        new_max = torch.maximum(self.max_logits, logits.amax(1))
        log_rescale = self.max_logits - new_max
        rescale = log_rescale.exp()
        logits.sub_(new_max[:, None])
        if self._with_entropy:
            exponentials = logits.exp()
            self.sum_logit_exp.addcmul_(self.sum_exp, log_rescale).mul_(rescale).add_(torch.linalg.vecdot(exponentials, logits))
        else:
            exponentials = logits.exp_()
        self.sum_exp.mul_(rescale).add_(exponentials.sum(1))
        if self._sum_weight_exp is not None:
            self._sum_weight_exp.mul_(rescale[:, None].to(hidden.dtype)).addmm_(exponentials.to(weight.dtype), weight[columns])
        self.max_logits = new_max

    def expected_weight(self) -> Tensor:
        """Σ p W, (rows, E). Raises RuntimeError without `with_gradient`."""
        if self._sum_weight_exp is None:
            raise RuntimeError("the weights were not summed: with_gradient is off")
        return self._sum_weight_exp / self.sum_exp[:, None].to(self._sum_weight_exp.dtype)


def _scaled_logits(hidden: Tensor, weight: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    logits: Tensor = (hidden @ weight.T).to(dtype)
    return logits if scale == 1.0 else logits.mul_(scale)


def _tile_slices(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size`, as equal as possible, that cover `length`."""
    count = max(1, -(-length // size))
    for part in range(count):
        yield slice(length * part // count, length * (part + 1) // count)


def _rows_within(labels: Tensor, tile: slice) -> Tensor:
    """The rows whose label lies in the tile's columns."""
    rows: Tensor = ((labels >= tile.start) & (labels < tile.stop)).nonzero()[:, 0]
    return rows
