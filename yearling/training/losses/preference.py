"""The losses of supervised and preference learning, as pure functions of log-probabilities.

Every function gives one value per item (token, pair or answer) in nats, unreduced: the loop sums them and divides by what the
whole optimiser step holds, so that micro-batches never change a gradient. Δ is log(π_θ/π_ref) summed over an answer's tokens,
q the probability that the first answer is better.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def soft_preference_loss(margin_P: Tensor, q_P: Tensor) -> Tensor:
    """−q log σ(m) − (1 − q) log σ(−m): the cross-entropy of a Bradley–Terry model with a soft label (cDPO; 2203.02155, eq. 1 at
    q = 1). Its gradient is −(q − σ(m)), so it is least where σ(m) = q."""
    return -q_P * F.logsigmoid(margin_P) - (1 - q_P) * F.logsigmoid(-margin_P)


def dpo_loss(delta_first_P: Tensor, delta_second_P: Tensor, q_P: Tensor, *, beta: float) -> Tensor:
    """DPO (2305.18290, eq. 7) with soft labels, per pair; ln 2 where the policy is its reference."""
    return soft_preference_loss(beta * (delta_first_P - delta_second_P), q_P)


def winner_nll_loss(
    logp_first_P: Tensor, logp_second_P: Tensor, tokens_first_P: Tensor, tokens_second_P: Tensor, q_P: Tensor
) -> Tensor:
    """NLL(y_w) / |y_w| of the likelier winner (2404.19733, eq. 1), per pair, times |2q − 1|: all of it for a sure label, nothing
    where both answers are as good."""
    first = -logp_first_P / tokens_first_P
    second = -logp_second_P / tokens_second_P
    return (2 * q_P - 1).clamp(min=0) * first + (1 - 2 * q_P).clamp(min=0) * second


def kto_loss(
    delta_A: Tensor, is_up_A: Tensor, reference_point: Tensor, *, beta: float, weight_up: float, weight_down: float
) -> Tensor:
    """KTO (2402.01306, eq. 8), per answer. `z0` is the reference point, the same for the whole optimiser step; it carries no
    gradient. A good answer is to lie above it, a bad one below."""
    point = reference_point.detach()
    good = weight_up * (1 - F.sigmoid(beta * (delta_A - point)))
    bad = weight_down * (1 - F.sigmoid(beta * (point - delta_A)))
    return good.where(is_up_A, bad)


def kto_reference_point(mismatched_delta_M: Tensor) -> Tensor:
    """z₀ = max(0, mean Δ of answers under prompts that they do not belong to): a biased, low-variance stand-in for the KL to the
    reference (2402.01306, section 4.1)."""
    return mismatched_delta_M.detach().mean().clamp(min=0)


def kto_weights(num_up: int, num_down: int) -> tuple[float, float]:
    """(λ_D, λ_U) that let both kinds count alike, λ_D·n_D = λ_U·n_U, by raising the rarer kind."""
    if not num_up or not num_down:
        return 1.0, 1.0
    return max(1.0, num_down / num_up), max(1.0, num_up / num_down)


def reward_model_loss(reward_first_P: Tensor, reward_second_P: Tensor, q_P: Tensor, *, centre: float = 0.01) -> Tensor:
    """Bradley–Terry (2203.02155, eq. 1) with soft labels, per pair, plus `centre`·(r_a + r_b)², which settles the constant that
    differences leave open (2312.09244)."""
    return soft_preference_loss(reward_first_P - reward_second_P, q_P) + centre * (reward_first_P + reward_second_P).square()


def k2(logp_N: Tensor, reference_N: Tensor) -> Tensor:
    """½ (log π − log π_ref)², per token: as a loss its on-policy gradient is that of the KL to the reference."""
    return 0.5 * (logp_N - reference_N).square()
