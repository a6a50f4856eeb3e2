"""Losses of reinforcement learning: pure functions of the log-probabilities of sampled tokens.

Every loss is a sum over tokens divided by `denominator`, the token count of the *whole optimiser step*. The losses of
micro-batches therefore add up to the same gradient however the step is split. Metrics are divided by the same denominator and add
up likewise.

Three policies take part: the *sampled* one (the engine that sampled the tokens, at its temperature), the *old* one (the trainer's
at the start of the step), and the one in *training*. The ratio ρ = training / old is clipped. The ratio old / sampled corrects
for the engine; it is truncated and detached.

Shapes: N tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLIP_LOW = 0.2
CLIP_HIGH = 0.28
"""Wider above than below, so that unlikely tokens can grow (2503.14476)."""
MAX_IMPORTANCE_RATIO = 2.0
"""Upper bound on the ratio between the trainer's policy and the sampling engine's."""


@dataclass(frozen=True, slots=True)
class PartialLoss:
    """What one micro-batch contributes to a step: a scalar loss to differentiate, and metrics to add up over micro-batches."""

    loss: Tensor
    metrics: dict[str, float]


def truncated_importance_weights(
    old_logps_N: Tensor, sampled_logps_N: Tensor, *, max_ratio: float = MAX_IMPORTANCE_RATIO
) -> Tensor:
    """π_old / π_sampled of each token, (N,), at most `max_ratio`, detached: the weight that corrects samples of another
    engine."""
    return (old_logps_N - sampled_logps_N).exp().clamp(max=max_ratio).detach()


def clipped_policy_loss(
    logps_N: Tensor,
    old_logps_N: Tensor,
    advantages_N: Tensor,
    *,
    denominator: float,
    weights_N: Tensor | None = None,
    clip_low: float = CLIP_LOW,
    clip_high: float = CLIP_HIGH,
) -> PartialLoss:
    """−min(ρA, clip(ρ, 1 − clip_low, 1 + clip_high)A) · weight (1707.06347, equation 7, with the two bounds of 2503.14476).

    With `old_logps_N` equal to `logps_N.detach()` it is the plain policy gradient at ρ = 1. Metrics: `ratio` (mean ρ) and
    `clipped`, the share of tokens whose gradient the clip removed.
    """
    ratio_N = (logps_N - old_logps_N.detach()).exp()
    unclipped_N = ratio_N * advantages_N
    clipped_N = ratio_N.clamp(1 - clip_low, 1 + clip_high) * advantages_N
    weights_N = torch.ones_like(logps_N) if weights_N is None else weights_N.detach()
    loss = -(torch.minimum(unclipped_N, clipped_N) * weights_N).sum() / denominator
    with torch.no_grad():
        metrics = {
            "ratio": float(ratio_N.sum()) / denominator,
            "clipped": float((clipped_N < unclipped_N).sum()) / denominator,
        }
    return PartialLoss(loss, metrics)


def clipped_value_loss(
    values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, *, denominator: float, clip: float | None = 0.2
) -> PartialLoss:
    """½ · max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²). With `clip` None the value is not clipped. Metric: `value_loss`."""
    errors_N = (values_N - returns_N).square()
    if clip is not None:
        clipped_values_N = old_values_N + (values_N - old_values_N).clamp(-clip, clip)
        errors_N = torch.maximum(errors_N, (clipped_values_N - returns_N).square())
    loss = 0.5 * errors_N.sum() / denominator
    return PartialLoss(loss, {"value_loss": float(loss.detach())})
