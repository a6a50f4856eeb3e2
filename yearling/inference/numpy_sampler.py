"""From logits to a token and its exact log-probability, in numpy: `sampler.py` without torch, for engines that hand over logits.

The same rules in the same order (bias, penalties, grammar, temperature, top-k, top-p, min-p) and the same random numbers, so
that a seed means the same on every local engine. The reported log-probability is of the untouched logits at temperature 1.

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
"""Temperatures below this are greedy: dividing by them would leave the range of fp32."""

FloatVector = npt.NDArray[np.float32]
TokenMask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class SamplerState:
    """What must be remembered of one sequence: its random numbers and how often it emitted each token."""

    settings: SamplingSettings
    token_counts: Counter[int] = field(default_factory=Counter)
    _random: np.random.Generator | None = None

    def next_uniform(self) -> float:
        """The next number in [0, 1) of this sequence's own stream, which its seed alone decides."""
        if self._random is None:
            self._random = np.random.Generator(np.random.Philox(key=self.settings.seed % 2**128))
        return float(self._random.random())


def sample_token(logits_V: FloatVector, state: SamplerState, *, allowed_V: TokenMask | None = None, num_top: int = 0) -> Token:
    """Draw one token and count it. Raises ValueError when the logits are not finite or no token is permitted."""
    highest = float(logits_V.max())
    weights_V = np.exp(logits_V - highest)
    total = float(weights_V.sum(dtype=np.float64))
    if not np.isfinite(total):
        raise ValueError("The model's logits are not finite.")
    log_total = highest + float(np.log(total))
    settings = state.settings
    adjusted_V = _adjust(logits_V, state, allowed_V)
    if settings.temperature < GREEDY_TEMPERATURE:
        token_id = int(adjusted_V.argmax())
        if np.isneginf(adjusted_V[token_id]):
            raise ValueError("No token is permitted here.")
    else:
        if adjusted_V is not logits_V or settings.temperature != 1:
            top = adjusted_V.max()
            if np.isneginf(top):
                raise ValueError("No token is permitted here.")
            weights_V = np.exp((adjusted_V - top) / np.float32(settings.temperature))
        if settings.top_k or settings.top_p < 1 or settings.min_p:
            weights_V = truncate_weights(weights_V, settings)
        token_id = _invert(weights_V, state.next_uniform())
    state.token_counts[token_id] += 1
    return Token(
        id=token_id, logprob=float(logits_V[token_id]) - log_total, top_logprobs=top_logprobs(logits_V, log_total, num_top)
    )


def token_logprob(logits_V: FloatVector, token_id: int) -> float:
    """Of the whole distribution at temperature 1, in nats."""
    highest = float(logits_V.max())
    return float(logits_V[token_id]) - highest - float(np.log(np.exp(logits_V - highest).sum(dtype=np.float64)))


def top_logprobs(logits_V: FloatVector, log_total: float, count: int) -> tuple[tuple[int, float], ...]:
    """The `count` likeliest tokens as (id, log-probability), likeliest first."""
    if count == 0:
        return ()
    ids = np.argpartition(logits_V, -count)[-count:]
    ids = ids[np.argsort(-logits_V[ids], kind="stable")]
    return tuple((int(i), float(logits_V[i]) - log_total) for i in ids)


def truncate_weights(weights_V: FloatVector, settings: SamplingSettings) -> FloatVector:
    """Top-k, then the smallest set of likeliest tokens that holds `top_p` of what is left, then min-p. Not normalised. (V,)"""
    vocabulary = len(weights_V)
    if 0 < settings.top_k < vocabulary:
        ids = np.sort(np.argpartition(weights_V, -settings.top_k)[-settings.top_k :])
        total = float(weights_V[ids].sum(dtype=np.float64))
    else:
        total = float(weights_V.sum(dtype=np.float64))
        # Tokens below (1 - top_p) / V together hold less than 1 - top_p, so none of them is in the set: no need to sort them.
        floor = max(0.5 * (1 - settings.top_p) / vocabulary * total, settings.min_p * float(weights_V.max()))
        ids = np.flatnonzero(weights_V >= floor)
    ids = ids[np.argsort(-weights_V[ids], kind="stable")]
    kept = weights_V[ids]
    keep = np.ones(len(ids), np.bool_)
    if settings.top_p < 1:
        before = np.cumsum(kept, dtype=np.float64) - kept
        keep &= before < settings.top_p * total
    keep &= kept >= settings.min_p * kept[0]
    keep[0] = True
    truncated_V = np.zeros_like(weights_V)
    truncated_V[ids[keep]] = kept[keep]
    return truncated_V


def _adjust(logits_V: FloatVector, state: SamplerState, allowed_V: TokenMask | None) -> FloatVector:
    """Logits after bias, penalties and grammar; the input itself where nothing applies, else a changed copy. (V,)"""
    settings = state.settings
    penalised = bool(state.token_counts) and bool(settings.presence_penalty or settings.frequency_penalty)
    if not settings.logit_bias and not penalised and allowed_V is None:
        return logits_V
    adjusted_V = logits_V.copy()
    for token_id, bias in settings.logit_bias:
        adjusted_V[token_id] += bias
    if penalised:
        at = np.fromiter(state.token_counts, np.int64)
        times = np.fromiter(state.token_counts.values(), np.float32)
        adjusted_V[at] -= np.float32(settings.presence_penalty) + np.float32(settings.frequency_penalty) * times
    if allowed_V is not None:
        adjusted_V[~allowed_V] = -np.inf
    return adjusted_V


def _invert(weights_V: FloatVector, uniform: float) -> int:
    """The token at which the cumulative weight first exceeds the uniform number; never one of weight zero."""
    cumulative_V = np.cumsum(weights_V, dtype=np.float64)
    last = cumulative_V[-1]
    return int(np.searchsorted(cumulative_V, min(uniform * last, np.nextafter(last, 0)), side="right"))
