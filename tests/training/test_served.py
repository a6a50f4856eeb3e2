"""Published adapters answer as they were trained: both engines on the default model, against the trainer's log-probabilities.

Tolerances are in nats per token. torch in float32: 0.001, because only the shapes of batches differ. torch as the pool opens it,
and llama.cpp on Q8_0: 0.15 on average and 1 at most, because both round activations (to bfloat16 if the processor multiplies it,
to eight bits), as they do without an adapter (0.09 on these texts; see `tests/inference/test_parity.py`). A merged model is
rounded to eight bits once more and stays within the same tolerance. Every adapter moves the log-probabilities by more than twice
as much, so a mix-up is detected. The tolerance was set after the first measurement: 0.1 failed at 0.117.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from yearling.config import Settings
from yearling.errors import NotFound, Untrusted
from yearling.inference import EnginePool, GenerationRequest
from yearling.inference.torch_engine import open_torch
from yearling.models import (
    Adapter,
    AdapterLibrary,
    LocalModel,
    ModelLibrary,
    PublishedAdapter,
    Tokenizer,
    detach_adapter,
    load_adapter,
    load_decoder,
    merge_into_library,
    new_adapter,
)
from yearling.records import SamplingSettings
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.policy.policy import Policy

pytestmark = pytest.mark.slow

MEAN_TOLERANCE, MAX_TOLERANCE, FLOAT32_TOLERANCE = 0.15, 1.0, 0.001
BASE = "base"
"""Stands for the default model without an adapter, beside the names of the adapters."""
TEXTS = (
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on in the warm afternoon sun.",
    "Water boils at one hundred degrees Celsius at sea level, and at lower temperatures on a mountain.",
)

Logprobs = list[NDArray[np.float64]]
"""Log-probabilities of the tokens of each sequence."""


@dataclass
class AdapterData:
    """A data folder with the default model and three adapters, and the trainer's log-probabilities of the texts under each."""

    data_dir: Path
    model: LocalModel
    published: dict[str, PublishedAdapter]
    sequences: list[tuple[list[int], list[int]]]
    trainer_logprobs: dict[str, Logprobs]

    def served_name(self, adapter: str) -> str:
        return self.model.name if adapter == BASE else self.published[adapter].served_name(self.model.name)


