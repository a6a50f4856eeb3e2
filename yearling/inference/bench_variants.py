"""The engines and weight layouts that `yearling bench serve` compares, each in its own process.

Knows which engine reads which layout; `throughput.py` measures. Layouts other than the installed one are converted from it, or
fetched as published, into a separate library that keeps them for the next run.
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
"""More than any measurement needs. Without a limit, engines that reserve memory for whole contexts would seem larger than they
are.
"""

LAYOUTS: dict[str, Layout] = {"installed": "auto", "published": "keep", "q8_0": "q8_0", "q4_0": "q4_0", "bf16": "bf16"}

READABLE_LAYOUTS: dict[str, tuple[str, ...]] = {
    "llamacpp": ("installed", "published", "q8_0", "q4_0", "bf16"),
    "openvino": ("installed", "published", "q8_0", "q4_0"),
    # It computes with the same unpacked weights whatever the layout is.
    "torch": ("installed",),
}


@dataclass(frozen=True, slots=True)
class EngineVariant:
    """One line of the comparison: an engine with a weight layout."""

    kind: str
    model: LocalModel

    @property
    def label(self) -> str:
        """The name of the line, such as `llamacpp Q8_0`."""
        return self.kind if self.kind == "torch" else f"{self.kind} {self.model.quantisation}"


def list_engine_variants(
    library: ModelLibrary, variants: ModelLibrary, name: str, *, engines: Sequence[str], layouts: Sequence[str]
) -> list[EngineVariant]:
    """Every engine with every layout that it reads, without duplicates. Missing layouts are created, which may take a while.

    Raises BadInput for an unknown engine or layout, and what `ModelLibrary.get` and `ModelLibrary.pull` raise.
    """
    for requested, known, noun in ((engines, ENGINE_FACTORIES, "engine"), (layouts, LAYOUTS, "layout")):
        unknown = sorted(set(requested) - set(known))
        if unknown:
            raise BadInput(f"There is no {noun} {unknown[0]!r}.", advice=f"Choose from: {', '.join(known)}.", param=f"{noun}s")
    installed = library.get(name)
    models = {layout: _variant(variants, installed, layout) for layout in layouts}
    engine_variants: dict[tuple[str, str], EngineVariant] = {}
    for kind in ENGINE_FACTORIES:
        for layout, model in models.items():
            if kind in engines and layout in READABLE_LAYOUTS[kind]:
                engine_variants.setdefault((kind, model.quantisation), EngineVariant(kind, model))
    return list(engine_variants.values())


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
    variants: Sequence[EngineVariant], *, threads: int, max_sequences: int
) -> AsyncGenerator[tuple[list[BenchmarkedEngine], dict[str, UserError]], None]:
    """The running engines, and the error of each one that could not be opened, such as a missing extra."""
    async with AsyncExitStack() as stack:
        benchmarked: list[BenchmarkedEngine] = []
        errors: dict[str, UserError] = {}
        for variant in variants:
            try:
                engine = await open_engine(
                    variant.model,
                    kind=variant.kind,
                    threads=threads,
                    context_tokens=CONTEXT_TOKENS,
                    max_sequences=max_sequences,
                )
            except UserError as error:
                errors[variant.label] = error
            else:
                stack.push_async_callback(engine.close)
                benchmarked.append(BenchmarkedEngine(variant.label, engine, pid=partial(getattr, engine, "pid")))
        yield benchmarked, errors
