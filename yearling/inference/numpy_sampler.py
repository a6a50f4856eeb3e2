"""Sample one token from a row of logits, in numpy; also the parts that the torch sampler shares.

For engines that hand over logits and run without torch. `torch_sampler.py` follows the same rules in the same order on batches
of tensors; `tests/inference/sampling_cases.py` holds the cases that both must pass. Two distributions are kept apart:

- the *reported* one: the model's whole distribution at temperature 1, from the unchanged logits;
- the *sampled* one, made from the same logits in this order: logit bias, presence and frequency penalty, grammar mask,
  temperature, top-k, top-p, min-p. This is the order of the OpenAI API's published description; vLLM and transformers use it
  too.

A seed gives the same random numbers in every local engine. This module is independent of models, caches and requests.

Shapes: `V` vocabulary.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from yearling.inference.engine import Token
from yearling.records import SamplingSettings

GREEDY_TEMPERATURE = 1e-5
"""Temperatures below this are greedy: dividing by them would leave the range of float32."""

NOT_FINITE = "The model's logits are not finite."
NOTHING_ALLOWED = "The grammar allows no token here."

FloatVector = npt.NDArray[np.float32]
TokenMask = npt.NDArray[np.bool_]


def random_stream(seed: int) -> np.random.Generator:
    """The random numbers that belong to a seed, which may be any integer (Philox, keyed by the seed modulo 2**128)."""
    return np.random.Generator(np.random.Philox(key=seed % 2**128))


@dataclass(slots=True)
class SamplerState:
    """What a sampler remembers of one sequence: its random stream, and how often it emitted each token."""

    settings: SamplingSettings
    token_counts: Counter[int] = field(default_factory=Counter)
    _random: np.random.Generator | None = None

    def next_uniform(self) -> float:
        """The next number in [0, 1) of this sequence's own stream; it depends on the seed only."""
        if self._random is None:
            self._random = random_stream(self.settings.seed)
        return float(self._random.random())

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken, without a random number."""
        return self.settings.temperature < GREEDY_TEMPERATURE

    @property
    def truncates(self) -> bool:
        """Whether top-k, top-p or min-p narrows the distribution."""
        return bool(self.settings.top_k or self.settings.top_p < 1 or self.settings.min_p)

    def penalties(self) -> tuple[npt.NDArray[np.int64], FloatVector] | None:
        """(ids of the emitted tokens, what to subtract from their logits); None if no penalty applies."""
        settings = self.settings
        if not self.token_counts or not (settings.presence_penalty or settings.frequency_penalty):
            return None
        ids = np.fromiter(self.token_counts, np.int64)
        counts = np.fromiter(self.token_counts.values(), np.float32)
        return ids, np.float32(settings.presence_penalty) + np.float32(settings.frequency_penalty) * counts


def sample_token(logits_V: FloatVector, state: SamplerState, *, allowed_V: TokenMask | None = None, num_top: int = 0) -> Token:
    """Sample one token and count it in `state`.

    `allowed_V` marks the tokens that the grammar allows; `num_top` is how many of the likeliest tokens to report (at most V).
    Raises ValueError if the largest logit is not finite or no token is allowed.
    """
    highest = float(logits_V.max())
    if not np.isfinite(highest):
        raise ValueError(NOT_FINITE)
    weights_V = np.exp(logits_V - highest)
    log_total = highest + float(np.log(weights_V.sum(dtype=np.float64)))
    settings = state.settings
    processed_V = process_logits(logits_V, state, allowed_V)
    if state.is_greedy:
        token_id = int(processed_V.argmax())
        if np.isneginf(processed_V[token_id]):
            raise ValueError(NOTHING_ALLOWED)
    else:
        if processed_V is not logits_V or settings.temperature != 1:
            processed_highest = processed_V.max()
            if np.isneginf(processed_highest):
                raise ValueError(NOTHING_ALLOWED)
            weights_V = np.exp((processed_V - processed_highest) / np.float32(settings.temperature))
        if state.truncates:
            weights_V = truncate_weights(weights_V, settings)
        token_id = sample_inverse_cdf(weights_V, state.next_uniform())
    state.token_counts[token_id] += 1
    logprob = float(logits_V[token_id]) - log_total
    return Token(id=token_id, logprob=logprob, top_logprobs=top_logprobs(logits_V, log_total, num_top))


def token_logprob(logits_V: FloatVector, token_id: int) -> float:
    """Log-probability of one token in the whole distribution at temperature 1, in nats."""
    highest = float(logits_V.max())
    return float(logits_V[token_id]) - highest - float(np.log(np.exp(logits_V - highest).sum(dtype=np.float64)))


def scored_token(logits_V: FloatVector, token_id: int, num_top: int) -> Token:
    """A given token with its log-probability, and the `num_top` likeliest tokens at its place."""
    highest = float(logits_V.max())
    log_total = highest + float(np.log(np.exp(logits_V - highest).sum(dtype=np.float64)))
    logprob = float(logits_V[token_id]) - log_total
    return Token(id=token_id, logprob=logprob, top_logprobs=top_logprobs(logits_V, log_total, num_top))


def top_logprobs(logits_V: FloatVector, log_total: float, count: int) -> tuple[tuple[int, float], ...]:
    """The `count` likeliest tokens (at most V) as (id, log-probability), likeliest first. `log_total` is log Σ exp(logits)."""
    count = min(count, len(logits_V))
    if count == 0:
        return ()
    ids = np.argpartition(logits_V, -count)[-count:]
    ids = ids[np.argsort(-logits_V[ids], kind="stable")]
    return tuple((int(i), float(logits_V[i]) - log_total) for i in ids)


def process_logits(logits_V: FloatVector, state: SamplerState, allowed_V: TokenMask | None) -> FloatVector:
    """Logits after bias, penalties and grammar: a changed copy, or the input itself if nothing applies. (V,)"""
    penalties = state.penalties()
    if not state.settings.logit_bias and penalties is None and allowed_V is None:
        return logits_V
    processed_V = logits_V.copy()
    for token_id, bias in state.settings.logit_bias:
        processed_V[token_id] += bias
    if penalties is not None:
        ids, amounts = penalties
        processed_V[ids] -= amounts
    if allowed_V is not None:
        processed_V[~allowed_V] = -np.inf
    return processed_V


def truncate_weights(weights_V: FloatVector, settings: SamplingSettings) -> FloatVector:
    """Weights after top-k, top-p and min-p, not normalised. (V,)

    Top-p keeps the smallest set of likeliest tokens that holds `top_p` of the mass that top-k leaves. At least one token stays.
    """
    vocab_size = len(weights_V)
    if 0 < settings.top_k < vocab_size:
        ids = np.sort(np.argpartition(weights_V, -settings.top_k)[-settings.top_k :])
        total = float(weights_V[ids].sum(dtype=np.float64))
    else:
        total = float(weights_V.sum(dtype=np.float64))
        # Tokens below (1 - top_p) / V together hold less than 1 - top_p, so none of them is in the set and none needs sorting.
        # The factor 0.5 leaves room for rounding.
        floor = max(0.5 * (1 - settings.top_p) / vocab_size * total, settings.min_p * float(weights_V.max()))
        ids = np.flatnonzero(weights_V >= floor)
    ids = ids[np.argsort(-weights_V[ids], kind="stable")]
    sorted_weights = weights_V[ids]
    keep = np.ones(len(ids), np.bool_)
    if settings.top_p < 1:
        mass_before = np.cumsum(sorted_weights, dtype=np.float64) - sorted_weights
        keep &= mass_before < settings.top_p * total
    keep &= sorted_weights >= settings.min_p * sorted_weights[0]
    keep[0] = True
    truncated_V = np.zeros_like(weights_V)
    truncated_V[ids[keep]] = sorted_weights[keep]
    return truncated_V


def sample_inverse_cdf(weights_V: FloatVector, uniform: float) -> int:
    """The first token at which the cumulative weight exceeds `uniform` of the total; never a token of weight zero."""
    cumulative_V = np.cumsum(weights_V, dtype=np.float64)
    total = cumulative_V[-1]
    return int(np.searchsorted(cumulative_V, min(uniform * total, np.nextafter(total, 0)), side="right"))
