"""The engines and weight layouts that `yearling bench serve` compares, each opened in a process of its own.

Knows which engine reads which layout; measuring is `bench.py`'s. Layouts other than the installed one are made from it, or
fetched as they were published, into a library of their own, and kept there for the next time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from yearling.errors import BadInput, UserError
from yearling.inference.engine_choice import ENGINE_FACTORIES
from yearling.inference.pool import open_engine
from yearling.inference.throughput import BenchmarkedEngine
from yearling.models import Layout, LocalModel, ModelLibrary

CONTEXT_TOKENS = 1024
"""More than any measurement needs; engines that set memory aside for whole contexts should not seem larger than they are."""

LAYOUTS: dict[str, Layout] = {"installed": "auto", "published": "keep", "q8_0": "q8_0", "q4_0": "q4_0", "bf16": "bf16"}

READABLE_LAYOUTS: dict[str, tuple[str, ...]] = {
    "llamacpp": ("installed", "published", "q8_0", "q4_0", "bf16"),
    "openvino": ("installed", "published", "q8_0", "q4_0"),
    # It computes with the same unpacked weights whatever the file holds.
    "torch": ("installed",),
}


@dataclass(frozen=True, slots=True)
class EngineVariant:
    """One line of the comparison: an engine with a layout."""

    kind: str
    model: LocalModel

    @property
    def label(self) -> str:
        return self.kind if self.kind == "torch" else f"{self.kind} {self.model.quantisation}"


def list_engine_variants(
    library: ModelLibrary, variants: ModelLibrary, name: str, *, engines: Sequence[str], layouts: Sequence[str]
) -> list[EngineVariant]:
    """Every engine with every layout that it reads, without doubles; layouts that are missing are made, which may take a while.

    Raises BadInput for an unknown engine or layout, and what `Library.get` and `Library.pull` raise.
    """
    for given, known, what in ((engines, ENGINE_FACTORIES, "engine"), (layouts, LAYOUTS, "layout")):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise BadInput(f"There is no {what} {unknown[0]!r}.", advice=f"There is: {', '.join(known)}.", param=f"{what}s")
    installed = library.get(name)
    models = {layout: _variant(variants, installed, layout) for layout in layouts}
    found: dict[tuple[str, str], EngineVariant] = {}
    for kind in ENGINE_FACTORIES:
        for layout, model in models.items():
            if kind in engines and layout in READABLE_LAYOUTS[kind]:
                found.setdefault((kind, model.quantisation), EngineVariant(kind, model))
    return list(found.values())


def _variant(variants: ModelLibrary, installed: LocalModel, layout: str) -> LocalModel:
    if layout == "installed" or layout.upper() == installed.quantisation:
        return installed
    name = f"{installed.name}-{layout.replace('_', '-')}"
    if name in variants.names():
        return variants.get(name)
    if layout == "published":
        return variants.pull(installed.source, name=name, sha256=installed.source_sha256, layout="keep")
    return variants.import_path(installed.weights, name=name, layout=LAYOUTS[layout])


@asynccontextmanager
async def open_benchmarked_engines(
    wanted: Sequence[EngineVariant], *, threads: int, max_sequences: int
) -> AsyncGenerator[tuple[list[BenchmarkedEngine], dict[str, UserError]], None]:
    """The engines, running, and those that could not be opened with the reason (an extra that is not installed)."""
    async with AsyncExitStack() as stack:
        subjects: list[BenchmarkedEngine] = []
        failed: dict[str, UserError] = {}
        for contender in wanted:
            try:
                engine = await open_engine(
                    contender.model,
                    kind=contender.kind,
                    threads=threads,
                    context_tokens=CONTEXT_TOKENS,
                    max_sequences=max_sequences,
                )
            except UserError as error:
                failed[contender.label] = error
            else:
                stack.push_async_callback(engine.close)
                subjects.append(BenchmarkedEngine(contender.label, engine, pid=partial(getattr, engine, "pid")))
        yield subjects, failed
