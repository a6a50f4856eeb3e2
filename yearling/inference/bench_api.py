"""What HTTP adds to a short answer: pairs of answers from the bare engine and through the API, in alternating order.

The client is a separate process, as real clients are: inside the server's event loop it would also wait for work that the
server does after an answer has left, such as logging.

There are two measures. `paired` compares neighbouring answers, as a caller sees them, but the engine's own time varies more
than HTTP adds. `around` therefore also subtracts the time that the engine took within each answer through HTTP, so that the
rest is exact.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from yearling.errors import Unavailable
from yearling.inference.engine import Delta, Engine, GenerationRequest
from yearling.records import SamplingSettings

CLIENT_MODULE = "yearling.inference.bench_client"
"""Given by name and not imported: a module that runs as a program must not be imported by its own package before."""

WARM_UP_PAIRS = 5
"""Pairs that are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianWithQuartiles:
    """A median with its quartiles, in seconds."""

    median_s: float
    lower_s: float
    upper_s: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Self:
        """The median and quartiles of `values`, which must not be empty."""
        ordered = sorted(values)
        quarter = len(ordered) // 4
        return cls(median_s=median(ordered), lower_s=ordered[quarter], upper_s=ordered[-1 - quarter])


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOverhead:
    """What HTTP adds to a short answer."""

    engine_s: float
    api_s: float
    paired: MedianWithQuartiles
    """An answer through HTTP minus its neighbour from the bare engine."""
    around: MedianWithQuartiles
    """An answer through HTTP minus the time that the engine took for the same answer."""
    pairs: int


class TimedEngine:
    """An engine that records how long callers waited for it, in seconds per answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.stream_wait_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`; appends the waiting time to `stream_wait_s` when the answer is complete."""
        waited = 0.0
        async with aclosing(self._engine.stream(request)) as stream:
            while True:
                started = time.perf_counter()
                delta = await anext(stream, None)
                waited += time.perf_counter() - started
                if delta is None:
                    break
                yield delta
        self.stream_wait_s.append(waited)


async def measure_api_overhead(
    engine: TimedEngine,
    base_url: str,
    *,
    prompt_ids: Sequence[int],
    messages: Sequence[Mapping[str, object]],
    model: str,
    api_key: str = "",
    new_tokens: int = 4,
    pairs: int = 60,
) -> ApiOverhead:
    """Measure the same short greedy answer from the bare engine and through HTTP.

    `base_url` (`http://…/v1`) must serve this engine; `prompt_ids` are the rendered `messages`. Raises Unavailable if the API
    answers with a status other than 200.
    """
    sampling = SamplingSettings(temperature=0.0, max_tokens=new_tokens)
    request = GenerationRequest(prompt_ids=tuple(prompt_ids), sampling=sampling)
    body = {"model": model, "messages": list(messages), "temperature": 0, "max_tokens": new_tokens}
    engine_durations_s, api_durations_s, overheads_s = [], [], []
    client = await BenchmarkClient.connect(f"{base_url}/chat/completions", body, api_key)
    try:
        for index in range(-WARM_UP_PAIRS, pairs):
            for path in ("bare", "http") if index % 2 else ("http", "bare"):
                if path == "bare":
                    started = time.perf_counter()
                    await engine.generate(request)
                    engine_durations_s.append(time.perf_counter() - started)
                else:
                    engine.stream_wait_s.clear()
                    api_durations_s.append(await client.post())
                    overheads_s.append(api_durations_s[-1] - sum(engine.stream_wait_s))
    finally:
        await client.close()
    engine_durations_s, api_durations_s, overheads_s = (
        engine_durations_s[WARM_UP_PAIRS:],
        api_durations_s[WARM_UP_PAIRS:],
        overheads_s[WARM_UP_PAIRS:],
    )
    return ApiOverhead(
        engine_s=median(engine_durations_s),
        api_s=median(api_durations_s),
        paired=MedianWithQuartiles.from_values(
            [with_http - without for with_http, without in zip(api_durations_s, engine_durations_s, strict=True)]
        ),
        around=MedianWithQuartiles.from_values(overheads_s),
        pairs=pairs,
    )


class BenchmarkClient:
    """Sends one request again and again from a separate process (`bench_client.py`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def connect(cls, url: str, body: Mapping[str, object], api_key: str = "") -> BenchmarkClient:
        """Start the process, which connects to the server."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", CLIENT_MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        client = cls(process)
        await client._exchange({"url": url, "body": body, "api_key": api_key})
        return client

    async def post(self) -> float:
        """Send the request; returns the seconds until the answer is complete. Raises Unavailable for any status but 200."""
        reply = await self._exchange("again")
        if reply["status"] != 200:
            raise Unavailable(f"The API answered {reply['status']}: {reply['body']}")
        return float(reply["seconds"])

    async def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _exchange(self, message: object) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the client's process has no pipes")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        reply_line = await self._process.stdout.readline()
        if not reply_line:
            raise Unavailable("The client of the measurement ended.", advice="Its output is above.")
        reply: dict[str, Any] = json.loads(reply_line)
        return reply
