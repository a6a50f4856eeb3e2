"""The llama.cpp engine on the default model: tokens, log-probabilities, shared steps and limits."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import jsonschema
import numpy as np
import pytest
import pytest_asyncio

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Untrusted
from yearling.inference import GenerationRequest
from yearling.inference.llamacpp import LlamaCppEngine, open_llamacpp
from yearling.inference.llamacpp_core import CHUNK_TOKENS
from yearling.models import ChatTemplate, LocalModel, Tokenizer
from yearling.records import SamplingSettings

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

GREEDY = SamplingSettings(temperature=0, max_tokens=24)


@pytest.fixture(scope="module")
def tokenizer(default_model: LocalModel) -> Tokenizer:
    return Tokenizer.load(default_model)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(default_model: LocalModel) -> AsyncIterator[LlamaCppEngine]:
    opened = await open_llamacpp(folder=str(default_model.folder), threads=2, max_sequences=32)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def chat(default_model: LocalModel, tokenizer: Tokenizer) -> Any:
    template = ChatTemplate.load(default_model)

    def ask(text: str, **kwargs: Any) -> GenerationRequest:
        ids = template.encode(tokenizer, [{"role": "user", "content": text}])
        return GenerationRequest(prompt_ids=tuple(ids), sampling=kwargs.pop("sampling", GREEDY), **kwargs)

    return ask


async def test_it_knows_the_capital_of_france(engine: LlamaCppEngine, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("The Eiffel Tower stands in France, whose capital is the city of")
    completion = await engine.generate(
        GenerationRequest(prompt_ids=tuple(ids), sampling=SamplingSettings(temperature=0, max_tokens=4))
    )
    assert completion.text.startswith(" Paris")


async def test_the_end_of_turn_is_a_token_without_text(engine: LlamaCppEngine, chat: Any, tokenizer: Tokenizer) -> None:
    completion = await engine.generate(chat("Say hello.", sampling=SamplingSettings(temperature=0, max_tokens=200)))
    assert completion.finish_reason == "stop"
    assert completion.tokens[-1].id in tokenizer.stop_ids
    assert completion.text == tokenizer.decode([token.id for token in completion.tokens])
    assert completion.completion_tokens == len(completion.tokens)


async def test_tokens_inside_characters_are_all_reported(engine: LlamaCppEngine, chat: Any, tokenizer: Tokenizer) -> None:
    bias = tuple((token, 100.0) for token in tokenizer.encode("😀"))
    completion = await engine.generate(chat("Hi", sampling=SamplingSettings(max_tokens=9, logit_bias=bias, seed=3)))
    assert len(completion.tokens) == 9
    assert completion.text == tokenizer.decode([token.id for token in completion.tokens])


async def test_a_request_with_a_seed_repeats_itself(engine: LlamaCppEngine, chat: Any) -> None:
    request = chat("Tell me a story about a fox. " * 20, sampling=SamplingSettings(temperature=1.0, max_tokens=40, seed=11))
    first = await engine.generate(request)
    assert (await engine.generate(request)).tokens == first.tokens
    other = await engine.generate(chat("Tell me a story about a fox. " * 20, sampling=SamplingSettings(max_tokens=40, seed=12)))
    assert [token.id for token in other.tokens] != [token.id for token in first.tokens]


async def test_the_whole_distribution_is_sampled(engine: LlamaCppEngine, chat: Any) -> None:
    draws = 160
    requests = [
        chat("Say any word.", sampling=SamplingSettings(temperature=1.0, max_tokens=1, seed=seed), top_logprobs=20)
        for seed in range(draws)
    ]
    completion = await asyncio.gather(*(engine.generate(request) for request in requests))
    counts = Counter(answer.tokens[0].id for answer in completion)
    top = completion[0].tokens[0].top_logprobs
    chi = sum((counts[token] - draws * math.exp(p)) ** 2 / (draws * math.exp(p)) for token, p in top[:5])
    assert chi < 22.1  # 99.95 % of chi-square with 5 degrees of freedom
    # Tokens that top-k 40 or min-p 0.05 would never give.
    listed = {token for token, _ in top}
    outside = 1 - sum(math.exp(p) for _, p in top)
    seen = sum(count for token, count in counts.items() if token not in listed) / draws
    assert abs(seen - outside) < 4 * math.sqrt(outside * (1 - outside) / draws) + 0.01


async def test_reported_logprobs_ignore_bias_temperature_and_truncation(engine: LlamaCppEngine, chat: Any) -> None:
    plain = (await engine.generate(chat("Hello", top_logprobs=5))).tokens[0]
    token = plain.top_logprobs[3][0]
    settings = SamplingSettings(temperature=0.5, top_k=3, top_p=0.9, logit_bias=((token, 100.0),), max_tokens=1, seed=1)
    forced = (await engine.generate(chat("Hello", sampling=settings, top_logprobs=5))).tokens[0]
    assert forced.id == token
    assert forced.logprob == pytest.approx(plain.top_logprobs[3][1], abs=1e-6)
    assert forced.top_logprobs == plain.top_logprobs


async def test_scores_are_those_of_generation(engine: LlamaCppEngine, chat: Any) -> None:
    request = chat("Explain why the sky is blue.", sampling=SamplingSettings(temperature=0, max_tokens=40))
    completion = await engine.generate(request)
    assert request.prompt_ids is not None
    [scores] = await engine.score([(request.prompt_ids, [token.id for token in completion.tokens])])
    streamed = [token.logprob for token in completion.tokens]
    assert len(scores) == len(streamed)
    # Activations are rounded to eight bits by kernels that depend on the number of rows.
    assert np.abs(np.array(scores) - streamed).mean() < 0.05
    assert np.abs(np.array(scores) - streamed).max() < 0.5
    assert await engine.score([(request.prompt_ids, [])]) == [[]]


async def test_tokens_of_a_text_are_scored_with_the_likeliest_at_their_place(engine: LlamaCppEngine, chat: Any) -> None:
    ids = [*chat("Explain why the sky is blue.").prompt_ids, *range(100, 300)]  # longer than one chunk
    tokens = await engine.score_tokens(ids, num_top=3)
    [scores] = await engine.score([(ids[:1], ids[1:])])
    assert [token.id for token in tokens] == ids[1:]
    assert [token.logprob for token in tokens] == scores
    for token in tokens:
        top = [logprob for _, logprob in token.top_logprobs]
        assert len(top) == 3
        assert top == sorted(top, reverse=True)
        assert token.logprob <= top[0]
        assert token.logprob == dict(token.top_logprobs).get(token.id, token.logprob)
    assert await engine.score_tokens(ids, first=len(ids) - 1) == [replace(tokens[-1], top_logprobs=())]
    assert await engine.score_tokens(ids[:1]) == []
    with pytest.raises(BadInput):
        await engine.score_tokens(ids, first=0)


async def test_stop_strings_and_length(engine: LlamaCppEngine, chat: Any) -> None:
    full = await engine.generate(chat("What is the capital of France?"))
    word = full.text.split()[2]
    stop = SamplingSettings(temperature=0, max_tokens=24, stop=(word,))
    stopped = await engine.generate(chat("What is the capital of France?", sampling=stop))
    assert stopped.text == full.text.partition(word)[0]
    assert stopped.finish_reason == "stop"
    cut = await engine.generate(chat("Tell me a story.", sampling=SamplingSettings(temperature=0, max_tokens=5)))
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 5)


async def test_schemas_are_guaranteed(engine: LlamaCppEngine, chat: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "size": {"enum": ["small", "large"]}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    requests = [
        chat("Describe Paris as JSON.", sampling=SamplingSettings(seed=seed, max_tokens=100), json_schema=schema)
        for seed in range(8)
    ]
    for completion in await asyncio.gather(*(engine.generate(request) for request in requests)):
        assert completion.finish_reason == "stop"
        jsonschema.validate(json.loads(completion.text), schema)
    cut = await engine.generate(chat("Paris", sampling=SamplingSettings(max_tokens=3), json_schema=schema))
    assert cut.finish_reason == "length"
    with pytest.raises(BadInput):
        await engine.generate(chat("Paris", json_schema={"type": "nonsense"}))


async def test_penalties_change_the_answer(engine: LlamaCppEngine, chat: Any) -> None:
    settings = SamplingSettings(temperature=0, max_tokens=60, frequency_penalty=2.0)
    completion = await engine.generate(chat("Repeat the word yes many times.", sampling=settings))
    assert max(Counter(token.id for token in completion.tokens).values()) < 20


async def test_closing_a_stream_frees_its_slot(engine: LlamaCppEngine, chat: Any) -> None:
    async with aclosing(engine.stream(chat("Tell me a story.", sampling=SamplingSettings(max_tokens=400)))) as stream:
        await anext(stream)
        assert await engine.running() == 1
    assert await engine.running() == 0


async def test_thirty_two_streams_share_steps(engine: LlamaCppEngine, chat: Any) -> None:
    """Counted in tokens, not in seconds: when the first stream ends, every other one has at least a third of its tokens."""
    num_received = Counter[int]()
    at_first_end: list[int] = []

    async def read(seed: int) -> int:
        never_ends = tuple((token, -100.0) for token in (2, 0))
        request = chat(f"Question {seed}", sampling=SamplingSettings(max_tokens=24, seed=seed, logit_bias=never_ends))
        async for chunk in engine.stream(request):
            num_received[seed] += len(chunk.tokens)
        if not at_first_end:
            at_first_end.extend(num_received[answer] for answer in range(32))
        return num_received[seed]

    assert await asyncio.gather(*(read(seed) for seed in range(32))) == [24] * 32
    assert 3 * min(at_first_end) >= 24


async def test_a_long_prompt_does_not_stall_a_stream(engine: LlamaCppEngine, chat: Any, tokenizer: Tokenizer) -> None:
    """Counted in tokens, not in seconds: the stream gets one token with each chunk of the prompt."""
    long_ids = tuple(tokenizer.encode("The quick brown fox jumps over the lazy dog. " * 80)[:700])
    settings = SamplingSettings(max_tokens=200, logit_bias=((2, -100.0), (0, -100.0)))
    answer = SamplingSettings(temperature=0, max_tokens=1)
    num_received = 0
    async with aclosing(engine.stream(chat("Tell me a long story.", sampling=settings))) as stream:
        await anext(stream)
        long_one = asyncio.create_task(engine.generate(GenerationRequest(prompt_ids=long_ids, sampling=answer)))
        async for chunk in stream:
            num_received += len(chunk.tokens)
            if long_one.done():
                break
    await long_one
    assert num_received >= len(long_ids) // CHUNK_TOKENS - 2


async def test_invalid_requests_raise(engine: LlamaCppEngine) -> None:
    context = engine.capabilities.context_tokens
    with pytest.raises(ContextLengthExceeded, match=str(context + 5)):
        await engine.generate(GenerationRequest(prompt_ids=(5,) * (context + 5)))
    with pytest.raises(BadInput, match="does not have"):
        await engine.generate(GenerationRequest(prompt_ids=(10**7,)))
    with pytest.raises(NotFound):
        await engine.generate(GenerationRequest(prompt_ids=(5,), adapter_hash="0" * 64))


async def test_embeddings_tell_texts_apart(engine: LlamaCppEngine, tokenizer: Tokenizer) -> None:
    texts = ["The cat sat on the mat.", "A cat was sitting on a mat.", "Interest rates rose in March. " * 20]
    a, b, c = (np.array(answer) for answer in await engine.embed([tokenizer.encode(text) for text in texts]))
    assert np.linalg.norm(a) == pytest.approx(1)
    assert a @ b > a @ c


async def test_a_full_cache_makes_requests_wait_and_corrupts_none(
    default_model: LocalModel, tokenizer: Tokenizer, chat: Any
) -> None:
    small = await LlamaCppEngine.open(
        default_model.weights,
        tokenizer,
        model_hash="x",
        threads=2,
        context_tokens=400,
        max_sequences=8,
        cells=512,
    )
    try:
        settings = SamplingSettings(temperature=0, max_tokens=50, logit_bias=((2, -100.0), (0, -100.0)))
        requests = [chat(f"Tell me a story about animal number {n}.", sampling=settings) for n in range(6)]
        together = await asyncio.gather(*(small.generate(request) for request in requests))
        for request, completion in zip(requests, together, strict=True):
            assert completion.completion_tokens == 50
            [scores] = await small.score([(request.prompt_ids, [token.id for token in completion.tokens])])
            # With a corrupted cache, the engine's own tokens would be unlikely.
            assert np.abs(np.array(scores) - [token.logprob for token in completion.tokens]).mean() < 0.1
    finally:
        await small.close()


def write_adapter(path: Path, *, base: str = "", scale: float = 1.0) -> None:
    """A LoRA adapter of rank 2 on every query projection of the default model, with random weights."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    if base:
        writer.add_string("yearling.base_sha256", base)
    for layer in range(30):
        name = f"blk.{layer}.attn_q.weight"
        writer.add_tensor(f"{name}.lora_a", (scale * rng.standard_normal((2, 576))).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", (scale * rng.standard_normal((576, 2))).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


async def test_adapters_change_only_the_requests_that_name_them(engine: LlamaCppEngine, chat: Any, tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", base=engine.model_hash, scale=0.3)
    settings = SamplingSettings(temperature=0, max_tokens=12)
    bare = await engine.generate(chat("What is the capital of France?", sampling=settings))
    running = asyncio.create_task(engine.generate(chat("Tell me a story.", sampling=SamplingSettings(max_tokens=60, seed=1))))
    await asyncio.sleep(0.2)
    adapter_hash = await engine.load_adapter(tmp_path / "a.gguf")
    assert not running.done()
    changed, repeated = await asyncio.gather(
        engine.generate(chat("What is the capital of France?", sampling=settings, adapter_hash=adapter_hash)),
        engine.generate(chat("What is the capital of France?", sampling=settings)),
    )
    assert (await running).finish_reason in ("stop", "length")
    assert abs(changed.tokens[0].logprob - bare.tokens[0].logprob) > 0.05
    # The prompt cache must not mix adapters: the bare model still answers as before, in text, and so does its score.
    assert repeated.text == bare.text
    alone = await engine.generate(chat("What is the capital of France?", sampling=settings, adapter_hash=adapter_hash))
    assert abs(alone.tokens[0].logprob - changed.tokens[0].logprob) < 0.3
    assert (await engine.generate(chat("What is the capital of France?", sampling=settings))).text == bare.text
    await engine.unload_adapter(adapter_hash)
    with pytest.raises(NotFound):
        await engine.generate(chat("Hi", adapter_hash=adapter_hash))


async def test_an_adapter_for_another_base_is_refused(engine: LlamaCppEngine, tmp_path: Path) -> None:
    write_adapter(tmp_path / "b.gguf", base="f" * 64)
    with pytest.raises(Untrusted, match="another base"):
        await engine.load_adapter(tmp_path / "b.gguf")
    (tmp_path / "c.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(Untrusted):
        await engine.load_adapter(tmp_path / "c.gguf")


async def test_a_truncated_model_is_refused(default_model: LocalModel, tokenizer: Tokenizer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(default_model.weights.read_bytes()[:1_000_000])
    with pytest.raises(Untrusted, match="cannot read"):
        await LlamaCppEngine.open(broken, tokenizer, model_hash="x", threads=2)


async def test_a_closed_engine_raises_unavailable(default_model: LocalModel, tokenizer: Tokenizer) -> None:
    opened = await LlamaCppEngine.open(default_model.weights, tokenizer, model_hash="x", threads=2)
    await opened.close()
    await opened.close()
    with pytest.raises(Unavailable):
        await opened.generate(GenerationRequest(prompt_ids=(5,)))
