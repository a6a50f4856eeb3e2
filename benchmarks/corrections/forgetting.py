"""What training weights on facts costs elsewhere, with and without `--kl-mode anchor`:

    python -m benchmarks.corrections.forgetting CASES --data-dir DATA [--kl-weight 2 ...]

Fine-tunes the model on ten invented facts of the reader's file (their wordings and most of the other ways to ask, with nothing in
front), then asks it for them, also in held-back words, and asks the control questions and constraint cases of CASES.
Nothing is trained on CASES. The adapters are published in DATA and answer through llama.cpp.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corrections.cases import has_key
from yearling.chat import SPEC_SYSTEM_MESSAGE
from yearling.clock import new_id
from yearling.config import Settings
from yearling.inference import EnginePool, GenerationRequest, PromptRenderer, ServedModel
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.records import SamplingSettings
from yearling.tasks import Demonstration, freeze_lesson_set
from yearling.training import ArtefactStores, RunSetup, build_method, create_run, export_adapter, train
from yearling.training.reader.families import Fact, read_reader_texts

NUM_FACTS = 10
NUM_HELD_BACK = 3
"""Other ways to ask for each fact that are not trained on."""
NUM_OTHER_FACTS = 30
MAX_TOKENS = 16

CONSTRAINT_CHECKS: dict[str, Callable[[str], bool]] = {
    "oneword": lambda text: len(text.split()) == 1,
    "twowords": lambda text: len(text.split()) == 2,
    "yesno": lambda text: text.strip().lower().strip(".!") in ("yes", "no"),
    "bullets": lambda text: len(re.findall(r"^\s*[-*•] ", text, re.MULTILINE)) >= 2,
    "numbered": lambda text: len(re.findall(r"^\s*\d[.)] ", text, re.MULTILINE)) >= 2,
    "number": lambda text: re.fullmatch(r"\s*\d+\.?\s*", text) is not None,
    "lines3": lambda text: len([line for line in text.splitlines() if line.strip()]) == 3,
    "rhyme": lambda text: len(re.findall(r"\b\w+at\b", text.lower())) >= 2,
}
"""Checks by the name that constraints.jsonl gives them; any other name is a pattern to find in the answer."""


def choose_facts(seed: int) -> list[Fact]:
    """Facts of different families with enough ways to ask for them."""
    by_family = {
        fact.family: fact for fact in random.Random(seed).sample(read_reader_texts().facts, len(read_reader_texts().facts))
    }
    enough = [
        fact
        for _, fact in sorted(by_family.items())
        if len(fact.asks) > 2 * NUM_HELD_BACK and fact.family not in ("allowed", "todo")
    ]
    return enough[:NUM_FACTS]


def lessons_of(facts: Sequence[Fact]) -> list[Demonstration]:
    """Each fact under its own wordings and the asks that are not held back."""
    return [
        Demonstration(f"{index} {question}", _prompt(question), fact.entries[0][1])
        for index, fact in enumerate(facts)
        for question in (*(question for question, _ in fact.entries), *fact.asks[NUM_HELD_BACK:])
    ]


def train_facts(settings: Settings, model: str, facts: Sequence[Fact], config: dict[str, object]) -> tuple[str, float, int]:
    """(hash of the published adapter, processor seconds, steps that changed weights)."""
    lessons = freeze_lesson_set(lessons_of(facts), settings.data_dir / "lessons")
    stores = ArtefactStores.from_data_dir(settings.data_dir)
    run = create_run(
        settings.runs_dir / new_id(),
        "sft",
        config,
        RunSetup(model=model, rank=8, lessons=lessons.hash),
        stores,
        threads=settings.threads,
    )
    started = time.process_time()
    train(build_method(run, stores), run)
    steps = sum("loss" in line for line in run.read_metrics())
    return export_adapter(run, stores, checkpoint="last").sha256, time.process_time() - started, steps


async def ask_all(served: ServedModel, adapter: str | None, facts: Sequence[Fact], cases: Path) -> dict[str, str]:
    """Right answers by kind, as `x of y`."""
    renderer = PromptRenderer.for_model(served)
    limit = asyncio.Semaphore(8)

    async def ask(question: str, max_tokens: int = MAX_TOKENS) -> str:
        request = GenerationRequest(
            prompt_ids=tuple(renderer.encode(_prompt(question))),
            sampling=SamplingSettings(temperature=0, max_tokens=max_tokens),
            adapter_hash=adapter,
        )
        async with limit:
            return (await served.engine.generate(request)).text

    async def ask_keys(questions: Sequence[tuple[str, Sequence[str]]]) -> str:
        answers = await asyncio.gather(*(ask(question) for question, _ in questions))
        return f"{sum(has_key(answer, keys) for answer, (_, keys) in zip(answers, questions, strict=True))} of {len(questions)}"

    controls = [(row["question"], row["keys"]) for row in _rows(cases / "controls.jsonl")]
    known = {question for question, _ in controls}
    pool = [(row["question"], row["keys"]) for row in _rows(cases / "fact_pool.jsonl") if row["question"] not in known][
        :NUM_OTHER_FACTS
    ]
    constraints = _rows(cases / "constraints.jsonl")
    answers = await asyncio.gather(*(ask(row["prompt"], 40) for row in constraints))
    kept = sum(_passes(row["check"], answer) for row, answer in zip(constraints, answers, strict=True))
    return {
        "facts": await ask_keys([(fact.entries[0][0], _keys(fact)) for fact in facts]),
        "held-back words": await ask_keys([(ask, _keys(fact)) for fact in facts for ask in fact.asks[:NUM_HELD_BACK]]),
        "controls": await ask_keys(controls),
        "other facts": await ask_keys(pool),
        "constraints": f"{kept} of {len(constraints)}",
    }


async def run(arguments: argparse.Namespace) -> None:
    """Measure the bare model, training without an anchor, and with each weight of it."""
    settings = Settings(data_dir=arguments.data_dir, model=arguments.model, engine="llamacpp")
    facts = choose_facts(arguments.seed)
    base = {
        "steps": arguments.steps,
        "lessons_per_step": 8,
        "learning_rate": arguments.learning_rate,
        "validation": 0.0,
        "seed": arguments.seed,
    }
    base |= {"learnt_mean": 0.85, "learnt_worst": 0.55}
    configs: list[tuple[str, dict[str, object] | None]] = [("no anchor", base)]
    configs += [
        (f"anchor {weight:g}", base | {"kl_mode": "anchor", "kl_weight": weight, "anchor_prompts": 4})
        for weight in arguments.kl_weight
    ]
    configs.append(("bare", None))
    adapters = AdapterLibrary(settings.adapters_dir)
    for name, config in configs:
        adapter, cpu_s, steps = None, 0.0, 0
        if config is not None:
            adapter, cpu_s, steps = await asyncio.to_thread(train_facts, settings, arguments.model, facts, config)
        pool = EnginePool(settings, ModelLibrary(settings.models_dir))
        served = await pool.get(arguments.model)
        if adapter is not None:
            await served.engine.load_adapter(adapters.get(adapter).weights)
        scores = await ask_all(served, adapter, facts, arguments.cases)
        await pool.close()
        print(json.dumps({"training": name, **scores, "steps": steps, "cpu_s": round(cpu_s)}), flush=True)


def _prompt(question: str) -> tuple[dict[str, str], ...]:
    return ({"role": "system", "content": SPEC_SYSTEM_MESSAGE}, {"role": "user", "content": question})


def _keys(fact: Fact) -> list[str]:
    """What tells the fact's answer from others: its last word that no question has."""
    question_words = {
        word.strip("?.,").lower() for text in (*fact.asks, *(asked for asked, _ in fact.entries)) for word in text.split()
    }
    words = [word.strip("?.,'") for word in fact.entries[0][1].split()]
    return [[word for word in words if word.lower() not in question_words][-1]]


def _passes(check: str, answer: str) -> bool:
    known = CONSTRAINT_CHECKS.get(check)
    return known(answer) if known else re.search(check, answer) is not None


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--kl-weight", type=float, action="append", default=[])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
