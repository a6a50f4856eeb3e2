"""From logits to a token and its exact log-probability: pure functions of tensors, one row per sequence.

Knows nothing of models, caches or requests in flight. A row's token depends on its logits, its settings and its own random
numbers only, so it does not matter who shares the batch. Two distributions are kept apart:

- the *reported* one: the model's whole distribution at temperature 1, from the untouched logits, in fp32;
- the one the token is *drawn* from, made of the same logits in this order: logit bias, presence and frequency penalty, grammar
  mask, temperature, top-k, top-p, min-p (the order of the OpenAI API's published description; vLLM and transformers agree).

Shapes: `B` sequences, `V` vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from yearling.records import SamplingSettings

GREEDY_TEMPERATURE = 1e-5
"""Temperatures below this are greedy: dividing by them would leave the range of fp32."""

_BLOCK = 256
"""Entries per block of the two-level search for the drawn token."""


@dataclass(slots=True)
class TorchSamplerState:
    """What the sampler must remember of one sequence: its random numbers and how often it emitted each token."""

    settings: SamplingSettings
    token_counts: Counter[int] = field(default_factory=Counter)
    _random: np.random.Generator | None = None

    def next_uniform(self) -> float:
        """The next number in [0, 1) of this sequence's own stream, which its seed alone decides."""
        if self._random is None:
            self._random = np.random.Generator(np.random.Philox(key=self.settings.seed % 2**128))
        return float(self._random.random())


@dataclass(frozen=True, slots=True)
class SampledToken:
    """One drawn token; `logprob` and `top` are of the whole distribution at temperature 1, in nats."""

    id: int
    logprob: float
    top_logprobs: tuple[tuple[int, float], ...] = ()


def sample_tokens(
    logits_BV: Tensor,
    states: Sequence[TorchSamplerState],
    *,
    allowed: Sequence[Tensor | None] | None = None,
    num_top: Sequence[int] | None = None,
) -> list[SampledToken]:
    """Draw one token per row and count it in the row's state.

    `allowed[b]` is a boolean mask (V,) of the tokens that the grammar permits, or None; `num_top[b]` says how many of the
    likeliest tokens to report. Raises ValueError when a row is not finite or permits no token.
    """
    logits_BV = logits_BV.float()
    log_total_B = logits_BV.logsumexp(-1)
    if not bool(torch.isfinite(log_total_B).all()):
        raise ValueError("The model's logits are not finite.")
    masks = allowed or [None] * len(states)
    ids = _choose(process_logits(logits_BV, states, masks), states)
    picked_B = logits_BV.gather(1, torch.tensor(ids, device=logits_BV.device)[:, None])[:, 0]
    logprobs = (picked_B - log_total_B).tolist()
    tops = _likeliest(logits_BV, log_total_B, num_top or [0] * len(states))
    for state, token_id in zip(states, ids, strict=True):
        state.token_counts[token_id] += 1
    return [SampledToken(*row) for row in zip(ids, logprobs, tops, strict=True)]


def process_logits(logits_BV: Tensor, states: Sequence[TorchSamplerState], masks: Sequence[Tensor | None]) -> Tensor:
    """Logits after bias, penalties and grammar; the input itself where nothing applies, else a changed copy. (B, V)"""
    adjusted_BV = logits_BV
    for row, (state, mask) in enumerate(zip(states, masks, strict=True)):
        settings = state.settings
        penalised = bool(state.token_counts) and bool(settings.presence_penalty or settings.frequency_penalty)
        if not settings.logit_bias and not penalised and mask is None:
            continue
        if adjusted_BV is logits_BV:
            adjusted_BV = logits_BV.clone()
        row_V = adjusted_BV[row]
        for token_id, bias in settings.logit_bias:
            row_V[token_id] += bias
        if penalised:
            at = torch.tensor(list(state.token_counts), device=row_V.device)
            times = torch.tensor(list(state.token_counts.values()), dtype=row_V.dtype, device=row_V.device)
            row_V[at] -= settings.presence_penalty + settings.frequency_penalty * times
        if mask is not None:
            row_V.masked_fill_(~mask, -torch.inf)
    return adjusted_BV


def sampling_probabilities(logits_BV: Tensor, settings: Sequence[SamplingSettings]) -> Tensor:
    """The distribution that tokens are drawn from, after temperature, top-k, top-p and min-p; greedy rows are one-hot. (B, V)"""
    temperature_B1 = torch.tensor(
        [[1.0 if one.temperature < GREEDY_TEMPERATURE else one.temperature] for one in settings], device=logits_BV.device
    )
    shifted_BV = logits_BV - logits_BV.amax(-1, keepdim=True)
    probs_BV = torch.softmax(shifted_BV.div_(temperature_B1), -1)
    for row, one in enumerate(settings):
        if one.temperature < GREEDY_TEMPERATURE:
            probs_BV[row] = F.one_hot(logits_BV[row].argmax(), logits_BV.shape[1])
        elif one.top_k or one.top_p < 1 or one.min_p:
            probs_BV[row] = truncate_probabilities(probs_BV[row], one)
    return probs_BV


