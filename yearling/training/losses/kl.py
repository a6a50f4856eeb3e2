"""Estimates of the KL divergence of a policy from its reference, and the loss that penalises it.

The estimators are named as in Schulman, "Approximating KL divergence" (2020). k3 is missing on purpose: its value is unbiased,
but its gradient as a loss is not.

Shapes: N tokens sampled from the policy.
"""

from __future__ import annotations

from torch import Tensor

from yearling.training.losses.policy_gradient import PartialLoss


def k1(logps_N: Tensor, reference_logps_N: Tensor) -> Tensor:
    """log π − log π_ref of each sampled token, (N,), detached: the estimate of KL(π‖π_ref) to subtract from a reward.

    It is no loss: the expected gradient of log π is zero, so it would teach nothing."""
    return (logps_N - reference_logps_N).detach()


def k2(logps_N: Tensor, reference_logps_N: Tensor) -> Tensor:
    """½ (log π − log π_ref)² of each token, (N,). Minimised on the policy's own samples, its gradient is that of KL(π‖π_ref)."""
    return 0.5 * (logps_N - reference_logps_N).square()


def k2_loss(logps_N: Tensor, reference_logps_N: Tensor, *, denominator: float, weights_N: Tensor | None = None) -> PartialLoss:
    """Sum of k2 over tokens divided by `denominator`, with optional weights. Metric: `kl`, the mean of k1 in nats per token."""
    squares_N = k2(logps_N, reference_logps_N.detach())
    if weights_N is not None:
        squares_N = squares_N * weights_N.detach()
    kl = float(k1(logps_N, reference_logps_N).sum()) / denominator
    return PartialLoss(squares_N.sum() / denominator, {"kl": kl})
