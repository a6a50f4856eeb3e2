"""What was trained is what answers: published adapters on the default model, in both engines, against the trainer's own figures.

Tolerances, in nats per token. torch in float32: 0.001, since only the shape of the batches differs. torch as the pool opens it
and llama.cpp on Q8_0: 0.15 on average and 1 at most, since they round activations (to bfloat16 where the processor multiplies it,
to eight bits), as they do without an adapter (0.09 on these texts; see also `tests/inference/test_parity.py`). A merged model is
rounded to eight bits once more: the same tolerance holds. Every adapter here moves the log-probabilities by more than twice as
much, so that a swap is noticed. Set after the first measurement: 0.1 failed at 0.117.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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

MEAN, MOST, EXACT = 0.15, 1.0, 0.001
TEXTS = (
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on in the warm afternoon sun.",
    "Water boils at one hundred degrees Celsius at sea level, and at lower temperatures on a mountain.",
)


@dataclass
class Bench:
    """A data folder with the default model and three adapters on it, and what the trainer makes of the texts under each."""

    data_dir: Path
    model: LocalModel
    published: dict[str, PublishedAdapter]
    sequences: list[tuple[list[int], list[int]]]
    trained: dict[str, list[np.ndarray]]

    def name(self, which: str) -> str:
        return self.model.name if which == "bare" else self.published[which].served_name(self.model.name)


@pytest.fixture(scope="module")
def bench(default_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    data_dir = tmp_path_factory.mktemp("served")
    (data_dir / "models").mkdir()
    (data_dir / "models" / default_model.name).symlink_to(default_model.folder)
    model = ModelLibrary(data_dir / "models").get(default_model.name)
    tokenizer = Tokenizer.load(model)
    sequences = [(ids[:4], ids[4:]) for ids in map(tokenizer.encode, TEXTS)]
    decoder = load_decoder(model.weights)
    adapters, published, trained = AdapterLibrary(data_dir / "adapters"), {}, {}
    for which, seed, targets in (("first", 1, ()), ("second", 2, ()), ("up", 3, ("up_proj",))):
        fresh = new_adapter(decoder, rank=4, alpha=8.0, base_sha256=model.sha256, seed=seed)
        policy = Policy.with_adapter(decoder, changed(fresh, seed, targets))
        trained[which] = logprobs(policy, sequences)
        published[which] = adapters.publish(policy.adapter(), decoder, model)
        detach_adapter(decoder)
    trained["bare"] = logprobs(Policy(decoder, base_sha256=model.sha256, adapter=None, reference=None), sequences)
    return Bench(data_dir, model, published, sequences, trained)


def changed(adapter: Adapter, seed: int, targets: tuple[str, ...]) -> Adapter:
    """As far from the base as some training takes it."""
    generator = torch.Generator().manual_seed(seed)
    size = 0.3 if targets else 0.12
    factors = {name: (a, torch.randn(b.shape, generator=generator) * size) for name, (a, b) in adapter.factors.items()}
    kept = {name: pair for name, pair in factors.items() if not targets or name.rpartition(".")[2] in targets}
    return replace(adapter, factors=kept)


@torch.no_grad()
def logprobs(policy: Policy, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[np.ndarray]:
    """The trainer's log-probability of every token of each answer."""
    found = []
    for prompt, answer in sequences:
        [batch] = pack_examples([TrainingExample.from_prompt_and_answer(list(prompt), list(answer), group=0)], budget_tokens=1000)
        found.append(policy.token_logprobs(batch).double().numpy())
    return found


def distances(left: Sequence[np.ndarray], right: Sequence[Sequence[float]]) -> np.ndarray:
    return np.abs(np.concatenate(left) - np.concatenate([np.array(one) for one in right]))


async def opened(bench: Bench, engine: str) -> EnginePool:
    pool = EnginePool(Settings(data_dir=bench.data_dir, engine=engine, threads=1), ModelLibrary(bench.data_dir / "models"))  # type: ignore[arg-type]
    await pool.start()
    return pool


async def test_torch_in_float32_gives_the_trainers_figures(bench: Bench) -> None:
    engine = await open_torch(folder=str(bench.model.folder), threads=1, dtype="float32")
    try:
        for which, adapter in bench.published.items():
            loaded = await engine.load_adapter(adapter.weights)
            far = distances(bench.trained[which], await engine.score(bench.sequences, adapter_hash=loaded))
            print(f"torch float32, {which}: mean {far.mean():.6f}, largest {far.max():.6f} nats")
            assert far.max() < EXACT
    finally:
        await engine.close()


