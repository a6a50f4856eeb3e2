"""Sample one token per sequence from a batch of logits, in torch, with exact log-probabilities.

The rules are those of `numpy_sampler.py`, which also holds the state of a sequence; they are written twice because one works on
batches on any device and the other without torch. A row's token depends on its logits, its settings and its own random numbers
only, never on the other rows of the batch. This module knows nothing of models, caches or requests.

Shapes: `B` sequences, `V` vocabulary, `K` candidate tokens, `N` blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from yearling.inference.engine import Token
from yearling.inference.numpy_sampler import GREEDY_TEMPERATURE, NOT_FINITE, NOTHING_ALLOWED, SamplerState
from yearling.records import SamplingSettings

_BLOCK = 256
"""Entries per block of the two-level search for the sampled token."""


def sample_tokens(
    logits_BV: Tensor,
    states: Sequence[SamplerState],
    *,
    allowed: Sequence[Tensor | None] | None = None,
    num_top: Sequence[int] | None = None,
) -> list[Token]:
    """Sample one token per row and count it in the row's state.

    `allowed[b]` is a boolean mask (V,) of the tokens that the grammar allows, or None; `num_top[b]` is how many of the likeliest
    tokens to report (at most V). Raises ValueError if the largest logit of a row is not finite or a row allows no token.
    """
    logits_BV = logits_BV.float()
    log_total_B = logits_BV.logsumexp(-1)
    if not bool(torch.isfinite(log_total_B).all()):
        raise ValueError(NOT_FINITE)
    masks = allowed or [None] * len(states)
    ids = _sample_ids(process_logits(logits_BV, states, masks), states)
    sampled_B = logits_BV.gather(1, torch.tensor(ids, device=logits_BV.device)[:, None])[:, 0]
    logprobs = (sampled_B - log_total_B).tolist()
    top_logprobs = _top_logprobs(logits_BV, log_total_B, num_top or [0] * len(states))
    for state, token_id in zip(states, ids, strict=True):
        state.token_counts[token_id] += 1
    return [
        Token(id=token_id, logprob=logprob, top_logprobs=top)
        for token_id, logprob, top in zip(ids, logprobs, top_logprobs, strict=True)
    ]


def process_logits(logits_BV: Tensor, states: Sequence[SamplerState], masks: Sequence[Tensor | None]) -> Tensor:
    """Logits after bias, penalties and grammar: a changed copy, or the input itself if nothing applies. (B, V)"""
    processed_BV = logits_BV
    for row, (state, mask) in enumerate(zip(states, masks, strict=True)):
        penalties = state.penalties()
        if not state.settings.logit_bias and penalties is None and mask is None:
            continue
        if processed_BV is logits_BV:
            processed_BV = logits_BV.clone()
        row_V = processed_BV[row]
        for token_id, bias in state.settings.logit_bias:
            row_V[token_id] += bias
        if penalties is not None:
            ids, amounts = penalties
            row_V[torch.from_numpy(ids).to(row_V.device)] -= torch.from_numpy(amounts).to(row_V)
        if mask is not None:
            row_V.masked_fill_(~mask, -torch.inf)
    return processed_BV


def sampling_probabilities(logits_BV: Tensor, settings: Sequence[SamplingSettings]) -> Tensor:
    """The distribution that is sampled: after temperature, top-k, top-p and min-p. Greedy rows are one-hot. (B, V)"""
    temperature_B1 = torch.tensor(
        [[1.0 if row.temperature < GREEDY_TEMPERATURE else row.temperature] for row in settings], device=logits_BV.device
    )
    shifted_BV = logits_BV - logits_BV.amax(-1, keepdim=True)
    probs_BV = torch.softmax(shifted_BV.div_(temperature_B1), -1)
    for row, row_settings in enumerate(settings):
        if row_settings.temperature < GREEDY_TEMPERATURE:
            probs_BV[row] = F.one_hot(logits_BV[row].argmax(), logits_BV.shape[1])
        elif row_settings.top_k or row_settings.top_p < 1 or row_settings.min_p:
            probs_BV[row] = truncate_probabilities(probs_BV[row], row_settings)
    return probs_BV


def truncate_probabilities(probs_V: Tensor, settings: SamplingSettings) -> Tensor:
    """Probabilities after top-k, top-p and min-p, renormalised. (V,)

    Top-p keeps the smallest set of likeliest tokens that holds `top_p` of the mass that top-k leaves. Of equally likely tokens at
    the edge of top-p the lower ids stay; which of them are in top-k is arbitrary. At least one token stays.
    """
    vocab_size = probs_V.shape[0]
    if 0 < settings.top_k < vocab_size:
        ids_K = probs_V.topk(settings.top_k).indices.sort().values
    else:
        # Tokens below (1 - top_p) / V together hold less than 1 - top_p, so none of them is in the set and none needs sorting.
        # The factor 0.5 leaves room for rounding.
        floor = max(0.5 * (1 - settings.top_p) / vocab_size, settings.min_p * float(probs_V.amax()))
        ids_K = (probs_V >= floor).nonzero()[:, 0]
    sorted_K, order_K = probs_V[ids_K].sort(descending=True, stable=True)
    ids_K = ids_K[order_K]
    keep_K = torch.ones_like(sorted_K, dtype=torch.bool)
    if settings.top_p < 1:
        # With top-k, `top_p` is a share of the mass of the k tokens.
        total = sorted_K.sum(dtype=torch.float64) if settings.top_k else 1.0
        mass_before_K = sorted_K.cumsum(0, dtype=torch.float64) - sorted_K
        keep_K &= mass_before_K < settings.top_p * total
    if settings.min_p:
        keep_K &= sorted_K >= settings.min_p * sorted_K[0]
    keep_K[0] = True
    truncated_V = torch.zeros_like(probs_V)
    truncated_V[ids_K[keep_K]] = sorted_K[keep_K]
    return truncated_V / truncated_V.sum()


def _sample_ids(logits_BV: Tensor, states: Sequence[SamplerState]) -> list[int]:
    if bool(torch.isneginf(logits_BV.amax(-1)).any()):
        raise ValueError(NOTHING_ALLOWED)
    ids = logits_BV.argmax(-1).tolist()
    rows = [row for row, state in enumerate(states) if not state.is_greedy]
    if rows:
        random_BV = logits_BV if len(rows) == len(states) else logits_BV[rows]
        probs_BV = sampling_probabilities(random_BV, [states[row].settings for row in rows])
        sampled_ids = sample_inverse_cdf(probs_BV, [states[row].next_uniform() for row in rows])
        for row, token_id in zip(rows, sampled_ids, strict=True):
            ids[row] = token_id
    return [int(token_id) for token_id in ids]


def sample_inverse_cdf(probs_BV: Tensor, uniforms: Sequence[float]) -> list[int]:
    """The first token of each row at which the cumulative probability exceeds the row's uniform number.

    The search has two levels, blocks and then entries, with float64 sums: a single float32 cumulative sum over the whole
    vocabulary would lose the tail. A token of probability zero is never sampled.
    """
    padded_BV = F.pad(probs_BV, (0, -probs_BV.shape[1] % _BLOCK))
    blocks_BNK = padded_BV.view(padded_BV.shape[0], -1, _BLOCK)
    edges_BN = blocks_BNK.sum(-1, dtype=torch.float64).cumsum(-1)
    total_B1 = edges_BN[:, -1:]
    target_B1 = torch.tensor(uniforms, dtype=torch.float64, device=probs_BV.device)[:, None] * total_B1
    target_B1 = torch.minimum(target_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    block_B1 = torch.searchsorted(edges_BN, target_B1, right=True).clamp_(max=edges_BN.shape[1] - 1)
    before_B1 = F.pad(edges_BN, (1, 0)).gather(1, block_B1)
    rows_B = torch.arange(probs_BV.shape[0], device=probs_BV.device)
    within_BK = blocks_BNK[rows_B, block_B1[:, 0]].double()
    cumulative_BK = within_BK.cumsum(-1)
    # Rounding may put the target slightly past the block's own sum; the last token with any mass is then the right one.
    limit_B1 = torch.nextafter(cumulative_BK[:, -1:], torch.zeros_like(target_B1))
    entry_B1 = torch.searchsorted(cumulative_BK, torch.minimum(target_B1 - before_B1, limit_B1), right=True)
    return [int(token) for token in (block_B1 * _BLOCK + entry_B1)[:, 0].tolist()]


def _top_logprobs(logits_BV: Tensor, log_total_B: Tensor, num_top: Sequence[int]) -> list[tuple[tuple[int, float], ...]]:
    max_top = max(num_top, default=0)
    if max_top == 0:
        return [()] * len(num_top)
    values_BK, ids_BK = logits_BV.topk(min(max_top, logits_BV.shape[1]))
    logprobs_BK = (values_BK - log_total_B[:, None]).tolist()
    return [
        tuple(zip(ids[:count], logprobs[:count], strict=True))
        for ids, logprobs, count in zip(ids_BK.tolist(), logprobs_BK, num_top, strict=True)
    ]
