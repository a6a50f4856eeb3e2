"""Drawing in numpy: against the torch sampler, whose rules and random numbers it shares, and against the definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from yearling.inference.numpy_sampler import SamplerState, sample_token, token_logprob
from yearling.records import SamplingSettings

torch = pytest.importorskip("torch", reason="the torch sampler is the reference")

SETTINGS = [
    SamplingSettings(),
    SamplingSettings(temperature=0),
    SamplingSettings(temperature=0.6, seed=5),
    SamplingSettings(temperature=1.3, top_k=20, seed=1),
    SamplingSettings(top_p=0.8, seed=2**70),
    SamplingSettings(top_k=50, top_p=0.7, min_p=0.02, seed=3),
    SamplingSettings(min_p=0.1, seed=4),
    SamplingSettings(presence_penalty=1.5, frequency_penalty=0.5, logit_bias=((3, 4.0), (7, -100.0)), seed=6),
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("masked", [False, True])
def test_it_draws_what_the_torch_sampler_draws(settings: SamplingSettings, masked: bool) -> None:
    from yearling.inference.torch_sampler import TorchSamplerState, sample_tokens

    rng = np.random.default_rng(0)
    mask = rng.random(999) < 0.3 if masked else None
    mine, theirs = SamplerState(settings), TorchSamplerState(settings)
    for _ in range(40):
        logits = (3 * rng.standard_normal(999)).astype(np.float32)
        token = sample_token(logits, mine, allowed_V=mask, num_top=3)
        allowed = [None if mask is None else torch.from_numpy(mask)]
        [other] = sample_tokens(torch.from_numpy(logits)[None], [theirs], allowed=allowed, num_top=[3])
        assert token.id == other.id
        assert token.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert [i for i, _ in token.top_logprobs] == [i for i, _ in other.top_logprobs]
        assert token.logprob == pytest.approx(token_logprob(logits, token.id), abs=1e-5)


def test_frequencies_are_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    state = SamplerState(SamplingSettings(seed=9))
    counts = Counter(sample_token(logits, state).id for _ in range(8000))
    assert [counts[i] / 8000 for i in range(4)] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.02)


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(ValueError, match="finite"):
        sample_token(np.array([np.nan, 1.0], np.float32), SamplerState(SamplingSettings()))
    for temperature in (0.0, 1.0):
        state = SamplerState(SamplingSettings(temperature=temperature))
        with pytest.raises(ValueError, match="permitted"):
            sample_token(np.zeros(3, np.float32), state, allowed_V=np.zeros(3, np.bool_))
