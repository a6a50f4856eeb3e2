"""How fast an engine is: tokens per second by the number of concurrent sequences, prefill speed, and time to the first token.

Everything is measured through the `Engine` protocol, as the server uses it. Prompts never repeat, so that no prefix cache
distorts the result. Engines that are compared take turns within each round, so that a slower machine slows all of them; the
result is the median of the rounds. Tables and files are not this module's concern.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from yearling.inference.engine import Engine, GenerationRequest
from yearling.records import SamplingSettings

PREFILL_TOKENS = 512
"""Length of the prompt of a prefill measurement."""
PROMPT_TOKENS = 40
"""Length of the prompts of the throughput measurements."""

_PROMPT_TOKEN_IDS = range(40, 240)
"""Mostly single bytes in every vocabulary that we know: answers to a prompt of them rarely end at once."""

_prompt_seeds = itertools.count(time.time_ns() % 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpeed:
    """Speed of one engine: medians over rounds. Rates are in tokens per second."""

    tokens_per_s: dict[int, float]
    """New tokens of all sequences together, by the number of concurrent sequences."""
    prefill_tokens_per_s: float
    first_token_s: float
    """Time from the request to the first token of a short prompt, on an idle engine."""
    spread: dict[int, float]
    """Duration of the slowest sequence divided by that of the fastest, by the number of concurrent sequences."""
    peak_memory_bytes: int | None = None
    rounds: int = 1


@dataclass(eq=False, slots=True)
class BenchmarkedEngine:
    """An engine under measurement, with its results so far. `pid` returns the process whose memory is measured."""

    label: str
    engine: Engine
    pid: Callable[[], int | None] = lambda: None
    tokens_per_s: dict[int, list[float]] = field(default_factory=dict)
    spreads: dict[int, list[float]] = field(default_factory=dict)
    prefill_tokens_per_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)

    def median_speed(self) -> EngineSpeed:
        """The medians. Raises ValueError if no round has been measured."""
        if not self.prefill_tokens_per_s:
            raise ValueError(f"{self.label} has not been measured yet")
        pid = self.pid()
        return EngineSpeed(
            tokens_per_s={count: median(values) for count, values in self.tokens_per_s.items()},
            prefill_tokens_per_s=median(self.prefill_tokens_per_s),
            first_token_s=median(self.first_token_s),
            spread={count: median(values) for count, values in self.spreads.items()},
            peak_memory_bytes=None if pid is None else peak_memory_bytes(pid),
            rounds=len(self.prefill_tokens_per_s),
        )


@dataclass(frozen=True, slots=True)
class RequestTiming:
    """One answer: seconds to its first token and to its end, and its number of tokens."""

    first_token_s: float
    duration_s: float
    num_tokens: int


async def measure_engine(
    engine: Engine,
    *,
    sequences: Sequence[int] = (1, 8),
    new_tokens: int = 12,
    prefill_tokens: int = 128,
    rounds: int = 1,
) -> EngineSpeed:
    """A quick measurement of one engine, for the choice at start: about two seconds with a small model on two cores."""
    benchmarked = BenchmarkedEngine("engine", engine)
    sequence_counts = [count for count in sequences if count <= engine.capabilities.max_sequences]
    await measure_interleaved(
        [benchmarked], sequences=sequence_counts, new_tokens=new_tokens, repeat=rounds, prefill_tokens=prefill_tokens
    )
    return benchmarked.median_speed()


async def measure_interleaved(
    subjects: Sequence[BenchmarkedEngine],
    *,
    sequences: Sequence[int],
    new_tokens: int,
    repeat: int,
    prefill_tokens: int = PREFILL_TOKENS,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Measure all engines in `repeat` rounds, in turns; adds the results to `subjects`.

    Calls `progress(what, done, total)` before each measurement.
    """
    for subject in subjects:
        await time_request(subject.engine, PROMPT_TOKENS, 2)
    plan = [
        (round_number, count, subject)
        for round_number in range(repeat)
        for count in (0, *sequences)
        for subject in _rotated(subjects, round_number)
    ]
    for done, (round_number, count, subject) in enumerate(plan):
        if progress is not None:
            what = "prefill" if count == 0 else f"{count} sequences"
            progress(f"round {round_number + 1}: {subject.label}, {what}", done, len(plan))
        if count == 0:
            subject.first_token_s.append((await time_request(subject.engine, PROMPT_TOKENS, 1)).first_token_s)
            subject.prefill_tokens_per_s.append(
                prefill_tokens / (await time_request(subject.engine, prefill_tokens, 1)).first_token_s
            )
        else:
            rate, spread = await time_concurrent_requests(subject.engine, count, new_tokens)
            subject.tokens_per_s.setdefault(count, []).append(rate)
            subject.spreads.setdefault(count, []).append(spread)


async def time_concurrent_requests(engine: Engine, count: int, new_tokens: int) -> tuple[float, float]:
    """(new tokens per second, slowest over fastest duration of the full-length answers) for `count` concurrent answers."""
    started = time.perf_counter()
    timings = await asyncio.gather(*(time_request(engine, PROMPT_TOKENS, new_tokens) for _ in range(count)))
    rate = sum(timing.num_tokens for timing in timings) / (time.perf_counter() - started)
    full_length = [timing.duration_s for timing in timings if timing.num_tokens == new_tokens]
    durations = full_length or [timing.duration_s for timing in timings]
    return rate, max(durations) / min(durations)


async def time_request(engine: Engine, prompt_tokens: int, new_tokens: int) -> RequestTiming:
    """One answer to a prompt that was never sent before. Raises what the engine raises."""
    seed = next(_prompt_seeds)
    prompt = tuple(random.Random(seed).choices(_PROMPT_TOKEN_IDS, k=prompt_tokens))
    request = GenerationRequest(prompt_ids=prompt, sampling=SamplingSettings(temperature=1.0, max_tokens=new_tokens, seed=seed))
    started = time.perf_counter()
    first_token_s, num_tokens = 0.0, 0
    async for delta in engine.stream(request):
        if delta.tokens and not num_tokens:
            first_token_s = time.perf_counter() - started
        num_tokens += len(delta.tokens)
    return RequestTiming(first_token_s, time.perf_counter() - started, num_tokens)


def peak_memory_bytes(pid: int) -> int | None:
    """The most memory that a process has ever held (VmHWM), or None if the system does not report it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _rotated(subjects: Sequence[BenchmarkedEngine], by: int) -> list[BenchmarkedEngine]:
    """A different engine starts each round."""
    by %= max(1, len(subjects))
    return [*subjects[by:], *subjects[:by]]
