"""An engine in its own process: it gives the same answers, and the tests kill, hang and orphan the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable
from yearling.inference import Engine, EngineSpec, FakeEngine, GenerationRequest, ScriptedAnswer, SupervisedEngine
from yearling.records import SamplingSettings

HERE = "tests.inference.child_engines"
ENDLESS = {"text": "abc", "end_of_turn": False, "delay_s": 0.005}


@asynccontextmanager
async def supervised(factory: str, *, stall_timeout_s: float = 60.0, **options: Any) -> AsyncIterator[SupervisedEngine]:
    engine = SupervisedEngine(EngineSpec(factory=f"{HERE}:{factory}", options=options), stall_timeout_s=stall_timeout_s)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def prompt(text: str, **kwargs: Any) -> GenerationRequest:
    return GenerationRequest(prompt_ids=tuple(text.encode()), **kwargs)


def has_ended(pid: int) -> bool:
    """Whether the process has ended; one that waits for its parent to notice has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_it_answers_as_the_engine_itself() -> None:
    request = prompt("hi", top_logprobs=2, sampling=SamplingSettings(stop=("zz",), logit_bias=((3, 1.5),), seed=7))
    async with supervised("open_fake", answers=[{"text": "Grüße 😀"}]) as engine:
        bare = FakeEngine([ScriptedAnswer("Grüße 😀")])
        as_engine: Engine = engine
        assert await as_engine.generate(request) == await bare.generate(request)
        assert (engine.name, engine.model_hash, engine.capabilities) == (bare.name, bare.model_hash, bare.capabilities)
        assert await engine.score([((1, 2), (3, 4))]) == await bare.score([((1, 2), (3, 4))])
        assert await engine.score_tokens((1, 2, 3), num_top=2) == await bare.score_tokens((1, 2, 3), num_top=2)
        assert await engine.embed([[1, 2]]) == await bare.embed([[1, 2]])


@pytest.mark.slow
async def test_errors_keep_their_type_and_advice() -> None:
    async with supervised("open_fake", answers=[{"text": "x"}], context_tokens=8) as engine:
        with pytest.raises(ContextLengthExceeded):
            await engine.generate(prompt("much too long"))
        with pytest.raises(NotFound, match="not loaded"):
            await engine.generate(prompt("a", adapter_hash="none"))
        assert (await engine.generate(prompt("a"))).text == "x"


@pytest.mark.slow
async def test_closing_a_stream_cancels_it_in_the_process() -> None:
    async with supervised("open_fake", answers=[ENDLESS], max_sequences=1) as engine:
        async with aclosing(engine.stream(prompt("a"))) as stream:
            await anext(stream)
        assert engine.active == 0
        # The only slot is free at once.
        done = await asyncio.wait_for(engine.generate(prompt("a", sampling=SamplingSettings(max_tokens=3))), 2)
        assert done.text == "abc"


@pytest.mark.slow
async def test_requests_beyond_max_sequences_are_counted_as_queued() -> None:
    async with supervised("open_fake", answers=[ENDLESS], max_sequences=1) as engine:
        assert engine.queued == 0
        streams = [engine.stream(GenerationRequest(prompt_ids=(1,))) for _ in range(3)]
        waiting = [asyncio.create_task(anext(stream)) for stream in streams]
        await waiting[0]
        assert (engine.active, engine.queued) == (3, 2)
        for task, stream in zip(waiting, streams, strict=True):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await stream.aclose()
        assert engine.queued == 0


@pytest.mark.slow
async def test_a_cancelled_task_is_cancelled_in_the_process() -> None:
    async with supervised("open_fake", answers=[ENDLESS], max_sequences=1) as engine:
        task = asyncio.create_task(engine.generate(prompt("a", sampling=SamplingSettings(max_tokens=4000))))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.active == 0


