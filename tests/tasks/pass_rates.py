"""Measures how often the untrained default model solves tasks at temperature 1, to find tasks on which training can start.

    python -m tests.tasks.pass_rates --samples 64 reasoning_gym:gcd 'running_totals {"terms": 4}'
    python -m tests.tasks.pass_rates --samples 24 --each-kind en

An argument is an environment's name and, after a space, its settings as JSON. Prints passes, rate and 95 % Wilson interval as a
table. Tasks are those of the training part, one answer to each. Not a test: it takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import platformdirs

from yearling.inference import Completion, Engine, GenerationRequest, PromptRenderer, open_engine
from yearling.models import ChatTemplate, ModelLibrary, Tokenizer
from yearling.records import SamplingSettings
from yearling.tasks import Environment, Task, is_multi_turn, open_environment, train_seed
from yearling.tasks.environments.instructions.catalogue import CONSTRAINT_KINDS


def wilson(passes: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927)."""
    rate = passes / count
    centre, spread = rate + z * z / (2 * count), z * (rate * (1 - rate) / count + z * z / (4 * count * count)) ** 0.5
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


class EpisodeRunner:
    """Runs episodes with one engine."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, template: ChatTemplate, max_tokens: int) -> None:
        self.engine, self.tokenizer, self.template, self.max_tokens = engine, tokenizer, template, max_tokens
        self.tokens = 0
        self.cut = 0

    async def answer(self, messages: list[dict[str, Any]], seed: int) -> str:
        prompt = tuple(await asyncio.to_thread(PromptRenderer(self.tokenizer, self.template).encode, messages))
        sampling = SamplingSettings(temperature=1.0, max_tokens=self.max_tokens, seed=seed)
        found: Completion = await self.engine.generate(GenerationRequest(prompt_ids=prompt, sampling=sampling))
        self.tokens += found.completion_tokens
        self.cut += found.finish_reason == "length"
        return found.text

    async def play(self, environment: Environment, task: Task, seed: int) -> tuple[float, list[dict[str, Any]]]:
        transcript: list[dict[str, Any]] = []
        while True:
            content = await self.answer([*task.messages, *transcript], seed + len(transcript))
            transcript.append({"role": "assistant", "content": content})
            following = environment.reply(task, transcript) if is_multi_turn(environment) else None
            if following is None:
                return environment.reward(task, transcript), transcript
            transcript.append(following)


@dataclass
class Tally:
    """The results for one argument."""

    spec: str
    environment: Environment
    played: int = 0
    passes: int = 0
    tokens: int = 0
    cut: int = 0
    shown: list[str] = field(default_factory=list)

    def row(self) -> str:
        if not self.played:
            return f"| {self.spec} | not reached | | | | |"
        low, high = wilson(self.passes, self.played)
        rate = f"{self.passes}/{self.played} | {self.passes / self.played:.2f} | {low:.2f} to {high:.2f}"
        return f"| {self.spec} | {rate} | {self.tokens / self.played:.0f} | {self.cut} |"


async def measure(tallies: list[Tally], chosen: argparse.Namespace) -> None:
    """Run episodes of all arguments in turn, so that a time limit shortens all of them equally."""
    folder = os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False)
    model = ModelLibrary(Path(folder)).pull("smollm2-135m-instruct")
    tokenizer, template = Tokenizer.load(model), ChatTemplate.load(model)
    engine = await open_engine(model, kind="llamacpp", threads=chosen.threads, context_tokens=0, stall_timeout_s=600)
    ends = time.monotonic() + chosen.seconds
    places = asyncio.Semaphore(chosen.at_once)

    async def play(tally: Tally, index: int) -> None:
        async with places:
            if time.monotonic() > ends:
                return
            runner = EpisodeRunner(engine, tokenizer, template, chosen.max_tokens)
            task = tally.environment.task(train_seed(index))
            reward, transcript = await runner.play(tally.environment, task, 1000 * index)
        tally.played += 1
        tally.passes += reward == 1.0
        tally.tokens += runner.tokens
        tally.cut += runner.cut
        if index < chosen.show:
            words = [reward, task.messages[-1]["content"], [turn["content"] for turn in transcript]]
            tally.shown.append(json.dumps(words, ensure_ascii=False))

    try:
        await asyncio.gather(*(play(tally, index) for index in range(chosen.samples) for tally in tallies))
    finally:
        await engine.close()


async def score(tallies: list[Tally], chosen: argparse.Namespace) -> None:
    """Measure the probability of the right answer and the end of the turn after it, without sampling noise.

    This is a lower bound if other spellings are right too.
    """
    folder = os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False)
    model = ModelLibrary(Path(folder)).pull("smollm2-135m-instruct")
    tokenizer, template = Tokenizer.load(model), ChatTemplate.load(model)
    (stop,) = tokenizer.encode("<|im_end|>", special=True)
    engine = await open_engine(model, kind="llamacpp", threads=chosen.threads, context_tokens=0, stall_timeout_s=600)
    print("| environment | tasks | mean probability | standard error |\n|---|---|---|---|", flush=True)
    try:
        for tally in tallies:
            tasks = [tally.environment.task(train_seed(index)) for index in range(chosen.samples)]
            rights = [str(task.data.get("answer") or " ".join(map(str, task.data["totals"]))) for task in tasks]
            pairs = [
                (template.encode(tokenizer, list(task.messages)), [*tokenizer.encode(right), stop])
                for task, right in zip(tasks, rights, strict=True)
            ]
            found = [math.exp(sum(logprobs)) for logprobs in await engine.score(pairs)]
            print(f"| {tally.spec} | {len(found)} | {mean(found):.3f} | {stdev(found) / len(found) ** 0.5:.3f} |", flush=True)
    finally:
        await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("specs", nargs="*")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--each-kind", choices=["en", "zh"], help="every kind of constraint alone, held-out ones apart")
    parser.add_argument("--exact", action="store_true", help="score the right answer instead of drawing answers")
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=16, help="episodes that share the engine's steps")
    parser.add_argument("--seconds", type=float, default=600, help="start no episode after this long")
    parser.add_argument("--threads", type=int, default=2, help="1 on a busy machine: threads that wait for each other starve")
    parser.add_argument("--show", type=int, default=0, help="print that many episodes of each")
    chosen = parser.parse_args()
    specs = list(chosen.specs)
    if chosen.each_kind:
        settings = {"language": chosen.each_kind, "level": chosen.level}
        specs += [
            f"instructions {json.dumps({**settings, 'kinds': [kind.id]})}"
            for kind in CONSTRAINT_KINDS.values()
            if not kind.held_out
        ]
    tallies = []
    for spec in specs:
        name, _, options = spec.partition(" ")
        tallies.append(Tally(spec, open_environment(name, **json.loads(options or "{}"))))
    if chosen.exact:
        asyncio.run(score(tallies, chosen))
        return
    asyncio.run(measure(tallies, chosen))
    print("| environment | passes | rate | 95 % interval | tokens each | cut off |\n|---|---|---|---|---|---|")
    for tally in tallies:
        print("\n".join([tally.row(), *tally.shown]))


if __name__ == "__main__":
    main()
