"""Equal requests that run alone give equal tokens and log-probabilities, whatever was computed before them.

Every comparison is of bits. The first answer of an engine that has cached nothing is the reference; later ones find prefixes of
different lengths in different places, left by requests that ran before, alone or together.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.inference.test_remote import MODELS, PLAIN, serving
from tests.inference.test_torch_engine import tiny_engine
from tests.inference.tiny_gguf import write_tiny_gguf
from yearling.inference import ByteTokenizer, Completion, Engine, GenerationRequest, engine_thread
from yearling.inference.llamacpp import LlamaCppEngine, open_llamacpp
from yearling.inference.remote import RemoteEngine
from yearling.models import LocalModel
from yearling.records import SamplingSettings

REPEATS = 20
REPEATS_OF_A_REAL_MODEL = 8
"""Every kind of disturbance once: a real model takes a hundred times as long as a tiny one."""

Answer: TypeAlias = list[tuple[int, float, tuple[tuple[int, float], ...]]]


def numbers(seed: int, count: int, vocabulary: int) -> tuple[int, ...]:
    """A prompt of random tokens, so that the likeliest tokens are close together and rounding shows."""
    return tuple(random.Random(seed).choices(range(10, vocabulary), k=count))


def bits(completion: Completion) -> Answer:
    return [(token.id, token.logprob, token.top_logprobs) for token in completion.tokens]


class Repeater:
    """Asks one engine the same things again and again, and other things in between."""

    def __init__(self, engine: Engine, *, vocabulary: int, length: int, max_tokens: int, num_top: int = 0) -> None:
        self.engine = engine
        self._vocabulary, self._length, self._max_tokens, self._num_top = vocabulary, length, max_tokens, num_top
        self.prompt = numbers(0, length, vocabulary)
        self.requests = [
            self.request(self.prompt, temperature=0.0, seed=1),
            self.request(self.prompt, temperature=1.0, seed=7),
            self.request(self.prompt[: length // 8], temperature=0.0, seed=1),
        ]

    def request(self, prompt: tuple[int, ...], *, temperature: float, seed: int) -> GenerationRequest:
        sampling = SamplingSettings(temperature=temperature, seed=seed, max_tokens=self._max_tokens)
        return GenerationRequest(prompt_ids=prompt, sampling=sampling, top_logprobs=self._num_top)

    async def answers(self) -> list[Answer]:
        return [bits(await self.engine.generate(request)) for request in self.requests]

    async def disturb(self, round_number: int) -> None:
        """Leave something else in the cache: another conversation, a longer or a forked one, some together, or a score."""
        other = self.request(numbers(round_number, self._length // 2, self._vocabulary), temperature=0.0, seed=0)
        match round_number % 7:
            case 0:
                # More conversations than the engine has slots, of odd lengths: nothing stays where it was.
                for length in (37, 91, 150, 203, 61):
                    prompt = numbers(100 * round_number + length, length, self._vocabulary)
                    await self.engine.generate(self.request(prompt, temperature=0.0, seed=0))
            case 1:
                await self.engine.generate(other)
            case 2:
                answer = await self.engine.generate(self.requests[0])
                longer = (*self.prompt, *(token.id for token in answer.tokens), *numbers(round_number, 9, self._vocabulary))
                await self.engine.generate(self.request(longer, temperature=0.0, seed=0))
            case 3:
                forked = (*self.prompt[: self._length // 2], *numbers(round_number, 30, self._vocabulary))
                await self.engine.generate(self.request(forked, temperature=0.0, seed=0))
            case 4:
                await asyncio.gather(*(self.engine.generate(request) for request in (other, *self.requests)))
            case 5:
                stream = self.engine.stream(other)
                await anext(stream)
                await self.engine.generate(self.requests[0])
                await stream.aclose()
            case 6:
                await self.engine.score([(self.prompt, (5, 6, 7))])


async def assert_repeats(repeater: Repeater, repeats: int = REPEATS) -> None:
    first = await repeater.answers()
    assert all(first)
    differing = []
    for round_number in range(1, repeats):
        await repeater.disturb(round_number)
        for number, answer in enumerate(await repeater.answers()):
            if answer != first[number]:
                differing.append((round_number, number))
    assert not differing, f"{len(differing)} answers differ from the first: (round, request) {differing}"


async def open_tiny_llamacpp(folder: Path, *, threads: int) -> LlamaCppEngine:
    path = write_tiny_gguf(folder / "tiny.gguf")
    return await LlamaCppEngine.open(path, ByteTokenizer(), model_hash="tiny", threads=threads, max_sequences=4)


@pytest.mark.slow
async def test_torch_repeats_with_a_tiny_network() -> None:
    async with tiny_engine() as engine:
        await assert_repeats(Repeater(engine, vocabulary=256, length=64, max_tokens=6, num_top=3))


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_llamacpp_repeats_with_a_tiny_network(tmp_path: Path, threads: int) -> None:
    engine = await open_tiny_llamacpp(tmp_path, threads=threads)
    try:
        # More than 512 tokens: from there on llama.cpp splits the cache among its threads when it decodes one row.
        await assert_repeats(Repeater(engine, vocabulary=256, length=600, max_tokens=8, num_top=3))
    finally:
        await engine.close()


@pytest.mark.slow
async def test_llamacpp_reuses_what_it_computed_alone_and_what_it_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await open_tiny_llamacpp(tmp_path, threads=1)
    repeater = Repeater(engine, vocabulary=256, length=600, max_tokens=2)
    try:
        core = await engine._thread.core()
        num_computed: list[int] = []
        decode = core._context.decode

        def count(rows: list[tuple[int, int, int, bool]]) -> bool:
            num_computed.append(len(rows))
            return decode(rows)

        monkeypatch.setattr(core._context, "decode", count)

        async def prefilled(request: GenerationRequest) -> int:
            num_computed.clear()
            await engine.generate(request)
            return sum(count for count in num_computed if count > 1)

        assert await prefilled(repeater.requests[0]) == 600
        assert await prefilled(repeater.requests[0]) == 600 - 4 * 128
        other = repeater.request(numbers(9, 300, 256), temperature=0.0, seed=0)
        assert await prefilled(other) == 300
        assert await prefilled(repeater.requests[0]) == 600 - 4 * 128, "it comes back from outside the cache"
        assert await prefilled(other) == 300 - 2 * 128
    finally:
        await engine.close()


async def wait_until_settled(engine: LlamaCppEngine) -> None:
    """Wait until the engine has nothing to do while it is idle; asked between steps, each time after a pause for one."""
    for _ in range(500):
        await asyncio.sleep(0.05)
        if not await engine._thread.run_between_steps(lambda core: core.has_idle_work()):
            return
    raise AssertionError("the engine never settled")


@pytest.mark.slow
async def test_llamacpp_prepares_the_next_turn_while_it_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_thread, "IDLE_PAUSE_S", 0.01)
    prompt = numbers(0, 200, 256)
    never_ending = tuple((token_id, -100.0) for token_id in ByteTokenizer().stop_ids)
    settings = SamplingSettings(temperature=0.0, max_tokens=200, logit_bias=never_ending)
    second_answers = []
    for is_idle_between in (True, False):
        engine = await open_tiny_llamacpp(tmp_path, threads=1)
        try:
            core = await engine._thread.core()
            answer = await engine.generate(GenerationRequest(prompt_ids=prompt, sampling=settings))
            assert len(answer.tokens) == 200
            longer = (*prompt, *(token.id for token in answer.tokens), *numbers(1, 20, 256))
            if is_idle_between:
                await wait_until_settled(engine)
                # 200 + 200 tokens, of which the last was never computed: three whole chunks.
                assert core._slots.slots[0].num_repeatable == 3 * 128
            else:
                # A score in between leaves nothing but what was computed for the first turn.
                await engine.score([((1,), (2,))])
            sampling = SamplingSettings(temperature=0.0, max_tokens=20)
            second_answers.append(bits(await engine.generate(GenerationRequest(prompt_ids=longer, sampling=sampling))))
        finally:
            await engine.close()
    assert second_answers[0] == second_answers[1]


@pytest.mark.slow
async def test_llamacpp_repeats(default_model: LocalModel) -> None:
    engine = await open_llamacpp(folder=str(default_model.folder), threads=2, max_sequences=4)
    try:
        await assert_repeats(Repeater(engine, vocabulary=40_000, length=160, max_tokens=4, num_top=3), REPEATS_OF_A_REAL_MODEL)
    finally:
        await engine.close()


@pytest.mark.slow
async def test_openvino_repeats(default_model: LocalModel) -> None:
    pytest.importorskip("openvino_genai")
    from yearling.inference.openvino import open_openvino

    engine = await open_openvino(folder=str(default_model.folder), threads=2, max_sequences=4)
    try:
        await assert_repeats(Repeater(engine, vocabulary=40_000, length=140, max_tokens=4), REPEATS_OF_A_REAL_MODEL)
    finally:
        await engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.drill)])
async def test_torch_repeats(default_model: LocalModel, threads: int) -> None:
    from yearling.inference.torch_engine import open_torch

    engine = await open_torch(folder=str(default_model.folder), threads=threads, context_tokens=1024, max_sequences=4)
    try:
        await assert_repeats(Repeater(engine, vocabulary=40_000, length=40, max_tokens=4, num_top=3), REPEATS_OF_A_REAL_MODEL)
    finally:
        await engine.close()


async def test_equal_requests_reach_a_remote_endpoint_as_equal_bytes() -> None:
    async with serving(MODELS, *[PLAIN] * REPEATS) as (server, endpoint):
        [model] = await endpoint.list_models()
        engine = RemoteEngine(endpoint, model)
        sampling = SamplingSettings(temperature=0.0, seed=7, max_tokens=5)
        for _ in range(REPEATS):
            await engine.generate(GenerationRequest(messages=({"role": "user", "content": "Hello"},), sampling=sampling))
        bodies = [body for _, _, body in server.requests[1:]]
        assert len(bodies) == REPEATS
        assert all(body == bodies[0] for body in bodies)
        assert (bodies[0]["seed"], bodies[0]["temperature"]) == (7, 0.0)
