"""The engines and weight layouts that `yearling bench serve` compares, each opened in a process of its own.

Knows which engine reads which layout; measuring is `bench.py`'s. Layouts other than the installed one are made from it, or
fetched as they were published, into a library of their own, and kept there for the next time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import psutil

from yearling.errors import BadInput, UserError
from yearling.inference.bench import Subject
from yearling.inference.choose import FACTORIES
from yearling.inference.supervisor import EngineSpec, Supervised
from yearling.models import Layout, Library, LocalModel

LAYOUTS: dict[str, Layout] = {"installed": "auto", "published": "keep", "q8_0": "q8_0", "q4_0": "q4_0", "bf16": "bf16"}

READS: dict[str, tuple[str, ...]] = {
    "llamacpp": ("installed", "published", "q8_0", "q4_0", "bf16"),
    "openvino": ("installed", "published", "q8_0", "q4_0"),
    # It computes with the same unpacked weights whatever the file holds.
    "torch": ("installed",),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the comparison: an engine with a layout."""

    kind: str
    model: LocalModel

    @property
    def label(self) -> str:
        return self.kind if self.kind == "torch" else f"{self.kind} {self.model.quantisation}"


def bench_choices(
    library: Library, variants: Library, name: str, *, engines: Sequence[str], layouts: Sequence[str]
) -> list[Choice]:
    """Every engine with every layout that it reads, without doubles; layouts that are missing are made, which may take a while.

    Raises BadInput for an unknown engine or layout, and what `Library.get` and `Library.pull` raise.
    """
    for given, known, what in ((engines, FACTORIES, "engine"), (layouts, LAYOUTS, "layout")):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise BadInput(f"There is no {what} {unknown[0]!r}.", advice=f"There is: {', '.join(known)}.", param=f"{what}s")
    installed = library.get(name)
    models = {layout: _variant(variants, installed, layout) for layout in layouts}
    found: dict[tuple[str, str], Choice] = {}
    for kind in FACTORIES:
        for layout, model in models.items():
            if kind in engines and layout in READS[kind]:
                found.setdefault((kind, model.quantisation), Choice(kind, model))
    return list(found.values())


def _variant(variants: Library, installed: LocalModel, layout: str) -> LocalModel:
    if layout == "installed" or layout.upper() == installed.quantisation:
        return installed
    name = f"{installed.name}-{layout.replace('_', '-')}"
    if name in variants.names():
        return variants.get(name)
    if layout == "published":
        return variants.pull(installed.source, name=name, sha256=installed.source_sha256, layout="keep")
    return variants.import_path(installed.weights, name=name, layout=LAYOUTS[layout])


@asynccontextmanager
async def open_subjects(
    wanted: Sequence[Choice], *, threads: int, max_sequences: int
) -> AsyncGenerator[tuple[list[Subject], dict[str, UserError]], None]:
    """The engines, running, and those that could not be opened with the reason (an extra that is not installed)."""
    async with AsyncExitStack() as stack:
        subjects: list[Subject] = []
        failed: dict[str, UserError] = {}
        for choice in wanted:
            engine = Supervised(spec(choice, threads=threads, max_sequences=max_sequences))
            stack.push_async_callback(engine.close)
            try:
                await engine.start()
            except UserError as error:
                failed[choice.label] = error
            else:
                subjects.append(Subject(choice.label, engine, pid=lambda engine=engine: engine.pid))  # type: ignore[misc]
        yield subjects, failed


def spec(choice: Choice, *, threads: int, max_sequences: int) -> EngineSpec:
    """How to open the engine in a process of its own."""
    model = choice.model
    return EngineSpec(
        factory=FACTORIES[choice.kind],
        options={
            "weights": str(model.weights),
            "folder": str(model.folder),
            "format": model.format,
            "sha256": model.sha256,
            "threads": threads or psutil.cpu_count(logical=False) or os.cpu_count() or 1,
            "context_tokens": 1024,
            "max_sequences": max_sequences,
        },
    )
