"""Losses of preference learning: pure functions of log-probabilities and rewards.

Every function returns one value per item in nats, without reduction. The method sums them and divides by the total of the whole
optimiser step, so micro-batches never change a gradient. Δ is log(π_θ/π_ref) summed over an answer's tokens; q is the probability
that the first answer is better.

Shapes: P pairs, A answers, M mismatched answers.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def soft_preference_loss(margin_P: Tensor, q_P: Tensor) -> Tensor:
    """−q log σ(m) − (1 − q) log σ(−m), (P,): the cross-entropy of a Bradley–Terry model with a soft label (cDPO).

    At q = 1 it is equation 1 of 2203.02155. Its gradient is −(q − σ(m)), so its minimum is at σ(m) = q."""
    return -q_P * F.logsigmoid(margin_P) - (1 - q_P) * F.logsigmoid(-margin_P)


def dpo_loss(delta_first_P: Tensor, delta_second_P: Tensor, q_P: Tensor, *, beta: float) -> Tensor:
    """DPO (2305.18290, equation 7) with soft labels, (P,). It is ln 2 if the policy equals its reference."""
    return soft_preference_loss(beta * (delta_first_P - delta_second_P), q_P)


def winner_nll_loss(
    logp_first_P: Tensor, logp_second_P: Tensor, tokens_first_P: Tensor, tokens_second_P: Tensor, q_P: Tensor
) -> Tensor:
    """NLL(y_w) / |y_w| of the likelier winner (2404.19733, equation 1), times |2q − 1|, (P,).

    A certain label counts fully; a label of q = ½ has no winner and counts nothing."""
    first = -logp_first_P / tokens_first_P
    second = -logp_second_P / tokens_second_P
    return (2 * q_P - 1).clamp(min=0) * first + (1 - 2 * q_P).clamp(min=0) * second


def kto_loss(
    delta_A: Tensor, is_up_A: Tensor, reference_point: Tensor, *, beta: float, weight_up: float, weight_down: float
) -> Tensor:
    """KTO (2402.01306, equation 8), (A,). Good answers are pushed above the reference point, bad ones below it.

    `reference_point` is the same for the whole optimiser step and carries no gradient."""
    z0 = reference_point.detach()
    good = weight_up * (1 - F.sigmoid(beta * (delta_A - z0)))
    bad = weight_down * (1 - F.sigmoid(beta * (z0 - delta_A)))
    return good.where(is_up_A, bad)


def kto_reference_point(mismatched_delta_M: Tensor) -> Tensor:
    """z₀ = max(0, mean Δ of answers paired with other prompts), a scalar (2402.01306, section 4.1).

    It is a biased, low-variance estimate of the KL divergence from the reference."""
    return mismatched_delta_M.detach().mean().clamp(min=0)


def kto_weights(num_up: int, num_down: int) -> tuple[float, float]:
    """(λ_D, λ_U) that give both kinds of thumbs the same total weight, λ_D·n_D = λ_U·n_U, by raising the rarer kind."""
    if not num_up or not num_down:
        return 1.0, 1.0
    return max(1.0, num_down / num_up), max(1.0, num_up / num_down)


def reward_model_loss(reward_first_P: Tensor, reward_second_P: Tensor, q_P: Tensor, *, centre: float = 0.01) -> Tensor:
    """Bradley–Terry (2203.02155, equation 1) with soft labels, plus `centre`·(r_a + r_b)², (P,).

    The second term fixes the constant that differences of rewards leave open (2312.09244)."""
    return soft_preference_loss(reward_first_P - reward_second_P, q_P) + centre * (reward_first_P + reward_second_P).square()
