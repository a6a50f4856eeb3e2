"""Losses of reinforcement learning: pure functions of the log-probabilities of drawn tokens.

Every loss is a sum over tokens divided by `denominator`, the token count of the *whole optimiser step*: parts of a step add up to
the same gradient however it was cut. Figures are shares of the same denominator and add up likewise.

Three policies meet here: the one that *sampled* (whatever engine drew the tokens, at its temperature), the *old* one (the
trainer's when the step began) and the one in *training*. ρ = training / old is clipped; old / sampled corrects for the engine and
is truncated and detached. k1, k2 and k3 are named as in Schulman, "Approximating KL divergence" (2020).

Shapes: N tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLIP_LOW = 0.2
CLIP_HIGH = 0.28
"""Wider above than below, so that unlikely tokens may grow (2503.14476)."""
MAX_IMPORTANCE_RATIO = 2.0
"""Of the ratio between the trainer's policy and the sampling engine's."""


@dataclass(frozen=True, slots=True)
class PartialLoss:
    """What some of a step's tokens contribute: a loss to differentiate, and figures to add to those of the other parts."""

    loss: Tensor
    metrics: dict[str, float]


def truncated_importance_weights(
    old_logps_N: Tensor, sampled_logps_N: Tensor, *, max_ratio: float = MAX_IMPORTANCE_RATIO
) -> Tensor:
    """π_old / π_sampled of each token, at most `cap`, detached: the weight that makes another engine's samples ours."""
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
    """−min(ρA, clip(ρ, 1 − low, 1 + high)A) · weight (1707.06347, equation 7, with DAPO's two bounds).

    `old_logps_N` equal to `logps_N.detach()` makes it the plain policy gradient at ρ = 1. Figures: `ratio` (mean ρ) and
    `clipped`, the share of tokens whose gradient the clip took away.
    """
    ratio_N = (logps_N - old_logps_N.detach()).exp()
    plain_N = ratio_N * advantages_N
    bounded_N = ratio_N.clamp(1 - clip_low, 1 + clip_high) * advantages_N
    weights_N = torch.ones_like(logps_N) if weights_N is None else weights_N.detach()
    loss = -(torch.minimum(plain_N, bounded_N) * weights_N).sum() / denominator
    with torch.no_grad():
        figures = {
            "ratio": float(ratio_N.sum()) / denominator,
            "clipped": float((bounded_N < plain_N).sum()) / denominator,
        }
    return PartialLoss(loss, figures)


def clipped_value_loss(
    values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, *, denominator: float, clip: float | None = 0.2
) -> PartialLoss:
    """½ · max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²); `clip` None leaves the bound out."""
    errors_N = (values_N - returns_N).square()
    if clip is not None:
        near_N = old_values_N + (values_N - old_values_N).clamp(-clip, clip)
        errors_N = torch.maximum(errors_N, (near_N - returns_N).square())
    loss = 0.5 * errors_N.sum() / denominator
    return PartialLoss(loss, {"value_loss": float(loss.detach())})


def k1(logps_N: Tensor, reference_logps_N: Tensor) -> Tensor:
    """log π − log π_ref of each drawn token, detached: the estimate of KL(π‖π_ref) that is taken off a reward. As a loss its
    gradient would be that of log π, whose mean is zero: it would teach nothing."""
    return (logps_N - reference_logps_N).detach()


def k2_loss(logps_N: Tensor, reference_logps_N: Tensor, *, denominator: float, weights_N: Tensor | None = None) -> PartialLoss:
    """½ (log π − log π_ref)²: as a loss on the policy's own samples its gradient is that of KL(π‖π_ref); k3, whose
    value is unbiased, has a biased one. Figure: `kl`, the mean of k1 in nats per token."""
    gap_N = logps_N - reference_logps_N.detach()
    squares_N = 0.5 * gap_N.square()
    if weights_N is not None:
        squares_N = squares_N * weights_N.detach()
    return PartialLoss(squares_N.sum() / denominator, {"kl": float(gap_N.detach().sum()) / denominator})