@pytest.mark.parametrize("engine", ["torch", "llamacpp"])
async def test_served_figures_are_the_trainers(bench: Bench, engine: str) -> None:
    pool = await opened(bench, engine)
    try:
        assert {bench.name(which) for which in bench.trained} <= set(pool.names())
        scores = {}
        for which in ("first", "bare", "second", "up", "first", "bare"):  # in turns: nothing may stay of the one before
            served = await pool.get(bench.name(which))
            scores[which] = await served.engine.score(bench.sequences)
            far = distances(bench.trained[which], scores[which])
            print(f"{engine}, {which}: mean {far.mean():.4f}, largest {far.max():.4f} nats")
            assert far.mean() < MEAN
            assert far.max() < MOST
        for which in ("first", "second", "up"):
            for other in set(bench.trained) - {which}:
                assert distances(bench.trained[other], scores[which]).mean() > 2 * MEAN
    finally:
        await pool.close()


async def test_answers_that_run_together_are_each_their_own_adapters(bench: Bench) -> None:
    """In llama.cpp, whose cache outlives an answer; `tests/inference/test_torch_engine.py` has the same for torch."""
    pool = await opened(bench, "llamacpp")
    decoder = load_decoder(bench.model.weights)
    try:
        names = ["bare", "first", "second", "up"]
        served = {which: await pool.get(bench.name(which)) for which in names}
        prompt = tuple(Tokenizer.load(bench.model).encode(TEXTS[0]))
        for again in (False, True):  # the second time every beginning is in the cache
            requests = {
                which: GenerationRequest(prompt_ids=prompt, sampling=SamplingSettings(max_tokens=12, seed=number))
                for number, which in enumerate(names)
            }
            done = await asyncio.gather(*(served[which].engine.generate(requests[which]) for which in names))
            for which, answer in zip(names, done, strict=True):
                assert served[which].adapter_hash == (None if which == "bare" else bench.published[which].sha256)
                ids = [token.id for token in answer.tokens]
                told = [[token.logprob for token in answer.tokens]]
                others = names if again else [which]
                far = {
                    other: distances(logprobs(policy_of(bench, decoder, other), [(prompt, ids)]), told).mean() for other in others
                }
                assert far[which] < 2 * MEAN  # a dozen tokens vary more than the mean of many
                assert which == min(far, key=lambda other: far[other])
    finally:
        await pool.close()


def policy_of(bench: Bench, decoder: Any, which: str) -> Policy:
    detach_adapter(decoder)
    if which == "bare":
        return Policy(decoder, base_sha256=bench.model.sha256, adapter=None, reference=None)
    adapter = load_adapter(bench.published[which].weights, decoder, base_sha256=bench.model.sha256)
    return Policy.with_adapter(decoder, adapter)


async def test_an_adapter_is_served_from_the_moment_it_is_published_and_refused_on_another_base(
    bench: Bench, tmp_path: Path
) -> None:
    late = Bench(tmp_path, bench.model, bench.published, bench.sequences, bench.trained)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / bench.model.name).symlink_to(bench.model.folder)
    pool = await opened(late, "llamacpp")
    try:
        assert pool.names() == [bench.model.name]
        with pytest.raises(NotFound, match="no adapter"):
            await pool.get(bench.name("first"))
        source = bench.published["first"]
        (tmp_path / "adapters").mkdir()
        (tmp_path / "adapters" / source.sha256).symlink_to(source.folder)
        assert pool.names() == [bench.model.name, bench.name("first")]
        served = await pool.get(bench.name("first"))
        assert distances(bench.trained["first"], await served.engine.score(bench.sequences)).mean() < MEAN
        assert pool.model_info(served.name)[0] == "yearling"

        foreign = AdapterLibrary(tmp_path / "foreign").publish(
            foreign_adapter(bench),
            load_decoder(bench.model.weights),
            replace(bench.model, sha256="e" * 64, source_sha256="f" * 64),
        )
        (tmp_path / "adapters" / foreign.sha256).symlink_to(foreign.folder)
        with pytest.raises(Untrusted, match="made for the weights eeeeeeeeeeee"):
            await pool.get(foreign.served_name(bench.model.name))
        with pytest.raises(Untrusted, match="another base model"):
            await (await pool.get()).engine.load_adapter(foreign.weights)
    finally:
        await pool.close()


def foreign_adapter(bench: Bench) -> Adapter:
    return new_adapter(load_decoder(bench.model.weights), rank=1, alpha=1.0, base_sha256="e" * 64, seed=0)


async def test_a_merged_model_answers_as_base_and_adapter_did(bench: Bench) -> None:
    library = ModelLibrary(bench.data_dir / "models")
    merged = merge_into_library(library, bench.model, bench.published["first"], name="merged")
    assert merged.source == f"merge:{bench.model.sha256}+{bench.published['first'].sha256}"
    assert (merged.quantisation, merged.licence) == ("Q8_0", bench.model.licence)
    assert bench.published["first"].fits(merged) == ""
    pool = await opened(bench, "llamacpp")
    try:
        served = await pool.get("merged")
        far = distances(bench.trained["first"], await served.engine.score(bench.sequences))
        print(f"llamacpp, merged to Q8_0: mean {far.mean():.4f}, largest {far.max():.4f} nats")
        assert far.mean() < MEAN
        assert far.max() < MOST
    finally:
        await pool.close()
