"""A supervisor never gives up: a failure is injected at each step of a start, and the engine answers as soon as it is gone."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest
import uvloop

from tests.inference.test_supervisor import prompt, supervised, wait_until
from yearling.errors import Unavailable
from yearling.inference import EnginePool, EngineSpec, SupervisedEngine, engine_process, fake_served_model, supervisor
from yearling.inference.engine_process import EngineProcess

SetStep: TypeAlias = Callable[[str], None]

START_TIMEOUT_S = 1.5


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetStep:
    """Sets at which step workers fail from their next start on; they are the scripted ones, and the pauses short."""
    script = str(Path(__file__).with_name("scripted_worker.py"))

    def command(socket_fd: int) -> list[str]:
        return [sys.executable, "-I", "-S", script, str(socket_fd), str(tmp_path)]

    def set_step(name: str) -> None:
        (tmp_path / "step").write_text(name)

    monkeypatch.setattr(engine_process, "worker_command", command)
    monkeypatch.setattr(supervisor, "INITIAL_BACKOFF_S", 0.01)
    monkeypatch.setattr(supervisor, "MAX_BACKOFF_S", 0.05)
    set_step("")
    return set_step


def _num_descriptors() -> int:
    """Number of open pipes and sockets of this process."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith(("pipe:", "socket:"))
    return count


def _workers() -> list[psutil.Process]:
    """The processes that this one started and that still run."""
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


@asynccontextmanager
async def scripted(start_timeout_s: float = START_TIMEOUT_S) -> AsyncIterator[SupervisedEngine]:
    """A supervised scripted worker. No process, and no pipe or socket of one, outlives it."""
    descriptors, workers = _num_descriptors(), len(_workers())
    engine = SupervisedEngine(EngineSpec(factory="none:none"), start_timeout_s=start_timeout_s)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()
    await wait_until(lambda: _num_descriptors() <= descriptors and len(_workers()) <= workers)


def kill(engine: SupervisedEngine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


WORKER_STEPS = {
    "exits at once": "ended with status 3",
    "is killed at once": r"crashed \(SIGKILL\)",
    "dies unread": "ended with status 4",
    "dies while opening": "ended with status 5",
    "says nothing": "did not start within 1.5 seconds",
    "sends no JSON": "not a JSON object",
    "sends a list": "not a JSON object",
    "sends half a line": "not a JSON object",
    "sends another object": "not understood",
    "lacks capabilities": "not understood",
    "reports an unknown capability": "not understood",
    "refuses": r"the file a\.gguf was changed",
    "fails in an unknown way": "surprise",
    "dies while loading an adapter": "ended with status 7",
    "hangs while loading an adapter": "did not start within 1.5 seconds",
}
"""Where a worker fails, and what people then read."""


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, pytest.param(asyncio.new_event_loop, marks=pytest.mark.slow)])
@pytest.mark.parametrize("failing_step", WORKER_STEPS)
def test_a_worker_that_fails_at_any_step_of_its_start_is_started_again(
    step: SetStep, failing_step: str, loop_factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def break_and_mend() -> None:
        async with scripted() as engine:
            if "adapter" in failing_step:
                await engine.load_adapter(tmp_path / "adapter")
            step(failing_step)
            kill(engine)
            await wait_until(lambda: engine.state != "ready")
            waiting = asyncio.create_task(engine.score([((1,), (2,))]))
            await wait_until(lambda: engine.state == "failed")
            # Whoever waited for the process is told that there is none, and so is whoever comes now.
            with pytest.raises(Unavailable, match="The engine is not running"):
                await asyncio.wait_for(waiting, 5)
            with pytest.raises(Unavailable, match=rf"not running: \d+ failures in a row.*{WORKER_STEPS[failing_step]}"):
                await asyncio.wait_for(engine.score([((1,), (2,))]), 5)
            assert "/secret" not in engine.outage
            step("")
            await wait_until(lambda: engine.state == "ready")
            assert await engine.score([((1,), (2,))]) == [[-1.0]]
            assert engine.outage == ""
            assert engine.restarts == 1

    # The server runs on uvloop, the command line on asyncio's own loop: they report broken connections differently.
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(break_and_mend())


async def test_requests_wait_for_a_worker_that_comes_back_soon(step: SetStep) -> None:
    async with scripted() as engine:
        kill(engine)
        await wait_until(lambda: engine.state != "ready")
        assert engine.state == "starting"
        assert re.fullmatch(
            r"the engine crashed \(SIGKILL\); (it is being started again|the next start is in \d+ s)", engine.outage
        )
        pool = EnginePool.from_open_models([replace(fake_served_model("a"), engine=engine)])
        assert [(row["state"], row["outage"]) for row in pool.status()] == [("starting", engine.outage)]
        assert await asyncio.wait_for(engine.score([((1,), (2,))]), 5) == [[-1.0]]


async def test_an_adapter_that_is_refused_at_a_restart_does_not_stop_the_engine(step: SetStep, tmp_path: Path) -> None:
    async with scripted() as engine:
        await engine.load_adapter(tmp_path / "adapter")
        step("refuses an adapter")
        kill(engine)
        await wait_until(lambda: engine.restarts == 1)
        assert engine.state == "ready"


@pytest.mark.parametrize("failing_step", ["sends a list later", "sends an id that is a list later", "dies later"])
async def test_a_worker_that_fails_while_it_runs_fails_its_requests_and_is_replaced(step: SetStep, failing_step: str) -> None:
    async with scripted(start_timeout_s=30) as engine:
        step(failing_step)
        kill(engine)
        await wait_until(lambda: engine.restarts == 1)
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"while it answered|not running"):
                await asyncio.wait_for(engine.score([((1,), (2,))]), 5)
        step("")
        await wait_until(lambda: engine.state == "ready" and engine.restarts > 2, timeout_s=60)
        assert await engine.score([((1,), (2,))]) == [[-1.0]]


