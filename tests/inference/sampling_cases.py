"""One table of cases for every sampler, small enough to check by hand, and the definition of sampling computed slowly.

Needs no torch. `test_samplers.py` runs the numpy and the torch sampler against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from yearling.records import SamplingSettings

Probabilities = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SamplingCase:
    """Logits of one step, and the distribution that must be sampled from them."""

    name: str
    logits: tuple[float, ...]
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    emitted: tuple[int, ...] = ()
    """Tokens that the sequence has emitted already, for the penalties."""
    allowed: frozenset[int] | None = None
    """Tokens that the grammar allows; None means all."""
    num_top: int = 0
    expected: Probabilities = ()
    """Probability of each token in the sampled distribution."""
    expected_top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens and their probabilities at temperature 1, likeliest first."""
    error: str = ""
    """The start of the ValueError that must be raised instead."""


@dataclass(frozen=True)
class InverseCdfCase:
    """A distribution, a uniform number, and the token that the two select."""

    name: str
    probabilities: Mapping[int, float]
    vocab_size: int
    uniform: float
    expected_id: int

    def vector(self) -> npt.NDArray[np.float32]:
        """The distribution as (V,)."""
        vector = np.zeros(self.vocab_size, np.float32)
        for token_id, probability in self.probabilities.items():
            vector[token_id] = probability
        return vector


def logs(*probabilities: float) -> tuple[float, ...]:
    """Logits of a distribution; a probability of 0 becomes -inf."""
    return tuple(math.log(p) if p else -math.inf for p in probabilities)


# Dyadic probabilities: their sums are exact, so that a cumulative edge can be met exactly.
DYADIC = logs(0.5, 0.25, 0.125, 0.125)
SKEWED = logs(0.1, 0.4, 0.2, 0.3)

