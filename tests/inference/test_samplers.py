"""Every sampler against one table of cases (`sampling_cases.py`), and against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.sampling_cases import CASES, INVERSE_CDF_CASES, InverseCdfCase, SamplingCase, slow_distribution
from yearling.inference import Token, numpy_sampler, random_stream
from yearling.inference.numpy_sampler import SamplerState
from yearling.records import SamplingSettings

Logits = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
SampleToken = Callable[[Logits, SamplerState, Mask | None, int], Token]

GRID = 256
"""Uniform numbers per case: the midpoints of a grid, so that frequencies are exact to within one cell per edge."""


def numpy_sample(logits_V: Logits, state: SamplerState, allowed_V: Mask | None, num_top: int) -> Token:
    return numpy_sampler.sample_token(logits_V, state, allowed_V=allowed_V, num_top=num_top)


def torch_sample(logits_V: Logits, state: SamplerState, allowed_V: Mask | None, num_top: int) -> Token:
    torch = pytest.importorskip("torch")
    from yearling.inference.torch_sampler import sample_tokens

    mask = None if allowed_V is None else torch.from_numpy(allowed_V)
    [token] = sample_tokens(torch.from_numpy(logits_V)[None], [state], allowed=[mask], num_top=[num_top])
    return token


def numpy_invert(probabilities: Sequence[float] | Logits, uniform: float) -> int:
    return numpy_sampler.sample_inverse_cdf(np.asarray(probabilities, np.float32), uniform)


def torch_invert(probabilities: Sequence[float] | Logits, uniform: float) -> int:
    torch = pytest.importorskip("torch")
    from yearling.inference.torch_sampler import sample_inverse_cdf

    [token_id] = sample_inverse_cdf(torch.tensor(np.asarray(probabilities, np.float32))[None], [uniform])
    return token_id


class GridState(SamplerState):
    """A state whose random numbers are one given number."""

    def __init__(self, case: SamplingCase, uniform: float) -> None:
        super().__init__(case.settings, Counter(case.emitted))
        self.uniform = uniform

    def next_uniform(self) -> float:
        return self.uniform


def mask_of(case: SamplingCase) -> Mask | None:
    if case.allowed is None:
        return None
    return np.array([token in case.allowed for token in range(len(case.logits))], np.bool_)


both_samplers = pytest.mark.parametrize("sample", [numpy_sample, torch_sample])


@both_samplers
@pytest.mark.parametrize("case", [case for case in CASES if not case.error], ids=lambda case: case.name)
def test_sampled_frequencies_are_the_expected_probabilities(sample: SampleToken, case: SamplingCase) -> None:
    logits_V = np.array(case.logits, np.float32)
    counts: Counter[int] = Counter()
    for index in range(GRID):
        state = GridState(case, (index + 0.5) / GRID)
        token = sample(logits_V, state, mask_of(case), case.num_top)
        counts[token.id] += 1
        assert state.token_counts == Counter([*case.emitted, token.id])
    frequencies = [counts[token] / GRID for token in range(len(case.logits))]
    assert frequencies == pytest.approx(case.expected, abs=1.01 / GRID)
    assert all(counts[token] == 0 for token, expected in enumerate(case.expected) if expected == 0)


@both_samplers
@pytest.mark.parametrize("case", [case for case in CASES if not case.error], ids=lambda case: case.name)
def test_reported_logprobs_are_of_the_unchanged_distribution(sample: SampleToken, case: SamplingCase) -> None:
    logits = np.array(case.logits, np.float64)
    exact = logits - np.log(np.exp(logits).sum())
    for uniform in (0.01, 0.5, 0.99):
        token = sample(np.array(case.logits, np.float32), GridState(case, uniform), mask_of(case), case.num_top)
        assert token.logprob == pytest.approx(exact[token.id], abs=2e-6)
        assert [token_id for token_id, _ in token.top_logprobs] == [token_id for token_id, _ in case.expected_top]
        assert [math.exp(logprob) for _, logprob in token.top_logprobs] == pytest.approx([p for _, p in case.expected_top])


@both_samplers
@pytest.mark.parametrize("case", [case for case in CASES if case.error], ids=lambda case: case.name)
@pytest.mark.filterwarnings("error")
def test_impossible_steps_raise(sample: SampleToken, case: SamplingCase) -> None:
    state = GridState(case, 0.5)
    with pytest.raises(ValueError, match=case.error):
        sample(np.array(case.logits, np.float32), state, mask_of(case), case.num_top)
    assert not state.token_counts


@pytest.mark.parametrize("invert", [numpy_invert, torch_invert])
@pytest.mark.parametrize("case", INVERSE_CDF_CASES, ids=lambda case: case.name)
def test_inverse_cdf(invert: Callable[[Logits, float], int], case: InverseCdfCase) -> None:
    assert invert(case.vector(), case.uniform) == case.expected_id


@both_samplers
@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.05, 3),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 60),
    min_p=st.floats(0, 1),
    spread=st.floats(0.1, 6),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_the_sampled_token_is_the_one_of_the_slow_definition(
    sample: SampleToken, seed: int, temperature: float, top_p: float, top_k: int, min_p: float, spread: float, uniform: float
) -> None:
    case = SamplingCase(
        name="random", logits=(), settings=SamplingSettings(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
    )
    logits_V = (spread * np.random.default_rng(seed).standard_normal(97)).astype(np.float32)
    cumulative = np.cumsum(slow_distribution(logits_V.astype(np.float64), case.settings))
    token = sample(logits_V, GridState(case, uniform), None, 0)
    # Float32 may put a token that lies within rounding of a cut on the other side of it, which moves all edges by its mass.
    lower, upper = (cumulative[token.id - 1] if token.id else 0.0), cumulative[token.id]
    assert lower - 1e-4 <= uniform <= upper + 1e-4


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingSettings(),
        SamplingSettings(temperature=0),
        SamplingSettings(temperature=0.6, seed=5),
        SamplingSettings(temperature=1.3, top_k=20, seed=1),
        SamplingSettings(top_p=0.8, seed=2**70),
        SamplingSettings(top_k=50, top_p=0.7, min_p=0.02, seed=3),
        SamplingSettings(min_p=0.1, seed=-4),
        SamplingSettings(presence_penalty=1.5, frequency_penalty=0.5, logit_bias=((3, 4.0), (7, -100.0)), seed=6),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_both_samplers_draw_the_same_sequence(sampling: SamplingSettings, masked: bool) -> None:
    """On a larger vocabulary, with each sampler's own random stream and counts."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    mask = rng.random(999) < 0.3 if masked else None
    numpy_state, torch_state = SamplerState(sampling), SamplerState(sampling)
    for _ in range(40):
        logits_V = (3 * rng.standard_normal(999)).astype(np.float32)
        first, second = numpy_sample(logits_V, numpy_state, mask, 3), torch_sample(logits_V, torch_state, mask, 3)
        assert first.id == second.id
        assert first.logprob == pytest.approx(second.logprob, abs=1e-4)
        assert [token_id for token_id, _ in first.top_logprobs] == [token_id for token_id, _ in second.top_logprobs]
        assert first.logprob == pytest.approx(numpy_sampler.token_logprob(logits_V, first.id), abs=1e-5)


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**128, 2**200])
def test_any_integer_is_a_seed(seed: int) -> None:
    first, second = (SamplerState(SamplingSettings(seed=seed)) for _ in range(2))
    numbers = [first.next_uniform() for _ in range(3)]
    assert numbers == [second.next_uniform() for _ in range(3)]
    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) == 3
    assert numbers == random_stream(seed).random(3).tolist()


@pytest.mark.parametrize("seed", [0, 1, 99, 2**64, 2**128 - 1])
def test_a_seed_keeps_its_numbers(seed: int) -> None:
    """Stored answers name the seed that they were sampled with."""
    assert random_stream(seed).random(4).tolist() == np.random.Generator(np.random.Philox(key=seed)).random(4).tolist()


def test_a_greedy_state_draws_no_random_number() -> None:
    state = SamplerState(replace(SamplingSettings(), temperature=0))
    numpy_sample(np.array([0.0, 1.0], np.float32), state, None, 0)
    assert state.next_uniform() == SamplerState(state.settings).next_uniform()
