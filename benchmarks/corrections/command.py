"""Measures readers on corrections:

    python -m benchmarks.corrections.command CASES --data-dir DATA --gate stress [--reader HASH ...] [--more 10] [--show]

CASES is a folder as in `cases.py`, DATA a data folder with the model and its readers. Without --reader, all readers of the
model are measured, and the model without one. What corrections compete with is measured by `--gate none`: `--system known`
writes all of them into the system message, and `--weights HASH` is an adapter that was trained on them (`--write-lessons`
makes its lessons).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from benchmarks.corrections.cases import read_controls, read_corrections
from benchmarks.corrections.memory_gate import memory_gate
from benchmarks.corrections.reading import KINDS, ReadingScores, measure_reading
from yearling.chat import SPEC_SYSTEM_MESSAGE
from yearling.config import Settings
from yearling.inference import EnginePool
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.tasks import Demonstration, freeze_lesson_set


async def run(arguments: argparse.Namespace) -> None:
    """Print one line for each reader: right answers by kind, and the processor seconds of the engine."""
    settings = Settings(data_dir=arguments.data_dir, model=arguments.model, engine="llamacpp")
    corrections = read_corrections(arguments.cases, num_more=arguments.more)
    controls = read_controls(arguments.cases)
    system = "" if arguments.system == "none" else SPEC_SYSTEM_MESSAGE
    if arguments.system == "known":
        system += "\n\nWhat you know:\n" + "\n".join(f"- {case.question} {case.answer}" for case in corrections)
    if arguments.write_lessons:
        messages = [({"role": "user", "content": case.question},) for case in corrections]
        lessons = [Demonstration(str(at), messages[at], case.answer) for at, case in enumerate(corrections)]
        print(freeze_lesson_set(lessons, settings.data_dir / "lessons").hash)
        return
    adapters = AdapterLibrary(settings.adapters_dir)
    readers = [adapters.get(name) for name in arguments.reader] or [
        adapter for adapter in adapters.list() if adapter.purpose == "reader"
    ]
    pool = EnginePool(settings, ModelLibrary(settings.models_dir))
    try:
        served = await pool.get(arguments.model)
        async with AsyncExitStack() as stack:
            gate = arguments.gate
            if gate == "memory":
                gate = await stack.enter_async_context(memory_gate(pool, corrections))
            weights = [adapters.get(name) for name in arguments.weights]
            with_and_without = readers if arguments.reader else [None, *readers]
            for reader in weights or with_and_without:
                if reader is not None:
                    await served.engine.load_adapter(reader.weights)
                reader_hash = reader.sha256 if reader else None
                started = _cpu_s()
                scores = await measure_reading(
                    served, corrections, controls, gate, reader=reader_hash, system=system, is_always_active=bool(weights)
                )
                _print(arguments, reader_hash, scores, _cpu_s() - started)
                if arguments.more:
                    _print_first(arguments, scores)
    finally:
        await pool.close()


def _print(arguments: argparse.Namespace, reader: str | None, scores: ReadingScores, cpu_s: float) -> None:
    counts: dict[str, object] = {kind: "{} of {}".format(*scores.count(kind)) for kind in KINDS}
    line: dict[str, object] = {
        "reader": (reader or "none")[:12],
        "gate": arguments.gate,
        "system": arguments.system,
        **counts,
        "cpu_s": round(cpu_s),
    }
    print(json.dumps(line), flush=True)
    if arguments.show:
        for asked in scores.wrong():
            print(f"  {asked}", flush=True)


def _print_first(arguments: argparse.Namespace, scores: ReadingScores) -> None:
    """The counts for corrections.jsonl alone, with all the others stored too."""
    first = read_corrections(arguments.cases, num_more=0)
    questions = {text for case in first for text in (case.question, *case.paraphrases)}
    for kind in ("verbatim", "paraphrase"):
        of_kind = [asked for asked in scores.asked if asked.kind == kind and asked.question in questions]
        print(f"  corrections.jsonl, {kind}: {sum(asked.is_right for asked in of_kind)} of {len(of_kind)}", flush=True)


def _cpu_s() -> float:
    """Processor seconds of this process and its children so far."""
    own = psutil.Process()
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in own.children(recursive=True))


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--reader", action="append", default=[])
    parser.add_argument("--gate", choices=("none", "oracle", "stress", "memory"), default="stress")
    parser.add_argument("--more", type=int, default=10)
    parser.add_argument("--system", choices=("spec", "none", "known"), default="spec")
    parser.add_argument("--weights", action="append", default=[])
    parser.add_argument("--write-lessons", action="store_true")
    parser.add_argument("--show", action="store_true")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
