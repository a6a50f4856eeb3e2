"""Stops in the middle of the work of an engine, wherever it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from yearling.errors import ModelStopped
from yearling.inference import Delta, EnginePool, FakeEngine, GenerationRequest, ScriptedAnswer, ServedModel, fake_served_model
from yearling.records import SamplingSettings

ENDLESS = ScriptedAnswer("word ", delay_s=0.01, end_of_turn=False)
REQUEST = GenerationRequest(prompt_ids=(1, 2, 3), sampling=SamplingSettings(max_tokens=4000))


class Stops:
    """A stop state: model -> reason; None stops all."""

    def __init__(self) -> None:
        self.reasons: dict[str | None, str] = {}
        self.num_calls = 0

    def __call__(self, model: str) -> str:
        self.num_calls += 1
        return self.reasons.get(model) or self.reasons.get(None, "")


def pool_of(engine: FakeEngine, stops: Stops, *names: str) -> EnginePool:
    models = [fake_served_model(name, engine) for name in names or ("m",)]
    return EnginePool.from_open_models(models, is_stopped=stops)


async def read(served: ServedModel, request: GenerationRequest = REQUEST) -> list[Delta]:
    async with aclosing(served.engine.stream(request)) as deltas:
        return [delta async for delta in deltas]


async def test_stopped_model_starts_nothing() -> None:
    engine, stops = FakeEngine(["Hello"]), Stops()
    pool = pool_of(engine, stops)
    served = await pool.get()
    stops.reasons["m"] = "Ada stopped it: wrong doses."
    calls = (
        pool.get,
        lambda: read(served),
        lambda: served.engine.generate(REQUEST),
        lambda: served.engine.score([((1,), (2,))]),
        lambda: served.engine.score_tokens([1, 2]),
        lambda: served.engine.embed([[1]]),
    )
    for call in calls:
        with pytest.raises(ModelStopped, match=r"The model m is stopped. Ada stopped it: wrong doses"):
            await call()
    assert not engine.requests
    del stops.reasons["m"]
    assert "".join(delta.text for delta in await read(served)) == "Hello"
    await pool.close()


async def test_stop_in_mid_answer_ends_every_stream_and_frees_the_engine() -> None:
    engine, stops = FakeEngine([ENDLESS] * 4), Stops()
    pool = pool_of(engine, stops)
    served = await pool.get()
    readers = [asyncio.create_task(read(served)) for _ in range(4)]
    await asyncio.sleep(0.05)
    assert engine.active == 4
    stops.reasons[None] = "Everything is stopped."
    started = time.monotonic()
    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert time.monotonic() - started < 1
    assert all(isinstance(outcome, ModelStopped) for outcome in outcomes)
    assert (engine.active, engine.cancelled) == (0, 4)
    await pool.close()


async def test_stop_reaches_requests_that_wait_for_their_first_token_or_in_the_queue() -> None:
    engine, stops = FakeEngine([ScriptedAnswer("x", first_delay_s=60)] * 3, max_sequences=1), Stops()
    pool = pool_of(engine, stops)
    served = await pool.get()
    readers = [asyncio.create_task(read(served)) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert (engine.active, len(engine.requests)) == (1, 3), "two wait in the queue"
    stops.reasons["m"] = "Stopped."
    outcomes = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 2)
    assert all(isinstance(outcome, ModelStopped) for outcome in outcomes)
    assert engine.active == 0
    await pool.close()


async def test_stop_frees_the_engine_while_the_reader_is_slow() -> None:
    engine, stops = FakeEngine([ENDLESS]), Stops()
    pool = pool_of(engine, stops)
    stream = (await pool.get()).engine.stream(REQUEST)
    await anext(stream)  # the reader now does something else, and asks for no further delta
    stops.reasons["m"] = "Stopped."
    await asyncio.sleep(0.5)
    assert engine.active == 0, "the engine does not wait for the reader"
    with pytest.raises(ModelStopped):
        await anext(stream)
    await pool.close()


async def test_names_decide() -> None:
    engine, stops = FakeEngine([ENDLESS, "Fine"]), Stops()
    pool = pool_of(engine, stops, "base", "base+adapter")
    reader = asyncio.create_task(read(await pool.get("base")))
    await asyncio.sleep(0.02)
    stops.reasons["base"] = "Stopped."
    with pytest.raises(ModelStopped):
        await reader
    assert await read(await pool.get("base+adapter"))
    await pool.close()


async def test_cancellation_by_somebody_else_stays_one() -> None:
    engine, stops = FakeEngine([ENDLESS] * 2), Stops()
    pool = pool_of(engine, stops)
    served = await pool.get()
    reader = asyncio.create_task(read(served))
    await asyncio.sleep(0.05)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    # A client that leaves in the moment of the stop leaves: it gets no error, and its task ends as cancelled.
    reader = asyncio.create_task(read(served))
    await asyncio.sleep(0.05)
    stops.reasons["m"] = "Stopped."
    assert pool._stop_watch is not None
    pool._stop_watch._stop_stopped()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert engine.active == 0
    await pool.close()


async def test_task_goes_on_after_a_stop_as_if_it_had_never_been_cancelled() -> None:
    engine, stops = FakeEngine([ENDLESS]), Stops()
    pool = pool_of(engine, stops)
    served = await pool.get()
    asyncio.get_running_loop().call_later(0.05, stops.reasons.__setitem__, "m", "Stopped.")
    with pytest.raises(ModelStopped):
        await read(served)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(1):
        await asyncio.sleep(0.01)
    await pool.close()


async def test_long_call_is_interrupted() -> None:
    class Slow(FakeEngine):
        async def embed(self, sequences: object) -> list[list[float]]:
            await asyncio.sleep(60)
            raise AssertionError("never reached")

    stops = Stops()
    pool = pool_of(Slow(), stops)
    call = asyncio.create_task((await pool.get()).engine.embed([[1]]))
    await asyncio.sleep(0.02)
    stops.reasons["m"] = "Stopped."
    with pytest.raises(ModelStopped):
        await asyncio.wait_for(call, 2)
    await pool.close()


async def test_unreadable_stop_state_is_logged_and_the_watch_goes_on() -> None:
    engine, stops = FakeEngine([ScriptedAnswer("x", first_delay_s=60)]), Stops()
    faults = [RuntimeError("a fault")]

    def is_stopped(model: str) -> str:
        if faults and stops.num_calls > 1:
            raise faults.pop()
        return stops(model)

    pool = EnginePool.from_open_models([fake_served_model("m", engine)], is_stopped=is_stopped)
    reader = asyncio.create_task(read(await pool.get()))
    await asyncio.sleep(0.5)
    assert not faults
    stops.reasons["m"] = "Stopped."
    with pytest.raises(ModelStopped):
        await asyncio.wait_for(reader, 2)
    await pool.close()


async def test_watch_ends_without_work() -> None:
    engine, stops = FakeEngine(["x"]), Stops()
    pool = pool_of(engine, stops)
    await read(await pool.get())
    await asyncio.sleep(0.5)
    assert pool._stop_watch is not None
    assert pool._stop_watch._watching is not None
    assert pool._stop_watch._watching.done(), "an idle server asks nothing"
    num_calls = stops.num_calls
    await asyncio.sleep(0.3)
    assert stops.num_calls == num_calls
    await pool.close()


async def test_closed_reader_leaves_no_work() -> None:
    engine, stops = FakeEngine([ENDLESS]), Stops()
    pool = pool_of(engine, stops)
    stream: AsyncGenerator[Delta, None] = (await pool.get()).engine.stream(REQUEST)
    await anext(stream)
    await stream.aclose()
    assert engine.active == 0
    assert pool._stop_watch is not None
    assert not pool._stop_watch._work
    await pool.close()
