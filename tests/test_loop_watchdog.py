"""The watchdog of event loops notices what burns, and nothing else."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import uvloop

from tests.loop_watchdog import CPU_LIMIT_S, LoopWatchdog


def burn(duration_s: float = CPU_LIMIT_S * 1.4) -> None:
    until_s = time.thread_time() + duration_s
    while time.thread_time() < until_s:
        pass


async def burn_once() -> None:
    await asyncio.sleep(0)
    burn()


async def many_small_callbacks() -> None:
    for _ in range(20):
        burn(CPU_LIMIT_S / 15)
        await asyncio.sleep(0)


async def burn_in_a_worker() -> None:
    await asyncio.to_thread(burn)


async def wait() -> None:
    time.sleep(CPU_LIMIT_S * 1.4)  # noqa: ASYNC251 - a stall without work


@pytest.mark.slow
def test_a_callback_that_burns_is_reported_with_its_stack() -> None:
    with LoopWatchdog().watching() as watchdog:
        asyncio.run(burn_once())
    (found,) = watchdog.burns
    assert found.cpu_s > CPU_LIMIT_S
    assert "in burn\n" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize("harmless", [many_small_callbacks, burn_in_a_worker, wait])
def test_other_work_is_not_reported(harmless: object) -> None:
    assert callable(harmless)
    with LoopWatchdog().watching() as watchdog:
        asyncio.run(harmless())
    assert watchdog.burns == []
    if harmless is wait:
        assert watchdog.longest_stall_s > CPU_LIMIT_S


@pytest.mark.slow
def test_turns_of_a_loop_in_c_are_watched_by_heartbeats() -> None:
    async def main() -> None:
        watchdog.watch_loop(asyncio.get_running_loop(), threading.get_ident())
        await asyncio.sleep(0.1)
        await burn_once()
        await asyncio.sleep(0.1)
        watchdog.forget_loop(threading.get_ident())

    with LoopWatchdog().watching() as watchdog, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    (found,) = watchdog.burns
    assert "in burn\n" in str(found)
