"""Drill of streams in a real browser: cut connections in mid-event, refresh the page, and lose or double no word.

    python -m tests.web.stream_drill 50

Between Chromium and the server stands a proxy that resets the connections of a streamed answer after random numbers of bytes; the
page is loaded anew at random moments besides. Words are numbered, so that the text that should be there is known. A round is
passed when what the page shows was the beginning of that text at every look, is all of it in the end and after one more refresh,
and is what the server has stored.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.api.live import live
from tests.web.conftest import launch_browser
from tests.web.site import hide_request_logs
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.store import Store

_ROUND_NUMBER = re.compile(rb"Round (\d+)\.")
_EVENTS_REQUEST = re.compile(rb"GET /v1/turns/[^ /]+/events")
_LAST_EVENT_ID = re.compile(rb"^last-event-id:", re.IGNORECASE | re.MULTILINE)
TOKEN_S = 0.006


def answer_text(number: int) -> str:
    """What the model says: numbered words, some of several bytes, in paragraphs."""
    rng = random.Random(number)
    words = [f"{rng.choice(('word', 'déjà', '你好', '🐣', 'naïve'))}{number}-{at}" for at in range(rng.randrange(40, 70))]
    return "".join(word + ("\n\n" if at % 17 == 16 else " ") for at, word in enumerate(words)).strip()


@dataclass
class Plan:
    """What happens to one round: after how many bytes its streams are cut, and when, in ms, the page is refreshed."""

    number: int
    cuts_bytes: list[int]
    refreshes_ms: list[int]

    @staticmethod
    def draw(number: int, rng: random.Random) -> Plan:
        cuts = [rng.randrange(1, 9000) for _ in range(rng.randrange(2, 5))]
        # A page that is refreshed begins anew: only one that is left alone goes on after the last event that it has.
        return Plan(number, cuts, [rng.randrange(50, 1500) for _ in range(number % 2 * rng.randrange(1, 3))])


@dataclass
class CuttingProxy:
    """Passes bytes on to the server, and resets streams of events as planned."""

    target: tuple[str, int]
    plans: dict[int, Plan]
    cut: dict[int, int] = field(default_factory=dict)
    round: int = -1
    resumed: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        left: list[int | None] = [None]
        up = asyncio.create_task(self._up(reader, back, left))
        try:
            while data := await there.read(4096):
                if left[0] is not None:
                    data, left[0] = data[: left[0]], left[0] - len(data)
                writer.write(data)
                await writer.drain()
                if left[0] is not None and left[0] <= 0:
                    self.cut[self.round] = self.cut.get(self.round, 0) + 1
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the browser has gone, or the drill is over: so does the other side
        finally:
            up.cancel()
            for stream in (writer, back):
                stream.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, left: list[int | None]) -> None:
        while data := await reader.read(65536):
            if match := _ROUND_NUMBER.search(data):
                self.round = int(match[1])
            if _EVENTS_REQUEST.search(data):
                self.resumed += bool(_LAST_EVENT_ID.search(data))
                plan = self.plans.get(self.round)
                left[0] = plan.cuts_bytes.pop() if plan and plan.cuts_bytes else None
            back.write(data)
            await back.drain()


@contextmanager
def serve_cutting_proxy(address: str, plans: dict[int, Plan]) -> Iterator[tuple[str, CuttingProxy]]:
    """The proxy's address while it runs, in a thread of its own."""
    parts = urlsplit(address)
    proxy = CuttingProxy((parts.hostname or "", parts.port or 0), plans)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()


@dataclass(frozen=True)
class DrillResult:
    """The result of a drill: errors by round, and how often something was done to a stream that was still running."""

    errors: dict[int, str]
    cuts: int
    refreshes: int
    resumed: int
    """Streams that were taken up after the last event that had come whole."""


def drill(rounds: int, folder: Path, *, seed: int = 0) -> DrillResult:
    rng = random.Random(seed)
    plans = {number: Plan.draw(number, rng) for number in range(rounds)}

    def answer(_: Any, prompt: str) -> ScriptedAnswer:
        return ScriptedAnswer(answer_text(int(prompt.rpartition("Round ")[2].partition(".")[0])), delay_s=TOKEN_S)

    settings = Settings(data_dir=folder, rate_limit_per_minute=0, comparison_rate=0)
    with Store.open(settings) as store:
        pool = EnginePool.from_open_models([fake_served_model(engine=FakeEngine(answer, context_tokens=8192))])
        with live(create_app(settings, store, pool)) as server, serve_cutting_proxy(server, plans) as (address, proxy):
            facts = {
                "rounds": [{"number": n, "text": answer_text(n), "refreshes_ms": plans[n].refreshes_ms} for n in range(rounds)]
            }
            outcomes = _browse(address, facts, timeout_s=120 + 60 * rounds)
    errors = {outcome["number"]: outcome["failure"] for outcome in outcomes if outcome["failure"]}
    for outcome in outcomes:
        disturbed = proxy.cut.get(outcome["number"], 0) + outcome["refreshed"]
        if not disturbed and outcome["number"] not in errors:
            errors[outcome["number"]] = "nothing was done to it while it ran: the round shows nothing"
    return DrillResult(errors, sum(proxy.cut.values()), sum(outcome["refreshed"] for outcome in outcomes), proxy.resumed)


def _browse(address: str, facts: dict[str, Any], *, timeout_s: float) -> list[dict[str, Any]]:
    with launch_browser(seconds=timeout_s) as run:
        result = run("stream_drill", facts | {"address": address})["drill"]
    if result["failure"]:
        raise RuntimeError(f"the browser failed: {result['failure']}")
    outcomes: list[dict[str, Any]] = result["output"]
    if len(outcomes) != len(facts["rounds"]):
        raise RuntimeError(f"{len(outcomes)} rounds were made, {len(facts['rounds'])} were asked for")
    return outcomes


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder:
        result = drill(rounds, Path(folder))
    for number, failure in result.errors.items():
        print(f"round {number}: {failure}")
    print(
        f"{result.cuts} connections were cut, {result.refreshes} refreshes made; "
        f"{result.resumed} streams went on after the last event."
    )
    print(f"{rounds - len(result.errors)} of {rounds} streams came through whole in the browser, with nothing lost or doubled.")
    raise SystemExit(bool(result.errors))


if __name__ == "__main__":
    main()