def truncate_probabilities(probs_V: Tensor, settings: SamplingSettings) -> Tensor:
    """Top-k, then the smallest set of likeliest tokens that holds `top_p` of what is left, then min-p; renormalised. (V,)

    Of equals at an edge the lower id stays, but which of them are in top-k is arbitrary. One token always stays.
    """
    vocabulary = probs_V.shape[0]
    if 0 < settings.top_k < vocabulary:
        ids_K = probs_V.topk(settings.top_k).indices.sort().values
    else:
        # Tokens below (1 - top_p) / V together hold less than 1 - top_p, so none of them is in the set: no need to sort them.
        # The half leaves room for rounding.
        floor = max(0.5 * (1 - settings.top_p) / vocabulary, settings.min_p * float(probs_V.amax()))
        ids_K = (probs_V >= floor).nonzero()[:, 0]
    sorted_K, order_K = probs_V[ids_K].sort(descending=True, stable=True)
    ids_K = ids_K[order_K]
    keep_K = torch.ones_like(sorted_K, dtype=torch.bool)
    if settings.top_p < 1:
        # Within top-k the mass is that of the k tokens.
        total = sorted_K.sum(dtype=torch.float64) if settings.top_k else 1.0
        before_K = sorted_K.cumsum(0, dtype=torch.float64) - sorted_K
        keep_K &= before_K < settings.top_p * total
    if settings.min_p:
        keep_K &= sorted_K >= settings.min_p * sorted_K[0]
    keep_K[0] = True
    kept_V = torch.zeros_like(probs_V)
    kept_V[ids_K[keep_K]] = sorted_K[keep_K]
    return kept_V / kept_V.sum()


def _choose(logits_BV: Tensor, states: Sequence[TorchSamplerState]) -> list[int]:
    if bool(torch.isneginf(logits_BV.amax(-1)).any()):
        raise ValueError("No token is permitted here.")
    ids = logits_BV.argmax(-1).tolist()
    rows = [row for row, state in enumerate(states) if state.settings.temperature >= GREEDY_TEMPERATURE]
    if rows:
        chosen_BV = logits_BV if len(rows) == len(states) else logits_BV[rows]
        probs_BV = sampling_probabilities(chosen_BV, [states[row].settings for row in rows])
        drawn = sample_inverse_cdf(probs_BV, [states[row].next_uniform() for row in rows])
        for row, token_id in zip(rows, drawn, strict=True):
            ids[row] = token_id
    return [int(token_id) for token_id in ids]


def sample_inverse_cdf(probs_BV: Tensor, uniforms: Sequence[float]) -> list[int]:
    """The token at which each row's cumulative probability first exceeds its uniform number.

    In two levels, blocks and then entries, with fp64 sums: one cumulative sum in fp32 over the whole vocabulary would lose the
    tail. A token of probability zero is never chosen.
    """
    padded_BV = F.pad(probs_BV, (0, -probs_BV.shape[1] % _BLOCK))
    blocks_BNK = padded_BV.view(padded_BV.shape[0], -1, _BLOCK)
    edges_BN = blocks_BNK.sum(-1, dtype=torch.float64).cumsum(-1)
    target_B1 = torch.tensor(uniforms, dtype=torch.float64, device=probs_BV.device)[:, None] * edges_BN[:, -1:]
    block_B1 = torch.searchsorted(edges_BN, target_B1, right=True).clamp_(max=edges_BN.shape[1] - 1)
    before_B1 = F.pad(edges_BN, (1, 0)).gather(1, block_B1)
    rows_B = torch.arange(probs_BV.shape[0], device=probs_BV.device)
    within_BK = blocks_BNK[rows_B, block_B1[:, 0]].double()
    cumulative_BK = within_BK.cumsum(-1)
    # Rounding may put the target a hair past the block's own sum; the last token with any mass is then the right one.
    limit_B1 = torch.nextafter(cumulative_BK[:, -1:], torch.zeros_like(target_B1))
    place_B1 = torch.searchsorted(cumulative_BK, torch.minimum(target_B1 - before_B1, limit_B1), right=True)
    return [int(token) for token in (block_B1 * _BLOCK + place_B1)[:, 0].tolist()]


def _likeliest(logits_BV: Tensor, log_total_B: Tensor, num_top: Sequence[int]) -> list[tuple[tuple[int, float], ...]]:
    most = max(num_top, default=0)
    if most == 0:
        return [()] * len(num_top)
    values_BK, ids_BK = logits_BV.topk(min(most, logits_BV.shape[1]))
    logprobs_BK = (values_BK - log_total_B[:, None]).tolist()
    return [
        tuple(zip(ids[:count], logprobs[:count], strict=True))
        for ids, logprobs, count in zip(ids_BK.tolist(), logprobs_BK, num_top, strict=True)
    ]
