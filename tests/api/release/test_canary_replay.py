"""Replay for a canary: nobody waits for it, a restart loses nothing, no words are stored, and faults are seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.store.examples import make_sample
from yearling.api.http.metrics import ServerMetrics
from yearling.api.release import canary_replay
from yearling.api.release.canary_replay import CanaryReplay
from yearling.api.services import AdmissionController
from yearling.config import Settings
from yearling.errors import StorageFailed
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.loop import assess_canary
from yearling.records import SamplingSettings
from yearling.store import CanaryObservation, Store, new_release

CHAMPION_HASH, CHALLENGER_HASH = "aa" * 32, "bb" * 32


@dataclass
class State:
    champion: int | None
    challenger: int | None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


@pytest.fixture
def state(store: Store) -> State:
    numbers = [
        store.releases.create(
            new_release(created_by="yearling", title=name, kind="model", model=name, model_hash=model_hash, program_version="0")
        ).number
        for name, model_hash in (("old", CHAMPION_HASH), ("new", CHALLENGER_HASH))
    ]
    return State(*numbers)


def add_sample(store: Store, question: str, **changes: Any) -> str:
    values: dict[str, Any] = {
        "model_hash": CHAMPION_HASH,
        "adapter_hash": None,
        "grammar": "",
        "choice": 0,
        "output_text": "A stored answer.",
        "messages": (
            {"role": "system", "content": "Be kind.", "source": "spec"},
            {"role": "user", "content": question},
        ),
        "sampling": SamplingSettings(temperature=0.0, max_tokens=64, seed=3, logit_bias=((5, 1.0),)),
    }
    sample = make_sample(store.people.owner().id, **{**values, **changes})
    store.samples.add(sample)
    return sample.id


@asynccontextmanager
async def replaying(
    store: Store, engine: FakeEngine, state: State, **options: Any
) -> AsyncGenerator[tuple[CanaryReplay, AdmissionController], None]:
    pool = EnginePool.from_open_models([fake_served_model("old", FakeEngine()), fake_served_model("new", engine)])
    admission = AdmissionController(8, ServerMetrics(pool.status))
    task = CanaryReplay(
        store, pool, admission, lambda: state, **{"quiet_s": 0.0, "retry_pause_s": 0.0, "idle_poll_s": 60.0, **options}
    )
    task.start()
    try:
        yield task, admission
    finally:
        await task.close()
        assert engine.active == 0


async def wait_for(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not await asyncio.to_thread(check):
        assert time.monotonic() < deadline, "nothing happened in time"
        await asyncio.sleep(0.005)


def observations(store: Store, state: State, arm: str) -> list[CanaryObservation]:
    return [each for each in store.canaries.list(state.challenger or 0) if each.arm == arm]


async def answered(store: Store, state: State, count: int) -> None:
    await wait_for(lambda: len(observations(store, state, "challenger")) >= count)


async def test_both_answers_get_flags_and_no_words_are_stored(store: Store, state: State) -> None:
    good = add_sample(store, "One?")
    cut = add_sample(store, "Two?", output_text="And then", finish_reason="length")
    looked: list[int] = []
    engine = FakeEngine(["I am sorry, but I cannot help with that."])
    async with replaying(store, engine, state, after_pair=lambda: looked.append(1)):
        await answered(store, state, 2)
        await wait_for(lambda: len(looked) == 2)
    old = {each.pair: each.flags for each in observations(store, state, "champion")}
    new = {each.pair: each.flags for each in observations(store, state, "challenger")}
    assert old == {good: (), cut: ("cut",)}
    assert new == {good: ("refusal",), cut: ("refusal",)}
    assert store.samples.count() == 2, "the challenger's answers are not stored"
    assert all(each.latency_ms is None and each.source == "replay" for each in store.canaries.list(state.challenger or 0))
    report = await asyncio.to_thread(assess_canary, store, state)
    assert (report.replayed_pairs, report.live_pairs) == (2, 0)
    request = engine.requests[0]
    assert (request.sampling.temperature, request.sampling.seed, request.sampling.max_tokens) == (0.0, 3, 64)
    assert request.sampling.logit_bias == ()


async def test_only_complete_plain_answers_of_the_champion_are_replayed(store: Store, state: State) -> None:
    wanted = add_sample(store, "Wanted?")
    store.samples.retention = "metadata"
    add_sample(store, "Not kept?")
    store.samples.retention = "full"
    for changes in (
        {"model_hash": "cc" * 32},
        {"adapter_hash": "dd" * 32},
        {"grammar": "{}"},
        {"choice": 1},
        {"finish_reason": "cancelled"},
        {"completion_tokens": canary_replay.MAX_ANSWER_TOKENS + 1},
        {"messages": ({"role": "user", "content": "x"}, {"role": "assistant", "content": "A", "source": "begun"})},
        {"messages": ({"role": "system", "content": "", "source": "tools", "tools": []}, {"role": "user", "content": "x"})},
    ):
        add_sample(store, "Left out?", **changes)
    engine = FakeEngine(["Fine."])
    async with replaying(store, engine, state):
        await answered(store, state, 1)
        await asyncio.sleep(0.05)
    assert [each.pair for each in store.canaries.list(state.challenger or 0)] == [wanted, wanted]


async def test_people_do_not_wait_for_a_replay(store: Store, state: State) -> None:
    add_sample(store, "One?")
    engine = FakeEngine([ScriptedAnswer("A slow answer of many words.", delay_s=0.05), "Fine."])
    async with replaying(store, engine, state) as (_, admission):
        await wait_for(lambda: engine.active)
        reservation = admission.reserve_answers(fake_served_model("new", engine), 1)
        started = time.perf_counter()
        await wait_for(lambda: engine.active == 0)
        assert time.perf_counter() - started < 0.3
        await asyncio.sleep(0.05)
        assert observations(store, state, "challenger") == []
        reservation.release()
        await answered(store, state, 1)
    assert len(observations(store, state, "champion")) == 1, "an interruption is no attempt"


async def test_restart_goes_on_with_the_next_prompt(store: Store, state: State) -> None:
    for number in range(4):
        add_sample(store, f"{number}?")
    slow = FakeEngine([ScriptedAnswer("Word " * 5, delay_s=0.01)])
    async with replaying(store, slow, state):
        await answered(store, state, 2)
    done = {each.pair for each in observations(store, state, "challenger")}
    fast = FakeEngine(["Fine."])
    async with replaying(store, fast, state):
        await answered(store, state, 4)
    pairs = [each.pair for each in observations(store, state, "challenger")]
    assert len(pairs) == len(set(pairs)) == 4
    assert len(fast.requests) == 4 - len(done)


async def test_prompt_that_stops_the_process_is_given_up(store: Store, state: State) -> None:
    good, bad = add_sample(store, "Good?"), add_sample(store, "Bad?")
    for _ in range(3):
        store.canaries.add([CanaryObservation(release=state.challenger or 0, arm="champion", source="replay", pair=bad)])
    engine = FakeEngine(["Fine."])
    async with replaying(store, engine, state):
        await answered(store, state, 1)
        await asyncio.sleep(0.05)
    assert [each.pair for each in observations(store, state, "challenger")] == [good]


async def test_challenger_that_fails_is_flagged_after_three_attempts(store: Store, state: State) -> None:
    add_sample(store, "One?")
    engine = FakeEngine([ScriptedAnswer("Fails.", fail_after=1)])
    async with replaying(store, engine, state):
        await answered(store, state, 1)
    (observation,) = observations(store, state, "challenger")
    assert observation.flags == ("failed",)
    assert len(engine.requests) == 3
    assert (await asyncio.to_thread(assess_canary, store, state)).monitors[0].challenger_only == 1


async def test_nothing_happens_without_a_canary_and_it_starts_when_there_is_one(store: Store, state: State) -> None:
    add_sample(store, "One?")
    challenger, state.challenger = state.challenger, None
    engine = FakeEngine(["Fine."])
    async with replaying(store, engine, state) as (task, _):
        await asyncio.sleep(0.05)
        assert engine.requests == []
        state.challenger = challenger
        task.wake()
        await answered(store, state, 1)


async def test_model_that_is_missing_is_not_counted_as_failing(store: Store, state: State) -> None:
    add_sample(store, "One?")
    lost = store.releases.create(
        new_release(created_by="y", title="", kind="model", model="gone", model_hash="ee" * 32, program_version="0")
    )
    state.challenger = lost.number
    async with replaying(store, FakeEngine(), state, retry_pause_s=0.01):
        await asyncio.sleep(0.2)
    assert observations(store, state, "challenger") == []
    assert len(observations(store, state, "champion")) == 1


async def test_error_of_the_storage_ends_nothing(store: Store, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    add_sample(store, "One?")
    errors = [StorageFailed("The disk is full."), RuntimeError("a bug")]
    find = store.samples.ids_to_replay

    def ids(**options: Any) -> Any:
        if errors:
            raise errors.pop()
        return find(**options)

    monkeypatch.setattr(store.samples, "ids_to_replay", ids)
    async with replaying(store, FakeEngine(["Fine."]), state):
        await answered(store, state, 1)
    assert errors == []


async def test_number_of_replayed_prompts_has_a_ceiling(store: Store, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_replay, "MAX_PAIRS", 2)
    for number in range(5):
        add_sample(store, f"{number}?")
    engine = FakeEngine(["Fine."])
    async with replaying(store, engine, state):
        await answered(store, state, 2)
        await asyncio.sleep(0.1)
    assert len(engine.requests) == 2


async def test_request_that_comes_while_a_prompt_is_prepared_goes_first(store: Store, state: State) -> None:
    """Somebody asks between the look for quiet and the answer, and stays for a while."""

    class Activity:
        quiet_s = 10.0
        looks = 0

        @property
        def num_answers(self) -> int:
            self.looks += 1
            return int(1 < self.looks < 8)

        def on_request(self, callback: Callable[[], None]) -> None:
            pass

    add_sample(store, "One?")
    activity, seen = Activity(), []

    def answer(*_: object) -> str:
        seen.append(activity.looks)
        return "Fine."

    engine = FakeEngine(answer)
    pool = EnginePool.from_open_models([fake_served_model("new", engine)])
    task = CanaryReplay(store, pool, activity, lambda: state, quiet_s=0.0, retry_pause_s=0.0)
    task.start()
    await answered(store, state, 1)
    await task.close()
    assert len(seen) == 1
    assert seen[0] >= 8


async def test_stopped_challenger_is_left_alone(store: Store, state: State) -> None:
    add_sample(store, "One?")
    stopped = {"new": "Too many refusals."}
    engine = FakeEngine(["Fine."])
    async with replaying(store, engine, state, is_stopped=lambda model: stopped.get(model, "")) as (task, _):
        await asyncio.sleep(0.1)
        assert (engine.requests, store.canaries.list(state.challenger or 0)) == ([], [])
        stopped.clear()
        task.wake()
        await answered(store, state, 1)