CASES = (
    SamplingCase(name="defaults", logits=SKEWED, expected=(0.1, 0.4, 0.2, 0.3)),
    SamplingCase(name="greedy", logits=SKEWED, settings=SamplingSettings(temperature=0), expected=(0, 1, 0, 0)),
    SamplingCase(name="almost greedy", logits=SKEWED, settings=SamplingSettings(temperature=1e-9), expected=(0, 1, 0, 0)),
    SamplingCase(
        name="cold",
        logits=logs(0.25, 0.5, 0.25),
        settings=SamplingSettings(temperature=0.5),
        # Squares of the probabilities: 1/16, 4/16, 1/16.
        expected=(1 / 6, 4 / 6, 1 / 6),
    ),
    SamplingCase(
        name="hot",
        logits=logs(0.64, 0.36),
        settings=SamplingSettings(temperature=2),
        # Square roots of the probabilities: 0.8 and 0.6.
        expected=(0.8 / 1.4, 0.6 / 1.4),
    ),
    SamplingCase(name="top-k 1", logits=SKEWED, settings=SamplingSettings(top_k=1), expected=(0, 1, 0, 0)),
    SamplingCase(name="top-k 2", logits=SKEWED, settings=SamplingSettings(top_k=2), expected=(0, 4 / 7, 0, 3 / 7)),
    SamplingCase(name="top-k V", logits=SKEWED, settings=SamplingSettings(top_k=4), expected=(0.1, 0.4, 0.2, 0.3)),
    SamplingCase(name="top-k V + 1", logits=SKEWED, settings=SamplingSettings(top_k=5), expected=(0.1, 0.4, 0.2, 0.3)),
    SamplingCase(name="top-p inside a token", logits=DYADIC, settings=SamplingSettings(top_p=0.6), expected=(2 / 3, 1 / 3, 0, 0)),
    SamplingCase(name="top-p below the first token", logits=DYADIC, settings=SamplingSettings(top_p=0.01), expected=(1, 0, 0, 0)),
    SamplingCase(
        name="top-p just above an edge",
        logits=DYADIC,
        settings=SamplingSettings(top_p=0.751),
        expected=(4 / 7, 2 / 7, 1 / 7, 0),
    ),
    SamplingCase(
        name="top-p just below an edge", logits=DYADIC, settings=SamplingSettings(top_p=0.749), expected=(2 / 3, 1 / 3, 0, 0)
    ),
    SamplingCase(
        name="top-p exactly on an edge",
        # Equal logits give weights that are exact in every arithmetic: the second token reaches one half.
        logits=(0.0, 0.0, 0.0, 0.0),
        settings=SamplingSettings(top_p=0.5),
        expected=(0.5, 0.5, 0, 0),
    ),
    SamplingCase(
        name="top-p within top-k",
        logits=SKEWED,
        # Of the 0.9 of three tokens, 0.5 is 0.45: the likeliest has 0.4, so the second is needed.
        settings=SamplingSettings(top_k=3, top_p=0.5),
        expected=(0, 4 / 7, 0, 3 / 7),
    ),
    SamplingCase(name="min-p", logits=SKEWED, settings=SamplingSettings(min_p=0.6), expected=(0, 4 / 7, 0, 3 / 7)),
    SamplingCase(
        name="min-p 1 keeps all of the likeliest",
        logits=(1.0, 1.0, 0.0),
        settings=SamplingSettings(min_p=1),
        expected=(0.5, 0.5, 0),
    ),
    SamplingCase(
        name="all truncations",
        logits=logs(0.04, 0.4, 0.16, 0.3, 0.1),
        # Top-k leaves 0.4, 0.3, 0.16 and 0.1 (0.96 in all); top-p 0.85 of that is 0.816: three tokens; min-p 0.5 drops 0.16.
        settings=SamplingSettings(top_k=4, top_p=0.85, min_p=0.5),
        expected=(0, 4 / 7, 0, 3 / 7, 0),
    ),
    SamplingCase(
        name="temperature before truncation",
        logits=logs(0.5, 0.25, 0.25),
        # Squares: 4/6, 1/6, 1/6. Min-p 0.4 would keep all at temperature 1.
        settings=SamplingSettings(temperature=0.5, min_p=0.4),
        expected=(1, 0, 0),
    ),
    SamplingCase(
        name="bias up",
        logits=logs(0.25, 0.25, 0.5),
        settings=SamplingSettings(logit_bias=((0, math.log(3)),)),
        expected=(0.5, 1 / 6, 1 / 3),
    ),
    SamplingCase(
        name="bias -100", logits=SKEWED, settings=SamplingSettings(logit_bias=((1, -100.0),)), expected=(1 / 6, 0, 2 / 6, 3 / 6)
    ),
    SamplingCase(
        name="bias given twice for one token",
        logits=logs(0.25, 0.25, 0.5),
        settings=SamplingSettings(logit_bias=((0, math.log(1.5)), (0, math.log(2)))),
        expected=(0.5, 1 / 6, 1 / 3),
    ),
    SamplingCase(
        name="presence penalty",
        logits=logs(0.5, 0.25, 0.25),
        settings=SamplingSettings(presence_penalty=math.log(2)),
        emitted=(0, 0, 0),
        expected=(1 / 3, 1 / 3, 1 / 3),
    ),
    SamplingCase(
        name="frequency penalty",
        logits=logs(0.4, 0.4, 0.2),
        settings=SamplingSettings(frequency_penalty=math.log(2)),
        # The first token loses a factor of 4, the second of 2.
        emitted=(0, 1, 0),
        expected=(0.2, 0.4, 0.4),
    ),
    SamplingCase(
        name="both penalties",
        logits=logs(0.8, 0.1, 0.1),
        settings=SamplingSettings(presence_penalty=math.log(2), frequency_penalty=math.log(2)),
        emitted=(0, 0),
        expected=(1 / 3, 1 / 3, 1 / 3),
    ),
    SamplingCase(
        name="penalties without emissions",
        logits=DYADIC,
        settings=SamplingSettings(presence_penalty=2),
        expected=(0.5, 0.25, 0.125, 0.125),
    ),
    SamplingCase(name="one allowed token", logits=SKEWED, allowed=frozenset({0}), expected=(1, 0, 0, 0)),
    SamplingCase(
        name="greedy among allowed tokens",
        logits=SKEWED,
        settings=SamplingSettings(temperature=0),
        allowed=frozenset({0, 2}),
        expected=(0, 0, 1, 0),
    ),
    SamplingCase(
        name="allowed tokens and top-k",
        logits=SKEWED,
        settings=SamplingSettings(top_k=2),
        # Top-k counts among the allowed tokens.
        allowed=frozenset({0, 2, 3}),
        expected=(0, 0, 0.4, 0.6),
    ),
    SamplingCase(name="impossible tokens", logits=logs(0, 0.5, 0, 0.5), expected=(0, 0.5, 0, 0.5)),
    SamplingCase(name="no allowed token", logits=SKEWED, allowed=frozenset(), error="The grammar allows no token"),
    SamplingCase(
        name="no allowed token, greedy",
        logits=SKEWED,
        settings=SamplingSettings(temperature=0),
        allowed=frozenset(),
        error="The grammar allows no token",
    ),
    SamplingCase(name="NaN", logits=(0.0, math.nan, 1.0), error="The model's logits are not finite"),
    SamplingCase(name="infinity", logits=(0.0, math.inf, 1.0), error="The model's logits are not finite"),
    SamplingCase(name="nothing possible", logits=(-math.inf, -math.inf), error="The model's logits are not finite"),
    SamplingCase(
        name="three likeliest",
        logits=SKEWED,
        # They are of the unchanged distribution, whatever is sampled.
        settings=SamplingSettings(temperature=0.3, logit_bias=((0, 50.0),)),
        num_top=3,
        expected=(1, 0, 0, 0),
        expected_top=((1, 0.4), (3, 0.3), (2, 0.2)),
    ),
    SamplingCase(
        name="more likeliest than tokens",
        logits=logs(0.2, 0.5, 0.3),
        num_top=5,
        expected=(0.2, 0.5, 0.3),
        expected_top=((1, 0.5), (2, 0.3), (0, 0.2)),
    ),
)

