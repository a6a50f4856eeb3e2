"""Measurements of engines whose speed is known because they are scripted."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from yearling.errors import BadInput, Unavailable
from yearling.inference import (
    Engine,
    FakeEngine,
    GenerationRequest,
    ScriptedAnswer,
    list_engine_variants,
    open_benchmarked_engines,
)
from yearling.inference.bench_api import BenchmarkClient, TimedEngine, measure_api_overhead
from yearling.inference.throughput import (
    BenchmarkedEngine,
    measure_engine,
    measure_interleaved,
    peak_memory_bytes,
    time_concurrent_requests,
)
from yearling.models import LocalModel, ModelLibrary
from yearling.records import SamplingSettings

STEP_S = 0.004

T = TypeVar("T")


class Eager(selectors.DefaultSelector):
    """Never waits: the time until which it should have is noted instead."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waited_s += timeout or 0.0
        return super().select(0)


class OwnTime(asyncio.SelectorEventLoop):
    """An event loop in which only sleeping takes time, so that a busy machine changes no measurement."""

    def __init__(self) -> None:
        self._eager = Eager()
        super().__init__(self._eager)

    def time(self) -> float:
        return self._eager.waited_s


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr("yearling.inference.throughput.time", clock)


def in_own_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=OwnTime) as runner:
        return runner.run(work)


def paced(*, delay_s: float = STEP_S, first_delay_s: float = 0.0, max_sequences: int = 8) -> FakeEngine:
    """Emits a token per sequence and step, for ever."""
    script = ScriptedAnswer("abc", delay_s=delay_s, first_delay_s=first_delay_s, end_of_turn=False)
    return FakeEngine([script], max_sequences=max_sequences)


@pytest.mark.usefixtures("own_time")
def test_rates_grow_with_the_sequences_that_share_steps() -> None:
    speed = in_own_time(measure_engine(paced(), sequences=(1, 4), new_tokens=20, prefill_tokens=32))
    assert speed.tokens_per_s[1] == pytest.approx(1 / STEP_S)
    assert speed.tokens_per_s[4] == pytest.approx(4 / STEP_S)
    assert speed.first_token_s == pytest.approx(STEP_S)
    assert speed.prefill_tokens_per_s == pytest.approx(32 / STEP_S)
    assert speed.spread[4] == pytest.approx(1)
    assert speed.peak_memory_bytes is None


async def test_prompts_are_never_repeated() -> None:
    engine = paced(delay_s=0)
    await measure_engine(engine, sequences=(1, 8), new_tokens=2, rounds=2)
    prompts = [request.prompt_ids for request in engine.requests]
    assert len(set(prompts)) == len(prompts) > 18


async def test_counts_above_max_sequences_are_left_out() -> None:
    speed = await measure_engine(paced(max_sequences=4), sequences=(1, 4, 8), new_tokens=2)
    assert set(speed.tokens_per_s) == {1, 4}


@pytest.mark.usefixtures("own_time")
def test_a_starved_sequence_increases_the_spread() -> None:
    _, spread = in_own_time(time_concurrent_requests(paced(max_sequences=1), 4, 10))
    assert spread == pytest.approx(4)


@pytest.mark.usefixtures("own_time")
def test_engines_take_turns_and_the_median_counts() -> None:
    order: list[str] = []
    subjects = [BenchmarkedEngine("fast", paced(delay_s=0.001)), BenchmarkedEngine("slow", paced(delay_s=0.01), pid=os.getpid)]
    in_own_time(
        measure_interleaved(
            subjects, sequences=(2,), new_tokens=4, repeat=3, prefill_tokens=8, progress=lambda what, *_: order.append(what)
        )
    )
    assert [what.partition(": ")[2] for what in order[:4]] == [
        "fast, prefill",
        "slow, prefill",
        "fast, 2 sequences",
        "slow, 2 sequences",
    ]
    assert order[4] == "round 2: slow, prefill"
    assert all(subject.median_speed().rounds == 3 for subject in subjects)
    assert subjects[0].median_speed().tokens_per_s[2] == pytest.approx(10 * subjects[1].median_speed().tokens_per_s[2])
    memory = subjects[1].median_speed().peak_memory_bytes
    assert memory is None or memory > 1_000_000
    subjects[0].tokens_per_s[2] = [1.0, 100.0, 3.0]
    assert subjects[0].median_speed().tokens_per_s[2] == 3.0