@pytest.fixture(scope="module")
def data(default_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> AdapterData:
    data_dir = tmp_path_factory.mktemp("served")
    (data_dir / "models").mkdir()
    (data_dir / "models" / default_model.name).symlink_to(default_model.folder)
    model = ModelLibrary(data_dir / "models").get(default_model.name)
    tokenizer = Tokenizer.load(model)
    sequences = [(ids[:4], ids[4:]) for ids in map(tokenizer.encode, TEXTS)]
    decoder = load_decoder(model.weights)
    library = AdapterLibrary(data_dir / "adapters")
    published: dict[str, PublishedAdapter] = {}
    logprobs: dict[str, Logprobs] = {}
    targets: tuple[str, ...]
    for adapter, seed, targets in (("first", 1, ()), ("second", 2, ()), ("up", 3, ("up_proj",))):
        untrained = new_adapter(decoder, rank=4, alpha=8.0, base_sha256=model.sha256, seed=seed)
        policy = Policy.with_adapter(decoder, with_random_factors(untrained, seed, targets))
        logprobs[adapter] = trainer_logprobs(policy, sequences)
        published[adapter] = library.publish(policy.adapter(), decoder, model)
        detach_adapter(decoder)
    base_policy = Policy(decoder, base_sha256=model.sha256, adapter=None, reference=None)
    logprobs[BASE] = trainer_logprobs(base_policy, sequences)
    return AdapterData(data_dir, model, published, sequences, logprobs)


def with_random_factors(adapter: Adapter, seed: int, targets: tuple[str, ...]) -> Adapter:
    """An adapter as far from the base as some training would take it; on the layers `targets` only, if given."""
    generator = torch.Generator().manual_seed(seed)
    scale = 0.3 if targets else 0.12
    factors = {name: (a, torch.randn(b.shape, generator=generator) * scale) for name, (a, b) in adapter.factors.items()}
    kept = {name: pair for name, pair in factors.items() if not targets or name.rpartition(".")[2] in targets}
    return replace(adapter, factors=kept)


@torch.no_grad()
def trainer_logprobs(policy: Policy, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Logprobs:
    """The trainer's log-probability of every token of each answer."""
    logprobs = []
    for prompt, answer in sequences:
        example = TrainingExample.from_prompt_and_answer(prompt, answer, group=0)
        [batch] = pack_examples([example], budget_tokens=1000)
        logprobs.append(policy.token_logprobs(batch).double().numpy())
    return logprobs


def differences(expected: Logprobs, actual: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Absolute differences of all log-probabilities."""
    actual_values = np.concatenate([np.array(values, dtype=np.float64) for values in actual])
    result: NDArray[np.float64] = np.abs(np.concatenate(expected) - actual_values)
    return result


async def open_pool(data: AdapterData, engine: Literal["torch", "llamacpp"]) -> EnginePool:
    pool = EnginePool(Settings(data_dir=data.data_dir, engine=engine, threads=1), ModelLibrary(data.data_dir / "models"))
    await pool.start()
    return pool


async def test_torch_in_float32_gives_the_trainers_logprobs(data: AdapterData) -> None:
    engine = await open_torch(folder=str(data.model.folder), threads=1, dtype="float32")
    try:
        for adapter, published in data.published.items():
            adapter_hash = await engine.load_adapter(published.weights)
            scores = await engine.score(data.sequences, adapter_hash=adapter_hash)
            difference = differences(data.trainer_logprobs[adapter], scores)
            print(f"torch float32, {adapter}: mean {difference.mean():.6f}, largest {difference.max():.6f} nats")
            assert difference.max() < FLOAT32_TOLERANCE
    finally:
        await engine.close()


@pytest.mark.parametrize("engine", ["torch", "llamacpp"])
async def test_served_logprobs_equal_the_trainers(data: AdapterData, engine: Literal["torch", "llamacpp"]) -> None:
    pool = await open_pool(data, engine)
    try:
        assert {data.served_name(adapter) for adapter in data.trainer_logprobs} <= set(pool.names())
        scores = {}
        for adapter in ("first", BASE, "second", "up", "first", BASE):  # alternating: no adapter may leave a trace
            served = await pool.get(data.served_name(adapter))
            scores[adapter] = await served.engine.score(data.sequences)
            difference = differences(data.trainer_logprobs[adapter], scores[adapter])
            print(f"{engine}, {adapter}: mean {difference.mean():.4f}, largest {difference.max():.4f} nats")
            assert difference.mean() < MEAN_TOLERANCE
            assert difference.max() < MAX_TOLERANCE
        for adapter in ("first", "second", "up"):
            for other in set(data.trainer_logprobs) - {adapter}:
                assert differences(data.trainer_logprobs[other], scores[adapter]).mean() > 2 * MEAN_TOLERANCE
    finally:
        await pool.close()


async def test_concurrent_answers_each_use_their_own_adapter(data: AdapterData) -> None:
    """For llama.cpp, whose cache outlives an answer; `tests/inference/test_torch_engine.py` has the same for torch."""
    pool = await open_pool(data, "llamacpp")
    decoder = load_decoder(data.model.weights)
    try:
        names = [BASE, "first", "second", "up"]
        served = {name: await pool.get(data.served_name(name)) for name in names}
        prompt = tuple(Tokenizer.load(data.model).encode(TEXTS[0]))
        for is_cached in (False, True):  # in the second round every prompt is in the cache
            requests = {
                name: GenerationRequest(prompt_ids=prompt, sampling=SamplingSettings(max_tokens=12, seed=seed))
                for seed, name in enumerate(names)
            }
            answers = await asyncio.gather(*(served[name].engine.generate(requests[name]) for name in names))
            for name, answer in zip(names, answers, strict=True):
                assert served[name].adapter_hash == (None if name == BASE else data.published[name].sha256)
                sequence = (prompt, [token.id for token in answer.tokens])
                served_logprobs = [[token.logprob for token in answer.tokens]]
                mean_differences = {
                    other: differences(trainer_logprobs(policy_for(data, decoder, other), [sequence]), served_logprobs).mean()
                    for other in (names if is_cached else [name])
                }
                assert mean_differences[name] < 2 * MEAN_TOLERANCE  # a dozen tokens vary more than the mean of many
                assert name == min(mean_differences, key=lambda other: mean_differences[other])
    finally:
        await pool.close()


def policy_for(data: AdapterData, decoder: Any, adapter: str) -> Policy:
    detach_adapter(decoder)
    if adapter == BASE:
        return Policy(decoder, base_sha256=data.model.sha256, adapter=None, reference=None)
    loaded = load_adapter(data.published[adapter].weights, decoder, base_sha256=data.model.sha256)
    return Policy.with_adapter(decoder, loaded)


async def test_adapter_is_served_once_published_and_refused_on_another_base(data: AdapterData, tmp_path: Path) -> None:
    empty_data = AdapterData(tmp_path, data.model, data.published, data.sequences, data.trainer_logprobs)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / data.model.name).symlink_to(data.model.folder)
    pool = await open_pool(empty_data, "llamacpp")
    try:
        assert pool.names() == [data.model.name]
        with pytest.raises(NotFound, match="no adapter"):
            await pool.get(data.served_name("first"))
        source = data.published["first"]
        (tmp_path / "adapters").mkdir()
        (tmp_path / "adapters" / source.sha256).symlink_to(source.folder)
        assert pool.names() == [data.model.name, data.served_name("first")]
        served = await pool.get(data.served_name("first"))
        scores = await served.engine.score(data.sequences)
        assert differences(data.trainer_logprobs["first"], scores).mean() < MEAN_TOLERANCE
        [listed] = [model for model in pool.models() if model.name == served.name]
        assert (listed.owned_by, listed.weights) == ("yearling", data.model.name)

        foreign = AdapterLibrary(tmp_path / "foreign").publish(
            new_adapter(load_decoder(data.model.weights), rank=1, alpha=1.0, base_sha256="e" * 64, seed=0),
            load_decoder(data.model.weights),
            replace(data.model, sha256="e" * 64, source_sha256="f" * 64),
        )
        (tmp_path / "adapters" / foreign.sha256).symlink_to(foreign.folder)
        with pytest.raises(Untrusted, match="made for the weights eeeeeeeeeeee"):
            await pool.get(foreign.served_name(data.model.name))
        with pytest.raises(Untrusted, match="another base model"):
            await (await pool.get()).engine.load_adapter(foreign.weights)
    finally:
        await pool.close()


async def test_merged_model_answers_as_base_and_adapter(data: AdapterData) -> None:
    library = ModelLibrary(data.data_dir / "models")
    merged = merge_into_library(library, data.model, data.published["first"], name="merged")
    assert merged.source == f"merge:{data.model.sha256}+{data.published['first'].sha256}"
    assert (merged.quantisation, merged.licence) == ("Q8_0", data.model.licence)
    assert data.published["first"].fits(merged) == ""
    pool = await open_pool(data, "llamacpp")
    try:
        served = await pool.get("merged")
        difference = differences(data.trainer_logprobs["first"], await served.engine.score(data.sequences))
        print(f"llamacpp, merged to Q8_0: mean {difference.mean():.4f}, largest {difference.max():.4f} nats")
        assert difference.mean() < MEAN_TOLERANCE
        assert difference.max() < MAX_TOLERANCE
    finally:
        await pool.close()