_BELOW_ONE = math.nextafter(1.0, 0.0)

INVERSE_CDF_CASES = (
    *(
        InverseCdfCase(f"{name} at {uniform:g}", probabilities, 700, uniform, expected_id)
        for name, probabilities, expected_ids in (
            ("both ends", {0: 0.5, 699: 0.5}, (0, 0, 699, 699)),
            ("certain", {300: 1.0}, (300, 300, 300, 300)),
            ("across a block's border", {255: 0.5, 256: 0.5}, (255, 255, 256, 256)),
            ("unlikely last token", {10: 1 - 2**-20, 20: 2**-20}, (10, 10, 10, 20)),
        )
        for uniform, expected_id in zip((0.0, math.nextafter(0.5, 0), 0.5, _BELOW_ONE), expected_ids, strict=True)
    ),
    InverseCdfCase("zeros before and behind", {1: 0.25, 3: 0.75}, 6, 0.25, 3),
    InverseCdfCase("one token", {0: 1.0}, 1, _BELOW_ONE, 0),
)


def slow_distribution(logits: Sequence[float] | npt.NDArray[np.float64], settings: SamplingSettings) -> npt.NDArray[np.float64]:
    """The distribution to sample from, by the definition of temperature, top-k, top-p and min-p, one token at a time. (V,)"""
    logits_V = np.asarray(logits, np.float64)
    weights = np.exp((logits_V - logits_V.max()) / settings.temperature)
    probs = weights / weights.sum()
    order = sorted(range(len(probs)), key=lambda token: (-probs[token], token))
    if settings.top_k:
        order = order[: settings.top_k]
    mass, kept_ids = 0.0, []
    total = sum(probs[token] for token in order)
    for token in order:
        if settings.top_p < 1 and mass >= settings.top_p * total:
            break
        kept_ids.append(token)
        mass += probs[token]
    kept_ids = [token for token in kept_ids if probs[token] >= settings.min_p * probs[order[0]]] or order[:1]
    distribution: npt.NDArray[np.float64] = np.zeros_like(probs)
    distribution[kept_ids] = probs[kept_ids]
    distribution /= distribution.sum()
    return distribution
