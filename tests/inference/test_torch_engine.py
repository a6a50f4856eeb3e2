"""The torch engine on a tiny random network, and against the default model."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Unsupported, Untrusted
from yearling.inference import ByteTokenizer, Completion, GenerationRequest
from yearling.inference.torch_engine import TorchEngine, hash_adapter, open_torch
from yearling.inference.torch_weights import choose_weight_dtype, pack_linears
from yearling.models import LocalModel, attach_adapter, load_adapter, new_adapter, save_adapter
from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder
from yearling.records import SamplingSettings

VOCABULARY = 259
CONTEXT = 256
END = 257

# The same numbers by differently shaped matrix products: fp32 rounding, a few layers deep.
TOLERANCE = 2e-5


def tiny_network(*, context: int = CONTEXT) -> LlamaDecoder:
    torch.manual_seed(0)
    config = DecoderConfig(
        family="llama",
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_layers=2,
        context_tokens=context,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        ffn_size=64,
        norm_eps=1e-5,
        rope_theta=10_000.0,
        tied_embeddings=True,
    )
    network = LlamaDecoder(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
        # Tests that count tokens must not meet the end of a turn by chance.
        network.model.embed_tokens.weight[END:] *= 0.01
    return network


@asynccontextmanager
async def tiny_engine(
    *, rows: int = 8, budget: int = 4096, packed: bool = False, context: int = CONTEXT
) -> AsyncIterator[TorchEngine]:
    tokenizer = ByteTokenizer()
    network = tiny_network(context=context)
    if packed:
        pack_linears(network)

    torch.set_num_threads(1)
    engine = await TorchEngine.open(
        lambda: network, tokenizer, model_hash="tiny", context_tokens=context, max_sequences=rows, budget_tokens=budget
    )
    try:
        yield engine
    finally:
        await engine.close()


def request(prompt: str = "hello", *, schema: dict[str, Any] | None = None, top: int = 0, **sampling: Any) -> GenerationRequest:
    settings = SamplingSettings(**({"max_tokens": 12} | sampling))
    return GenerationRequest(prompt_ids=tuple(prompt.encode()), sampling=settings, json_schema=schema, top_logprobs=top)


def logprobs(answer: Completion) -> list[float]:
    return [token.logprob for token in answer.tokens]


async def test_logprobs_are_exact_and_equal_those_of_score() -> None:
    """Against the definition: one forward pass over the whole text, log-softmax in fp64."""
    async with tiny_engine() as engine:
        requests = [request(text, seed=seed, temperature=0.8, top_p=0.9) for seed, text in enumerate(["a", "bcd", "x" * 90])]
        answers = await asyncio.gather(*map(engine.generate, requests))
        scored = await engine.score(
            [
                (item.prompt_ids or (), [token.id for token in answer.tokens])
                for item, answer in zip(requests, answers, strict=True)
            ]
        )
    network = tiny_network()
    for item, answer, rescored in zip(requests, answers, scored, strict=True):
        ids = [*(item.prompt_ids or ()), *(token.id for token in answer.tokens)]
        with torch.no_grad():
            exact = torch.log_softmax(network(torch.tensor([ids])).double(), -1)[0]
        first = len(item.prompt_ids or ())
        expected = [float(exact[at - 1, ids[at]]) for at in range(first, len(ids))]
        assert logprobs(answer) == pytest.approx(expected, abs=TOLERANCE)
        assert rescored == pytest.approx(expected, abs=TOLERANCE)
        assert answer.completion_tokens == len(answer.tokens) == 12
        assert answer.prompt_tokens == first
        assert answer.finish_reason == "length"


@pytest.mark.slow
async def test_a_request_samples_the_same_tokens_alone_and_in_a_batch() -> None:
    requests = [request("abc" * (1 + seed), seed=seed, temperature=0.9, max_tokens=20 + seed) for seed in range(12)]
    alone = []
    async with tiny_engine(rows=1) as engine:
        for item in requests:
            alone.append(await engine.generate(item))
    async with tiny_engine(rows=5, packed=True) as engine:
        together = await asyncio.gather(*map(engine.generate, requests))
    for first, second in zip(alone, together, strict=True):
        assert [token.id for token in first.tokens] == [token.id for token in second.tokens]
        assert [token.logprob for token in first.tokens] == pytest.approx(
            [token.logprob for token in second.tokens], abs=TOLERANCE
        )
    assert len({tuple(token.id for token in item.tokens) for item in alone}) == 12


@pytest.mark.slow
async def test_preempted_sequences_sample_the_same_tokens() -> None:
    """The budget is so small that most sequences are preempted and recomputed."""
    requests = [request("p" * 20, seed=seed, temperature=1.0, max_tokens=100) for seed in range(6)]
    async with tiny_engine(rows=6, budget=100_000) as engine:
        roomy = await asyncio.gather(*map(engine.generate, requests))
    async with tiny_engine(rows=6, budget=CONTEXT) as engine:
        cramped = await asyncio.gather(*map(engine.generate, requests))
    assert [[token.id for token in item.tokens] for item in roomy] == [[token.id for token in item.tokens] for item in cramped]


async def test_greedy_decoding_equals_the_argmax_of_full_passes() -> None:
    async with tiny_engine() as engine:
        answer = await engine.generate(request("greedy", temperature=0))
    network, ids = tiny_network(), list(b"greedy")
    for token in answer.tokens:
        with torch.no_grad():
            assert token.id == int(network(torch.tensor([ids]))[0, -1].argmax())
        ids.append(token.id)


async def test_top_logprobs_are_the_likeliest_tokens() -> None:
    async with tiny_engine() as engine:
        answer = await engine.generate(request("top", temperature=0, top=4))
    for token in answer.tokens:
        assert len(token.top_logprobs) == 4
        best_id, best_logprob = token.top_logprobs[0]
        assert best_id == token.id
        assert best_logprob == pytest.approx(token.logprob, abs=1e-6)
        assert list(token.top_logprobs) == sorted(token.top_logprobs, key=lambda pair: -pair[1])


async def test_score_of_long_and_short_texts_together_is_batch_invariant() -> None:
    async with tiny_engine(context=2000, budget=4000) as engine:
        texts = [(b"x", b"yz" * 3), (b"prompt " * 100, b"answer " * 60), (b"ab", b""), (b"q", b"w" * 30)]
        together = await engine.score(texts)
        alone = [(await engine.score([item]))[0] for item in texts]
        for prompt, answer in texts:
            tokens = await engine.score_tokens([*prompt, *answer], first=len(prompt), num_top=2)
            assert [token.id for token in tokens] == list(answer)
            assert [token.logprob for token in tokens] == pytest.approx((await engine.score([(prompt, answer)]))[0], abs=1e-5)
            for token in tokens:
                assert token.logprob <= token.top_logprobs[0][1] >= token.top_logprobs[1][1]
                assert token.logprob == dict(token.top_logprobs).get(token.id, token.logprob)
    assert [len(item) for item in together] == [len(answer) for _, answer in texts]
    for first, second in zip(together, alone, strict=True):
        assert first == pytest.approx(second, abs=TOLERANCE)
    prompt, answer = texts[1]
    ids = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        exact = torch.log_softmax(tiny_network()(ids).double(), -1)[0]
    expected = [float(exact[at - 1, ids[0, at]]) for at in range(len(prompt), ids.shape[1])]
    assert together[1] == pytest.approx(expected, abs=TOLERANCE)


async def test_embeddings_are_unit_means_of_the_last_states() -> None:
    async with tiny_engine(context=2000, budget=4000) as engine:
        texts = [list(b"one"), list(b"another text"), list(b"long " * 150)]
        vectors = await engine.embed(texts)
        with pytest.raises(BadInput, match="empty"):
            await engine.embed([[]])
    for ids, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():
            mean = tiny_network().hidden(torch.tensor([ids]))[0].mean(0)
        assert vector == pytest.approx((mean / mean.norm()).tolist(), abs=TOLERANCE)
        assert math.fsum(x * x for x in vector) == pytest.approx(1, abs=1e-5)


async def test_stop_strings_end_the_answer_and_stay_out_of_the_text() -> None:
    async with tiny_engine() as engine:
        only_ab: dict[str, Any] = {
            "logit_bias": tuple((byte, 1e4) for byte in b"ab"),
            "temperature": 50.0,
            "max_tokens": 40,
            "seed": 3,
        }
        full = await engine.generate(request(**only_ab))
        cut = await engine.generate(request(**only_ab, stop=("ba",)))
    assert set(full.text) == {"a", "b"}
    assert cut.text == full.text.partition("ba")[0]
    assert cut.finish_reason == "stop"
    assert [token.id for token in cut.tokens] == list((cut.text + "ba").encode())


async def test_the_end_of_turn_ends_the_answer() -> None:
    async with tiny_engine() as engine:
        answer = await engine.generate(request(logit_bias=((END, 100.0),)))
    assert (answer.text, answer.finish_reason, [token.id for token in answer.tokens]) == ("", "stop", [END])


async def test_cancelling_frees_the_row_within_one_step() -> None:
    async with tiny_engine(rows=1) as engine:
        core = await engine._thread.core()
        stream = engine.stream(request(max_tokens=200))
        await anext(stream)
        waiting = asyncio.create_task(engine.generate(request("next", max_tokens=1)))
        await asyncio.sleep(0.02)
        steps_before = engine.steps
        await stream.aclose()
        answer = await waiting
        assert answer.completion_tokens == 1
        assert engine.steps - steps_before <= 3
        assert not core.has_work()
        assert core._batch_cache is None


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8, "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["red", "blé"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


async def test_an_answer_that_is_closed_between_steps_leaves_the_others_as_they_were() -> None:
    left, kept = request("first", max_tokens=200, temperature=0), request("second", max_tokens=40, temperature=0)
    async with tiny_engine() as engine:
        expected = await engine.generate(kept)
        for num_deltas in range(1, 9):
            leaving = engine.stream(left)
            await anext(leaving)  # has the first row, into which the last one moves
            staying = asyncio.create_task(engine.generate(kept))
            for _ in range(num_deltas):
                await anext(leaving)
            await leaving.aclose()
            answer = await staying
            assert answer.text == expected.text
        assert not engine.has_failed


async def test_a_schema_is_satisfied_by_a_random_network() -> None:
    async with tiny_engine() as engine:
        answers = await asyncio.gather(
            *(engine.generate(request(schema=SCHEMA, seed=seed, temperature=1.5, max_tokens=200)) for seed in range(10)),
            engine.generate(request("free", max_tokens=5)),
        )
    for answer in answers[:-1]:
        assert answer.finish_reason == "stop"
        jsonschema.validate(json.loads(answer.text), SCHEMA)
    assert answers[-1].completion_tokens == 5
    # The reported log-probability is the model's own, under which JSON is very unlikely.
    assert answers[0].tokens[0].logprob < -3


async def test_a_schema_that_cannot_be_enforced_raises() -> None:
    async with tiny_engine() as engine:
        for schema in ({"type": "nonsense"}, {"not": {"type": "string"}}, {"type": "string", "pattern": "("}):
            with pytest.raises(Unsupported, match="schema"):
                await engine.generate(request(schema=schema))
        assert (await engine.generate(request())).completion_tokens == 12


async def test_invalid_requests_raise_and_leave_others_running() -> None:
    async with tiny_engine() as engine:
        running = asyncio.create_task(engine.generate(request(max_tokens=100)))
        with pytest.raises(ContextLengthExceeded):
            await engine.generate(request("x" * CONTEXT))
        with pytest.raises(BadInput, match="token id"):
            await engine.generate(GenerationRequest(prompt_ids=(1, VOCABULARY)))
        with pytest.raises(BadInput, match="logit_bias"):
            await engine.generate(request(logit_bias=((VOCABULARY, 1.0),)))
        with pytest.raises(NotFound):
            await engine.generate(GenerationRequest(prompt_ids=(1,), adapter_hash="f" * 64))
        with pytest.raises(BadInput, match="without a prompt"):
            await engine.score([((), (1, 2))])
        assert (await running).completion_tokens == 100


async def test_a_failing_step_fails_its_requests_and_the_engine_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tiny_engine() as engine:
        core = await engine._thread.core()
        with monkeypatch.context() as patch:
            patch.setattr(core.decoder, "hidden", lambda *_, **__: torch.full((1, 1, 32), float("nan")))
            with pytest.raises(Unavailable):
                await engine.generate(request("a"))
        assert (await engine.generate(request("a"))).completion_tokens == 12


async def test_a_request_that_the_engine_fails_to_accept_is_failed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tiny_engine() as engine:
        core = await engine._thread.core()
        with monkeypatch.context() as patch:
            patch.setattr(core, "decoder_for", lambda _: 1 // 0)
            with pytest.raises(Unavailable, match="failed to accept"):
                await asyncio.wait_for(engine.generate(request("a")), 5)
        assert (await engine.generate(request("a"))).completion_tokens == 12
        assert not engine.has_failed


async def test_no_request_waits_for_a_thread_that_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tiny_engine() as engine:
        core = await engine._thread.core()
        monkeypatch.setattr(core, "remove", lambda _: 1 // 0)
        stream = engine.stream(request(max_tokens=200))
        await anext(stream)
        running = asyncio.create_task(engine.generate(request("b", max_tokens=200)))
        # The first stream is dropped, which fails; the second request and a call that comes with it are told.
        await stream.aclose()
        scoring = asyncio.create_task(engine.score([((1,), (2,))]))
        with pytest.raises(Unavailable):
            await asyncio.wait_for(running, 5)
        await asyncio.wait([scoring], timeout=5)
        assert scoring.done()
        assert engine.has_failed
        with pytest.raises(Unavailable, match="has failed"):
            await engine.generate(request("a"))


async def test_closing_twice_ends_open_streams_and_does_no_harm() -> None:
    async with tiny_engine() as engine:
        stream = engine.stream(request(max_tokens=200))
        await anext(stream)
        await engine.close()
        with pytest.raises(Unavailable):
            async for _ in stream:
                pass
        await engine.close()
        with pytest.raises(Unavailable):
            await engine.generate(request())


def tiny_adapter(folder: Path, name: str, *, seed: int, base: str = "tiny") -> Path:
    """A LoRA adapter with a large effect."""
    network = tiny_network()
    adapter = new_adapter(network, rank=2, alpha=16, base_sha256=base, seed=seed)
    for _, b in adapter.factors.values():
        b.normal_(std=0.1, generator=torch.Generator().manual_seed(seed))
    save_adapter(adapter, folder / name, network)
    return folder / name


async def test_requests_with_different_adapters_share_steps_and_never_mix(tmp_path: Path) -> None:
    """Against the definition: one network per adapter, and full passes without a cache."""
    paths = [tiny_adapter(tmp_path, "one.gguf", seed=1), tiny_adapter(tmp_path, "two", seed=2)]
    async with tiny_engine(packed=True) as engine:
        hashes: list[str | None] = [None, *[await engine.load_adapter(path) for path in paths]]
        assert await engine.load_adapter(paths[0]) == hashes[1]
        requests = [
            replace(request("adapters", seed=number, max_tokens=16), adapter_hash=hashes[number % 3]) for number in range(9)
        ]
        answers = await asyncio.gather(*map(engine.generate, requests))
        pairs = [
            (item.prompt_ids or (), [token.id for token in answer.tokens]) for item, answer in zip(requests, answers, strict=True)
        ]
        scored = [
            (await engine.score([pair], adapter_hash=item.adapter_hash))[0] for item, pair in zip(requests, pairs, strict=True)
        ]
        bare = await engine.score(pairs)
    networks: dict[str | None, LlamaDecoder] = {None: tiny_network()}
    for adapter_hash, path in zip(hashes[1:], paths, strict=True):
        networks[adapter_hash] = tiny_network()
        attach_adapter(networks[adapter_hash], load_adapter(path, tiny_network(), base_sha256="tiny"), base_sha256="tiny")
    for number, (item, answer, (prompt, ids)) in enumerate(zip(requests, answers, pairs, strict=True)):
        with torch.no_grad():
            exact = torch.log_softmax(networks[item.adapter_hash](torch.tensor([[*prompt, *ids]])).double(), -1)[0]
        expected = [float(exact[len(prompt) + at - 1, token]) for at, token in enumerate(ids)]
        assert logprobs(answer) == pytest.approx(expected, abs=TOLERANCE)
        assert scored[number] == pytest.approx(expected, abs=TOLERANCE)
        if item.adapter_hash is not None:
            assert max(abs(a - b) for a, b in zip(bare[number], expected, strict=True)) > 0.1


@pytest.mark.slow
async def test_adapters_come_and_go_while_requests_run(tmp_path: Path) -> None:
    path = tiny_adapter(tmp_path, "one.gguf", seed=1)
    async with tiny_engine() as engine:
        adapter_hash = await engine.load_adapter(path)
        adapted = replace(request("run", temperature=0, max_tokens=150), adapter_hash=adapter_hash)
        full = await engine.generate(adapted)
        bare = await engine.generate(replace(adapted, adapter_hash=None))
        running = asyncio.create_task(engine.generate(adapted))
        await asyncio.sleep(0.05)
        await engine.unload_adapter(adapter_hash)
        with pytest.raises(NotFound):
            await engine.generate(adapted)
        with pytest.raises(NotFound):
            await engine.unload_adapter(adapter_hash)
        assert (await running).tokens == full.tokens
        assert full.tokens != bare.tokens
        # The same content has the same name again, and answers as before.
        assert await engine.load_adapter(path) == adapter_hash
        assert (await engine.generate(adapted)).tokens == full.tokens
        with pytest.raises(Untrusted):
            await engine.load_adapter(tiny_adapter(tmp_path, "foreign.gguf", seed=1, base="other"))


def test_the_hash_of_an_adapter_covers_its_scale(tmp_path: Path) -> None:
    folder = tiny_adapter(tmp_path, "peft", seed=3)
    steps_before = hash_adapter(folder)
    assert hash_adapter(folder / "adapter_model.safetensors") == steps_before
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 16.0', '"lora_alpha": 8.0'))
    assert hash_adapter(folder) != steps_before
    with pytest.raises(BadInput):
        hash_adapter(tmp_path / "absent.gguf")


@pytest.mark.slow
def test_packed_layers_compute_the_same() -> None:
    ids = torch.randint(0, VOCABULARY, (7, 9))
    plain, packed = tiny_network(), tiny_network()
    assert pack_linears(packed) > 0
    with torch.inference_mode():
        torch.testing.assert_close(packed(ids), plain(ids), atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(packed(ids[:1, :1]), plain(ids[:1, :1]), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("flag", "available_bytes", "expected"),
    [
        ("amx_bf16", 8_000, "float32"),
        ("amx_bf16", 7_999, "bfloat16"),
        ("avx512_bf16", 7_999, "bfloat16"),
        ("avx512_vnni", 7_999, "float32"),
    ],
)
def test_weights_are_float32_unless_only_bfloat16_fits(flag: str, available_bytes: int, expected: str) -> None:
    flags = frozenset({"fpu", flag})
    assert choose_weight_dtype(1_000, available_bytes=available_bytes, cpu_flags=flags) == expected


@pytest.mark.parametrize(("dtype", "alone"), [(torch.float32, False), (torch.bfloat16, True)])
async def test_a_bfloat16_network_repeats_only_alone(dtype: torch.dtype, alone: bool) -> None:
    engine = await TorchEngine.open(
        lambda: tiny_network().to(dtype), ByteTokenizer(), model_hash="tiny", context_tokens=CONTEXT, max_sequences=2
    )
    assert engine.capabilities.repeats_only_alone is alone
    await engine.close()


@pytest.fixture
def chat_prompts(default_model: LocalModel) -> list[tuple[int, ...]]:
    from yearling.models import Tokenizer

    tokenizer = Tokenizer.load(default_model)
    questions = ["What is the capital of France?", "Name three colours.", "Why is the sky blue?", "Count to five."]
    turns = [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in questions]
    return [tuple(tokenizer.encode(turn, special=True)) for turn in turns]


@pytest.mark.slow
async def test_the_default_model_answers_and_score_agrees(default_model: LocalModel, chat_prompts: list[tuple[int, ...]]) -> None:
    engine = await open_torch(folder=str(default_model.folder), threads=2, max_sequences=8)
    try:
        paris = await engine.generate(
            GenerationRequest(prompt_ids=chat_prompts[0], sampling=SamplingSettings(temperature=0, max_tokens=16))
        )
        assert "Paris" in paris.text
        requests = [
            GenerationRequest(prompt_ids=ids, sampling=SamplingSettings(temperature=1, seed=seed, max_tokens=16))
            for seed, ids in enumerate(chat_prompts)
        ]
        answers = await asyncio.gather(*map(engine.generate, requests))
        scored = await engine.score(
            [
                (item.prompt_ids or (), [token.id for token in answer.tokens])
                for item, answer in zip(requests, answers, strict=True)
            ]
        )
        for answer, rescored in zip(answers, scored, strict=True):
            # Thirty layers of fp32 rounding in matrix products of different shapes.
            assert logprobs(answer) == pytest.approx(rescored, abs=1e-3)
    finally:
        await engine.close()