@pytest.mark.slow
async def test_a_crash_fails_running_requests_and_the_next_one_works() -> None:
    async with supervised("open_failing") as engine:
        first = engine.pid
        with pytest.raises(Unavailable, match=r"crashed \(SIGSEGV\).*") as caught:
            await engine.generate(prompt("segfault"))
        assert "Try again" in caught.value.advice
        assert (await asyncio.wait_for(engine.generate(prompt("fine")), 20)).text == "hello"
        assert engine.pid != first
        assert engine.restarts == 1


@pytest.mark.slow
async def test_a_hanging_process_is_stopped_and_replaced() -> None:
    async with supervised("open_failing", stall_timeout_s=1.0) as engine:
        first = engine.pid
        assert first is not None
        started = time.monotonic()
        with pytest.raises(Unavailable, match="made no step for 1 seconds"):
            await engine.generate(prompt("wedge"))
        assert time.monotonic() - started < 5
        assert (await asyncio.wait_for(engine.generate(prompt("fine")), 20)).text == "hello"
        assert has_ended(first)


@pytest.mark.slow
async def test_silent_work_that_makes_steps_is_not_stopped() -> None:
    async with supervised("open_failing", stall_timeout_s=1.2) as engine:
        assert (await engine.generate(prompt("busy", sampling=SamplingSettings(max_tokens=1)))).text == "h"
        assert engine.restarts == 0


@pytest.mark.slow
async def test_a_bug_in_the_engine_is_reported_and_does_not_end_it() -> None:
    async with supervised("open_failing") as engine:
        with pytest.raises(Unavailable, match="ZeroDivisionError: a bug"):
            await engine.generate(prompt("raise"))
        assert (await engine.generate(prompt("fine"))).text == "hello"
        assert engine.restarts == 0


@pytest.mark.slow
async def test_an_engine_that_has_failed_for_good_is_replaced() -> None:
    async with supervised("open_failing") as engine:
        with pytest.raises(Unavailable, match="ZeroDivisionError"):
            await engine.generate(prompt("break"))
        await wait_until(lambda: engine.restarts == 1)
        assert (await engine.generate(prompt("fine"))).text == "hello"


@pytest.mark.slow
async def test_start_raises_what_opening_raises() -> None:
    with pytest.raises(BadInput, match="does not want to open"):
        await SupervisedEngine(EngineSpec(factory=f"{HERE}:open_refusing")).start()
    with pytest.raises(Unavailable, match=r"status 7 while it started\. Its last output was: about to die"):
        await SupervisedEngine(EngineSpec(factory=f"{HERE}:open_dying")).start()


@pytest.mark.slow
async def test_adapters_are_reloaded_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"adapter")
    async with supervised("open_failing") as engine:
        adapter_hash = await engine.load_adapter(tmp_path / "a")
        with pytest.raises(Unavailable):
            await engine.generate(prompt("segfault"))
        assert (await engine.generate(prompt("fine", adapter_hash=adapter_hash))).text == "hello"


@pytest.mark.slow
async def test_closing_ends_the_process_and_further_requests() -> None:
    engine = SupervisedEngine(EngineSpec(factory=f"{HERE}:open_failing"))
    await engine.start()
    pid = engine.pid
    assert pid is not None
    await engine.close()
    await engine.close()
    assert has_ended(pid)
    with pytest.raises(Unavailable, match="closed"):
        await engine.generate(prompt("fine"))


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["nothing", "wedge"])
async def test_the_process_dies_with_a_parent_that_was_killed(tmp_path: Path, doing: str) -> None:
    message = tmp_path / "pid"
    command = [sys.executable, "-m", "tests.inference.child_engines", str(message), doing]
    parent = await asyncio.create_subprocess_exec(*command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        await wait_until(lambda: message.exists() and message.read_text() != "")
        child = int(message.read_text())
        await asyncio.sleep(0.3)
        assert not has_ended(child)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        await parent.wait()
    await wait_until(lambda: has_ended(child), timeout_s=3)
