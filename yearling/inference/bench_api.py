"""What HTTP adds to a short answer: pairs of answers from the bare engine and through the API, in changing order.

The client is a process of its own, as clients are: were it a part of the server's event loop, it would also wait for what the
server does once an answer has left, such as its log.

Two figures. Pairs of answers say what a caller sees, but the engine's own time differs from answer to answer by more than what is
added; so the engine's time is also taken from within each answer through HTTP, and what is left of that answer is exact.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from yearling.errors import Unavailable
from yearling.inference.engine import Delta, Engine, GenerationRequest
from yearling.records import SamplingSettings

CLIENT_MODULE = "yearling.inference.bench_client"
"""Named and not imported: what runs as a program must not be a module of its own package already."""

WARM_UP_PAIRS = 5
"""Pairs that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianWithQuartiles:
    """A median and the quartiles beside it, in seconds."""

    median_s: float
    lower_s: float
    upper_s: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Self:
        ordered = sorted(values)
        quarter = len(ordered) // 4
        return cls(median_s=median(ordered), lower_s=ordered[quarter], upper_s=ordered[-1 - quarter])


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOverhead:
    """What HTTP adds to a short answer."""

    engine_s: float
    api_s: float
    paired: MedianWithQuartiles
    """An answer through HTTP less its neighbour from the bare engine."""
    around: MedianWithQuartiles
    """An answer through HTTP less the time that the engine took for this very one."""
    pairs: int


class TimedEngine:
    """An engine that notes how long those who stream from it waited for it, in seconds an answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.stream_wait_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
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
    messages: Sequence[dict[str, Any]],
    model: str,
    api_key: str = "",
    new_tokens: int = 4,
    pairs: int = 60,
) -> ApiOverhead:
    """The same short answer from the bare engine and through HTTP, greedy, so that both are equal.

    `base_url` (`http://…/v1`) must serve this very engine; `prompt_ids` are what it makes of `messages`. Raises Unavailable when
    the API does not answer with 200.
    """
    sampling = SamplingSettings(temperature=0.0, max_tokens=new_tokens)
    request = GenerationRequest(prompt_ids=tuple(prompt_ids), sampling=sampling)
    body = {"model": model, "messages": list(messages), "temperature": 0, "max_tokens": new_tokens}
    bare, http, around = [], [], []
    client = await BenchmarkClient.connect(f"{base_url}/chat/completions", body, api_key)
    try:
        for number in range(-WARM_UP_PAIRS, pairs):
            for way in ("bare", "http") if number % 2 else ("http", "bare"):
                if way == "bare":
                    started = time.perf_counter()
                    await engine.generate(request)
                    bare.append(time.perf_counter() - started)
                else:
                    engine.stream_wait_s.clear()
                    http.append(await client.post())
                    around.append(http[-1] - sum(engine.stream_wait_s))
    finally:
        await client.close()
    bare, http, around = bare[WARM_UP_PAIRS:], http[WARM_UP_PAIRS:], around[WARM_UP_PAIRS:]
    return ApiOverhead(
        engine_s=median(bare),
        api_s=median(http),
        paired=MedianWithQuartiles.from_values([with_http - without for with_http, without in zip(http, bare, strict=True)]),
        around=MedianWithQuartiles.from_values(around),
        pairs=pairs,
    )


class BenchmarkClient:
    """Sends one request again and again, from a process of its own (`bench_client.py`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def connect(cls, url: str, body: dict[str, Any], api_key: str = "") -> BenchmarkClient:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", CLIENT_MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        client = cls(process)
        await client._ask({"url": url, "body": body, "api_key": api_key})
        return client

    async def post(self) -> float:
        """Seconds from the request to the whole answer. Raises Unavailable for any status but 200."""
        answer = await self._ask("again")
        if answer["status"] != 200:
            raise Unavailable(f"The API answered {answer['status']}: {answer['body']}")
        return float(answer["seconds"])

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _ask(self, line: Any) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the client has pipes")
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        answer = await self._process.stdout.readline()
        if not answer:
            raise Unavailable("The client of the measurement ended.", advice="See what it printed above.")
        found: dict[str, Any] = json.loads(answer)
        return found
