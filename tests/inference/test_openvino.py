"""OpenVINO GenAI with the default model: its results equal torch's, and it refuses what it cannot do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from yearling.errors import ContextLengthExceeded, Unsupported
from yearling.inference import GenerationRequest
from yearling.inference.openvino import TOKENS_PER_STEP, OpenVinoEngine, check_schema_support
from yearling.models import LocalModel, Tokenizer, load_decoder
from yearling.records import SamplingSettings

QUESTIONS = (
    "What is the capital of France?",
    "Name three colours.",
    "Why is the sky blue?",
    "Tell me a story.",
    "Count to five.",
)


def test_schema_keywords_that_the_grammar_skips_raise() -> None:
    check_schema_support(
        {"type": "object", "properties": {"not": {"type": "string"}, "x": {"anyOf": [{"const": 1}, {"$ref": "#"}]}}}
    )
    for schema, word in [
        ({"not": {"type": "string"}}, "not"),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"uniqueItems": True}}}}, "uniqueItems"),
        ({"anyOf": [{"type": "string"}, {"multipleOf": 3}]}, "multipleOf"),
        ({"$defs": {"a": {"allOf": []}}}, "allOf"),
        ({"type": "object", "additionalProperties": {"format": "email"}}, "format"),
        ({"type": "number", "maximum": 1}, "bounds"),
        ({"type": "string", "pattern": "a+", "maxLength": 3}, "pattern"),
        ({"type": "object", "required": ["b"]}, "required"),
    ]:
        with pytest.raises(Unsupported, match=word):
            check_schema_support(schema)


@pytest.fixture
async def engine(default_model: LocalModel) -> AsyncIterator[OpenVinoEngine]:
    pytest.importorskip("openvino_genai", reason="the extra yearling[openvino] is not installed")
    engine = await OpenVinoEngine.open(
        default_model.weights,
        Tokenizer.load(default_model),
        model_hash=default_model.sha256,
        threads=2,
        context_tokens=512,
        max_sequences=16,
    )
    try:
        yield engine
    finally:
        await engine.close()


def prompts(model: LocalModel) -> list[tuple[int, ...]]:
    tokenizer = Tokenizer.load(model)
    turns = [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in QUESTIONS]
    return [tuple(tokenizer.encode(turn, special=True)) for turn in turns]


def request(ids: tuple[int, ...], *, schema: dict[str, Any] | None = None, top: int = 0, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(
        prompt_ids=ids, sampling=SamplingSettings(**({"max_tokens": 24} | sampling)), json_schema=schema, top_logprobs=top
    )


@pytest.mark.slow
async def test_logprobs_equal_torchs_for_any_sampling_settings(engine: OpenVinoEngine, default_model: LocalModel) -> None:
    """Both compute in float32; OpenVINO multiplies the 8-bit weights in its own order."""
    import torch

    all_ids = prompts(default_model)
    requests = [
        request(all_ids[0], temperature=0),
        request(all_ids[1], temperature=0.5, seed=1),
        request(all_ids[2], temperature=1.5, seed=2),
        request(all_ids[3], temperature=1.0, top_p=0.5, top_k=20, seed=3),
        request(all_ids[4], temperature=1.0, presence_penalty=1.0, frequency_penalty=0.5, seed=4),
    ]
    answers = await asyncio.gather(*map(engine.generate, requests))
    pairs = [
        (item.prompt_ids or (), [token.id for token in answer.tokens]) for item, answer in zip(requests, answers, strict=True)
    ]
    scored = await engine.score(pairs)
    decoder = load_decoder(default_model.weights)
    assert "Paris" in answers[0].text
    for (prompt, ids), answer, scores in zip(pairs, answers, scored, strict=True):
        with torch.inference_mode():
            logprobs = torch.log_softmax(decoder(torch.tensor([[*prompt, *ids]]))[0].double(), -1)
        exact = [float(logprobs[len(prompt) + at - 1, token]) for at, token in enumerate(ids)]
        for reported in ([token.logprob for token in answer.tokens], scores):
            differences = np.abs(np.array(reported) - np.array(exact))
            assert differences.mean() < 0.002
            assert differences.max() < 0.02
        assert len(exact) > 4


@pytest.mark.slow
async def test_texts_longer_than_a_step_are_scored_completely(engine: OpenVinoEngine, default_model: LocalModel) -> None:
    import torch

    prompt = (prompts(default_model)[0] * (3 * TOKENS_PER_STEP))[: 2 * TOKENS_PER_STEP + 30]
    answer = prompts(default_model)[1][:5]
    (scored,) = await asyncio.wait_for(engine.score([(prompt, answer)]), 120)
    with torch.inference_mode():
        logprobs = torch.log_softmax(load_decoder(default_model.weights)(torch.tensor([[*prompt, *answer]]))[0].double(), -1)
    exact = [float(logprobs[len(prompt) + at - 1, token]) for at, token in enumerate(answer)]
    assert np.abs(np.array(scored) - np.array(exact)).max() < 0.02


@pytest.mark.slow
async def test_a_seed_decides_the_answer_in_any_batch(engine: OpenVinoEngine, default_model: LocalModel) -> None:
    requests = [request(ids, temperature=1.0, seed=seed) for seed, ids in enumerate(prompts(default_model))]
    together = await asyncio.gather(*map(engine.generate, requests))
    alone = [await engine.generate(item) for item in reversed(requests)]
    same = [
        sum(a.id == b.id for a, b in zip(first.tokens, second.tokens, strict=False)) / len(first.tokens)
        for first, second in zip(together, reversed(alone), strict=True)
    ]
    # Rounding differs with the batch, so that a rare tie may fall the other way and the rest of that answer with it.
    assert sum(share == 1 for share in same) >= len(same) - 1
    scores = await engine.generate(request(prompts(default_model)[3], temperature=1.0, seed=99))
    assert [token.id for token in scores.tokens] != [token.id for token in together[3].tokens]


@pytest.mark.slow
async def test_stop_strings_cancellation_and_unsupported_requests(engine: OpenVinoEngine, default_model: LocalModel) -> None:
    ids = prompts(default_model)
    cut = await engine.generate(request(ids[0], temperature=0, stop=(" is",)))
    assert (cut.text, cut.finish_reason) == ("The capital of France", "stop")
    stream = engine.stream(request(ids[3], temperature=0, max_tokens=400))
    await anext(stream)
    before = engine.steps
    await stream.aclose()
    assert (await engine.generate(request(ids[0], temperature=0, max_tokens=1))).completion_tokens == 1
    assert engine.steps - before <= 6
    with pytest.raises(ContextLengthExceeded):
        await engine.generate(request(ids[0] * 100))
    for refused in (request(ids[0], top=3), request(ids[0], logit_bias=((1, 1.0),))):
        with pytest.raises(Unsupported):
            await engine.generate(refused)
    with pytest.raises(Unsupported, match="adapters"):
        await engine.load_adapter(Path("adapter.gguf"))
    with pytest.raises(Unsupported):
        await engine.embed([[1]])


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "maxLength": 12},
        "population": {"type": "integer", "minimum": 10, "maximum": 500},
        "rank": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 12},
        "share": {"type": "number"},
        "kinds": {"type": "array", "items": {"enum": ["old", "new"]}, "minItems": 1, "maxItems": 3},
        "code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{1,3}$"},
    },
    "required": ["city", "population", "rank", "share", "kinds", "code"],
    "additionalProperties": False,
}


@pytest.mark.slow
async def test_schemas_are_satisfied_at_high_temperature(engine: OpenVinoEngine, default_model: LocalModel) -> None:
    ids = prompts(default_model)[0]
    answers = await asyncio.gather(
        *(engine.generate(request(ids, schema=SCHEMA, temperature=0.8, seed=seed, max_tokens=200)) for seed in range(12))
    )
    finished = [answer for answer in answers if answer.finish_reason == "stop"]
    assert len(finished) >= 6
    for answer in finished:
        jsonschema.validate(json.loads(answer.text), SCHEMA)
    with pytest.raises(Unsupported):
        await engine.generate(request(ids, schema={"type": "object", "minProperties": 2}))