async def test_closing_fails_the_requests_that_wait_for_a_start(step: SetStep) -> None:
    async with scripted() as engine:
        step("says nothing")
        kill(engine)
        await wait_until(lambda: engine.state != "ready")
        waiting = asyncio.create_task(engine.score([((1,), (2,))]))
        await asyncio.sleep(0.1)
        await engine.close()
        with pytest.raises(Unavailable, match="closed"):
            await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (socket, "socketpair", OSError(24, "Too many open files")),
        (subprocess, "Popen", BlockingIOError(11, "Resource temporarily unavailable")),
        (asyncio, "open_unix_connection", ZeroDivisionError("a bug")),
        (threading.Thread, "start", RuntimeError("can't start new thread")),
        (EngineProcess, "send", BrokenPipeError(32, "Broken pipe")),
        (EngineProcess, "read_frame", ConnectionResetError(104, "Connection reset by peer")),
        (engine_process, "decode_frame", ZeroDivisionError("a bug")),
        (supervisor, "capabilities_from_json", ZeroDivisionError("a bug")),
        (SupervisedEngine, "_open_engine", ZeroDivisionError("a bug")),
        (SupervisedEngine, "_reload_adapters", ZeroDivisionError("a bug")),
        (SupervisedEngine, "_spawn", ZeroDivisionError("a bug")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_any_exception_from_any_call_of_a_start_is_survived(
    step: SetStep, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception
) -> None:
    failures = 0
    original = getattr(owner, name)

    def fail(*args: Any, **kwargs: Any) -> Any:
        nonlocal failures
        caller = sys._getframe(1).f_globals["__name__"]
        if failures < 4 and caller in (engine_process.__name__, supervisor.__name__):
            failures += 1
            raise error
        return original(*args, **kwargs)

    async with scripted(start_timeout_s=30) as engine:
        monkeypatch.setattr(owner, name, fail)
        kill(engine)
        await wait_until(lambda: engine.state == "failed")
        assert type(error).__name__ in engine.outage or str(error) in engine.outage
        await wait_until(lambda: engine.state == "ready")
        assert failures == 4
        assert await engine.score([((1,), (2,))]) == [[-1.0]]


@pytest.mark.parametrize("name", ["exit_status", "end_description"])
async def test_a_process_whose_end_fails_is_replaced(step: SetStep, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    original = getattr(EngineProcess, name)
    failures = 0

    def fail(*args: Any, **kwargs: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ZeroDivisionError("a bug")
        return original(*args, **kwargs)

    async with scripted() as engine:
        monkeypatch.setattr(EngineProcess, name, fail)
        kill(engine)
        await wait_until(lambda: engine.restarts == 1)
        assert failures
        assert await engine.score([((1,), (2,))]) == [[-1.0]]


def test_the_pauses_between_starts_double_up_to_a_limit() -> None:
    assert [supervisor.backoff_s(failures) for failures in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert supervisor.backoff_s(10**6) == 30


@pytest.mark.slow
async def test_a_worker_killed_twice_in_its_start_comes_back() -> None:
    async with supervised("open_fake", answers=[{"text": "hello"}]) as engine:
        first = engine.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        replacements: set[int] = set()
        deadline = time.monotonic() + 60
        while len(replacements) < 2:
            assert time.monotonic() < deadline
            for worker in _workers():
                if worker.pid not in {first, *replacements}:
                    replacements.add(worker.pid)
                    await asyncio.sleep(0.02)
                    os.kill(worker.pid, signal.SIGKILL)
            await asyncio.sleep(0.001)
        assert engine.outage
        await wait_until(lambda: engine.state == "ready", timeout_s=60)
        assert (await engine.generate(prompt("fine"))).text == "hello"
