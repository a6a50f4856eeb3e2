"""How readers cope with other shapes of prompt than one correction and a question:

    python -m benchmarks.corrections.shapes --data-dir DATA [--reader HASH ...]

Ten facts that no reader is trained on, asked for in other words: alone; beside a second correction; contradicted by a later one;
with a chat about other things; without a system message. Then answers of two sentences, whose second one must come too, and
rules of style, which the answer must follow rather than repeat, and Chinese.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corrections.cases import has_key
from yearling.chat import SPEC_SYSTEM_MESSAGE
from yearling.config import Settings
from yearling.inference import EnginePool, GenerationRequest, PromptRenderer, ServedModel
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.records import SamplingSettings

Turn = tuple[str, str]

CHAT: tuple[Turn, ...] = (
    ("Hi, I have some questions.", "Hello! Ask whatever you like."),
    ("What colour is a lemon?", "A lemon is yellow."),
    ("Thanks. And an orange?", "An orange is orange."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeCase:
    """A question after some turns. A right answer has `key` and, if it is not empty, lacks `wrong_key`."""

    shape: str
    turns: tuple[Turn, ...]
    ask: str
    key: str
    wrong_key: str = ""
    system: str = SPEC_SYSTEM_MESSAGE
    max_tokens: int = 24

    def is_right(self, answer: str) -> bool:
        """Whether the answer is the right one."""
        return has_key(answer, [self.key]) and not (self.wrong_key and has_key(answer, [self.wrong_key]))


def shape_cases() -> Iterator[ShapeCase]:
    """All cases of shapes.toml in all shapes."""
    content = tomllib.loads(Path(__file__).with_name("shapes.toml").read_text(encoding="utf-8"))
    facts = content["facts"]
    for fact, other in zip(facts, facts[1:] + facts[:1], strict=True):
        own, second, old = _turn(fact), _turn(other), (fact["question"], fact["old_answer"])
        question = {"ask": fact["ask"], "key": fact["key"]}
        yield ShapeCase(shape="alone", turns=(own,), **question)
        yield ShapeCase(shape="second before", turns=(second, own), **question)
        yield ShapeCase(shape="second after", turns=(own, second), **question)
        yield ShapeCase(shape="contradicted", turns=(old, own), wrong_key=fact["old_key"], **question)
        yield ShapeCase(shape="after a chat", turns=(*CHAT, own), **question)
        yield ShapeCase(shape="before a chat", turns=(own, *CHAT), **question)
        yield ShapeCase(shape="no system message", turns=(own,), system="", **question)
    for shape, rows, max_tokens in (
        ("two sentences", content["long"], 48),
        ("style", content["style"], 64),
        ("Chinese", content["chinese"], 48),
    ):
        for row in rows:
            yield ShapeCase(shape=shape, turns=(_turn(row),), ask=row["ask"], key=row["key"], max_tokens=max_tokens)


async def run(arguments: argparse.Namespace) -> None:
    """Print one line of right answers by shape for the model without a reader, and for each reader."""
    settings = Settings(data_dir=arguments.data_dir, model=arguments.model, engine="llamacpp")
    adapters = AdapterLibrary(settings.adapters_dir)
    pool = EnginePool(settings, ModelLibrary(settings.models_dir))
    served = await pool.get(arguments.model)
    cases = list(shape_cases())
    totals = Counter(case.shape for case in cases)
    for name in [None, *arguments.reader]:
        reader = await served.engine.load_adapter(adapters.get(name).weights) if name else None
        answers = await _ask(served, cases, reader)
        right: Counter[str] = Counter()
        for case, answer in zip(cases, answers, strict=True):
            right[case.shape] += case.is_right(answer)
            if arguments.show and not case.is_right(answer):
                print(f"  {case.shape}: {case.ask} -> {answer!r}", flush=True)
        counts = {shape: f"{right[shape]} of {total}" for shape, total in totals.items()}
        print(json.dumps({"reader": (reader or "none")[:12], **counts}), flush=True)
    await pool.close()


async def _ask(served: ServedModel, cases: list[ShapeCase], reader: str | None) -> list[str]:
    renderer = PromptRenderer.for_model(served)
    limit = asyncio.Semaphore(8)

    async def ask(case: ShapeCase) -> str:
        messages = [{"role": "system", "content": case.system}] if case.system else []
        for asked, answer in case.turns:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        request = GenerationRequest(
            prompt_ids=tuple(renderer.encode([*messages, {"role": "user", "content": case.ask}])),
            sampling=SamplingSettings(temperature=0, max_tokens=case.max_tokens),
            adapter_hash=reader,
        )
        async with limit:
            return (await served.engine.generate(request)).text

    return await asyncio.gather(*map(ask, cases))


def _turn(row: dict[str, Any]) -> Turn:
    return row["question"], row["answer"]


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--reader", action="append", default=[])
    parser.add_argument("--show", action="store_true")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