def test_no_speed_before_a_measurement_and_no_memory_without_a_process() -> None:
    with pytest.raises(ValueError, match="not been measured"):
        BenchmarkedEngine("new", FakeEngine()).median_speed()
    assert peak_memory_bytes(2**22 + 1) is None


async def serve(engine: Engine, added_s: float, status: str = "200 OK") -> asyncio.Server:
    """A make-believe API over the engine that takes `added_s` longer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            assert head.startswith(b"POST /v1/chat/completions ")
            size = 0
            while (line := await reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            most = json.loads(await reader.readexactly(size))["max_tokens"]
            async for _ in engine.stream(
                GenerationRequest(prompt_ids=(65,), sampling=SamplingSettings(temperature=0.0, max_tokens=most))
            ):
                pass
            await asyncio.sleep(added_s)
            answer = b'{"choices": []}'
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0)


def slow_engine() -> TimedEngine:
    return TimedEngine(FakeEngine([ScriptedAnswer("abc", delay_s=STEP_S, end_of_turn=False)]))


@pytest.mark.slow
async def test_the_overhead_is_the_time_outside_the_engine() -> None:
    engine = slow_engine()
    server = await serve(cast("Engine", engine), added_s=0.1)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        speed = await measure_api_overhead(
            engine, base_url, prompt_ids=[65], messages=[{"role": "user", "content": "A"}], model="m", new_tokens=2, pairs=9
        )
    for spread in (speed.paired, speed.around):
        assert 0.075 < spread.median_s < 0.2
        assert spread.lower_s <= spread.median_s <= spread.upper_s
    assert speed.pairs == 9
    assert 2 * STEP_S < speed.engine_s < speed.api_s


async def test_a_timed_engine_excludes_the_readers_time() -> None:
    engine = slow_engine()
    request = GenerationRequest(prompt_ids=(65,), sampling=SamplingSettings(temperature=0.0, max_tokens=2))
    async with aclosing(engine.stream(request)) as stream:
        deltas = 0
        async for _ in stream:
            deltas += 1
            await asyncio.sleep(0.1)
    assert engine.stream_wait_s[0] < 0.1 * deltas


@pytest.mark.slow
async def test_an_api_that_fails_is_not_measured() -> None:
    server = await serve(FakeEngine(), added_s=0, status="500 Internal Server Error")
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"
        client = await BenchmarkClient.connect(url, {"max_tokens": 1}, "key")
        with pytest.raises(Unavailable, match="500"):
            await client.post()
        await client.close()


@pytest.mark.slow
async def test_every_engine_runs_in_its_own_process(
    model_library: ModelLibrary, default_model: LocalModel, tmp_path: Path
) -> None:
    variants = list_engine_variants(
        model_library,
        ModelLibrary(tmp_path),
        default_model.name,
        engines=["torch", "openvino", "llamacpp"],
        layouts=["installed", "q8_0"],
    )
    assert [contender.label for contender in variants] == ["llamacpp Q8_0", "openvino Q8_0", "torch"]
    async with open_benchmarked_engines(variants, threads=2, max_sequences=4) as (subjects, failed):
        assert set(failed) <= {"openvino Q8_0"}
        await measure_interleaved(subjects, sequences=(2,), new_tokens=3, repeat=1, prefill_tokens=64)
        for subject in subjects:
            speed = subject.median_speed()
            assert speed.tokens_per_s[2] > 0
            assert speed.peak_memory_bytes is None or speed.peak_memory_bytes > default_model.size_bytes / 2


def test_unknown_engines_and_layouts_raise(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path)
    for engines, layouts, param in ((["gpu"], ["installed"], "engines"), (["torch"], ["q2"], "layouts")):
        with pytest.raises(BadInput) as refused:
            list_engine_variants(library, library, "any", engines=engines, layouts=layouts)
        assert refused.value.param == param
