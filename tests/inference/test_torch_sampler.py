"""The torch sampler's own properties: distributions, supports and independence of the batch. See also `test_samplers.py`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.inference.sampling_cases import slow_distribution
from yearling.inference.numpy_sampler import SamplerState
from yearling.inference.torch_sampler import (
    process_logits,
    sample_tokens,
    sampling_probabilities,
    truncate_probabilities,
)
from yearling.records import SamplingSettings

VOCABULARY = 1000


def random_logits(rows: int, *, seed: int = 0, spread: float = 2.0, vocabulary: int = VOCABULARY) -> torch.Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * spread


def frequencies(logits_V: torch.Tensor, sampling: SamplingSettings, times: int) -> npt.NDArray[np.int64]:
    """Counts per token of `times` draws, a different seed for each."""
    states = [SamplerState(replace(sampling, seed=seed)) for seed in range(times)]
    tokens = sample_tokens(logits_V.expand(times, -1), states)
    return np.bincount([token.id for token in tokens], minlength=logits_V.shape[0])


def chi_square_p(counts: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> float:
    """p-value of the counts against the expected ones; cells that expect fewer than five are pooled."""
    assert counts[expected == 0].sum() == 0, "a token outside the support was tokens"
    rare = expected < 5
    pooled_counts = np.append(counts[~rare], counts[rare].sum())
    pooled_expected = np.append(expected[~rare], expected[rare].sum())
    keep = pooled_expected > 0
    return float(stats.chisquare(pooled_counts[keep], pooled_expected[keep]).pvalue)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingSettings(),
        SamplingSettings(temperature=0.5),
        SamplingSettings(temperature=1.7),
        SamplingSettings(top_p=0.6),
        SamplingSettings(top_k=7),
        SamplingSettings(min_p=0.1),
        SamplingSettings(temperature=1.3, top_k=50, top_p=0.8, min_p=0.02),
    ],
)
def test_samples_follow_the_definition(sampling: SamplingSettings) -> None:
    times = 3_000
    logits_V = random_logits(1, vocabulary=200)[0]
    expected = slow_distribution(logits_V.double().numpy(), sampling) * times
    assert chi_square_p(frequencies(logits_V, sampling, times), expected) > 1e-3


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.05, 3),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 60),
    min_p=st.floats(0, 1),
    spread=st.floats(0.1, 6),
)
def test_probabilities_equal_the_slow_definition(
    seed: int, temperature: float, top_p: float, top_k: int, min_p: float, spread: float
) -> None:
    sampling = SamplingSettings(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
    logits = random_logits(1, seed=seed, spread=spread, vocabulary=97)
    fast = sampling_probabilities(logits, [sampling])[0].double().numpy()
    slow = slow_distribution(logits[0].double().numpy(), sampling)
    # fp32 against fp64 may disagree about tokens within rounding of an edge, whose mass is then of the order of the rounding.
    assert np.abs(fast - slow).sum() < 1e-4
    assert fast.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_top_p_keeps_the_smallest_sufficient_set(spread: float) -> None:
    probs_V = torch.softmax(random_logits(1, spread=spread, vocabulary=5000)[0], -1)
    kept_V = truncate_probabilities(probs_V, SamplingSettings(top_p=0.9))
    support = kept_V > 0
    mass = probs_V.double()[support].sum()
    assert mass >= 0.9 - 1e-6
    assert mass - probs_V.double()[support].min() < 0.9
    assert probs_V[support].min() >= probs_V[~support].max()


def test_greedy_is_argmax_and_ignores_the_seed() -> None:
    logits_BV = random_logits(32)
    for temperature in (0.0, 1e-9):
        states = [SamplerState(SamplingSettings(temperature=temperature, seed=seed)) for seed in range(32)]
        assert [token.id for token in sample_tokens(logits_BV, states)] == logits_BV.argmax(-1).tolist()
    assert sampling_probabilities(logits_BV[:1], [SamplingSettings(temperature=0)])[0].argmax() == logits_BV[0].argmax()


def test_reported_logprobs_are_of_the_whole_distribution_at_temperature_one() -> None:
    logits_BV = random_logits(4)
    exact_BV = torch.log_softmax(logits_BV.double(), -1)
    mask = torch.zeros(VOCABULARY, dtype=torch.bool)
    mask[10:20] = True
    states = [
        SamplerState(SamplingSettings(temperature=0.3, seed=1)),
        SamplerState(SamplingSettings(top_k=3, top_p=0.5, seed=2)),
        SamplerState(SamplingSettings(logit_bias=((5, 50.0),), seed=3)),
        SamplerState(SamplingSettings(seed=4)),
    ]
    tokens = sample_tokens(logits_BV, states, allowed=[None, None, None, mask], num_top=[0, 3, 0, 5])
    for row, sampled in enumerate(tokens):
        assert sampled.logprob == pytest.approx(float(exact_BV[row, sampled.id]), abs=2e-6)
    assert tokens[2].id == 5
    assert 10 <= tokens[3].id < 20
    assert tokens[0].top_logprobs == ()
    best = exact_BV[1].topk(3)
    assert [token for token, _ in tokens[1].top_logprobs] == best.indices.tolist()
    assert [logprob for _, logprob in tokens[1].top_logprobs] == pytest.approx(best.values.tolist(), abs=2e-6)
    assert len(tokens[3].top_logprobs) == 5


def test_a_sequence_samples_the_same_tokens_alone_and_in_any_batch() -> None:
    steps, rows = 40, 6
    settings_of = [SamplingSettings(temperature=0.7 + row / 5, top_p=0.9 if row % 2 else 1.0, seed=row) for row in range(rows)]
    logits_SBV = [random_logits(rows, seed=step) for step in range(steps)]

    alone = []
    for row in range(rows):
        state = SamplerState(settings_of[row])
        alone.append([sample_tokens(logits[row : row + 1], [state])[0].id for logits in logits_SBV])

    together: list[list[int]] = [[] for _ in range(rows)]
    states = [SamplerState(token) for token in settings_of]
    for step, logits in enumerate(logits_SBV):
        order = [int(row) for row in np.random.default_rng(step).permutation(rows)]
        for row, token in zip(order, sample_tokens(logits[order], [states[row] for row in order]), strict=True):
            together[row].append(token.id)
    assert together == alone
    assert len({tuple(ids) for ids in alone}) == rows


def test_penalties_and_bias_change_exactly_the_named_logits() -> None:
    logits_BV = random_logits(1)
    state = SamplerState(
        SamplingSettings(presence_penalty=0.5, frequency_penalty=0.25, logit_bias=((7, -3.0), (8, 2.0))),
        token_counts=Counter({7: 2, 9: 1}),
    )
    expected = logits_BV.clone()
    expected[0, 7] += -3.0 - 0.5 - 0.25 * 2
    expected[0, 8] += 2.0
    expected[0, 9] -= 0.75
    torch.testing.assert_close(process_logits(logits_BV, [state], [None]), expected)


def test_emitted_tokens_are_counted_for_the_penalties() -> None:
    state = SamplerState(SamplingSettings(temperature=0, presence_penalty=100.0))
    logits_BV = random_logits(1)
    ids = [sample_tokens(logits_BV, [state])[0].id for _ in range(5)]
    assert ids == logits_BV[0].topk(5).indices.tolist()
