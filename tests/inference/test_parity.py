"""The serving engine's log-probabilities against torch's, for the same tokens and weights.

llama.cpp rounds activations to eight bits before each product with eight-bit weights, while torch computes in float32, so the
two cannot be equal. The tolerance is the effect of that rounding on this model (the same rounding in torch shifts its values as
far). A wrong template, a shifted position or a temperature in the wrong place shifts them by whole nats.
"""

from __future__ import annotations

import asyncio
from itertools import product

import numpy as np
import pytest

from yearling.inference import Completion, GenerationRequest, open_engine
from yearling.models import ChatTemplate, LocalModel, Tokenizer
from yearling.records import SamplingSettings

MEAN_NATS = 0.1
LARGEST_NATS = 1.0
BIAS_NATS = 0.02

TASKS = ("Explain", "Describe in one sentence", "Give an example of", "Ask a question about", "Write a line of verse about")
THINGS = (
    "rain", "bread", "the moon", "a bicycle", "taxes", "photosynthesis", "the number seven", "friendship", "a stone bridge",
    "volcanoes", "a polite refusal", "Python lists", "the sea", "an old clock", "gravity", "the colour green", "tea", "a library",
    "snow in April", "the alphabet",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("num_prompts", [30, pytest.param(100, marks=pytest.mark.drill)])
async def test_the_serving_engine_and_torch_agree(default_model: LocalModel, num_prompts: int) -> None:
    tokenizer, template = Tokenizer.load(default_model), ChatTemplate.load(default_model)
    prompts = [
        tuple(template.encode(tokenizer, [{"role": "user", "content": f"{task} {thing}."}]))
        for task, thing in product(TASKS, THINGS)
    ][:: 100 // num_prompts][:num_prompts]
    assert len(prompts) == num_prompts
    serving = await open_engine(default_model, kind="llamacpp", threads=0, context_tokens=0)
    try:
        answers: list[Completion] = await asyncio.gather(
            *(
                serving.generate(
                    GenerationRequest(prompt_ids=prompt, sampling=SamplingSettings(temperature=1.0, max_tokens=8, seed=seed))
                )
                for seed, prompt in enumerate(prompts)
            )
        )
    finally:
        await serving.close()
    torch = await open_engine(default_model, kind="torch", threads=0, context_tokens=2048)
    try:
        scored = await torch.score(
            [(prompt, [token.id for token in answer.tokens]) for prompt, answer in zip(prompts, answers, strict=True)]
        )
    finally:
        await torch.close()
    served = np.array([token.logprob for answer in answers for token in answer.tokens])
    difference = served - np.array([logprob for row in scored for logprob in row])
    distance = np.abs(difference)
    print(
        f"{len(difference)} tokens: mean {distance.mean():.4f} nats, largest {distance.max():.3f}, bias {difference.mean():+.4f}"
    )
    assert len(difference) > 5 * num_prompts
    assert distance.mean() < MEAN_NATS
    assert distance.max() < LARGEST_NATS
    assert abs(difference.mean()) < BIAS_NATS
