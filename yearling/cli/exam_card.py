"""`yearling exam card`: the system card of a model.

The training runs behind the model are traced through adapters, merged models and base models.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out
from yearling.cli.options import DATA_DIR
from yearling.cli.output_file import write_lines
from yearling.config import load_settings
from yearling.errors import NotFound, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from yearling.evals import ModelCard, TrainingHistory
    from yearling.models import AdapterLibrary, LocalModel, ModelLibrary, PublishedAdapter
    from yearling.store import Store, TrainingRunStore

_PUBLISHED_SOURCES = ("pypi:", "hf:", "https:")


def card(
    model: str | None = typer.Argument(
        None, help="Name of a model, or of an adapter on a model (`MODEL+DIGITS`); default: the setting `model`."
    ),
    html: Path | None = typer.Option(
        None, "--html", help="File for a self-contained HTML page, which is written instead of Markdown to standard output."
    ),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Print the system card of a model: origin, training data (counts only), all exam results, worst answers and limits."""
    from yearling.evals import render_model_card_markdown, render_model_card_page
    from yearling.models import AdapterLibrary, ModelLibrary
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    library, adapters = ModelLibrary(settings.models_dir), AdapterLibrary(settings.adapters_dir)
    name = model or settings.model
    local = library.get(name.partition("+")[0])
    adapter = adapters.get(name) if "+" in name else None
    with Store.open(settings) as store:
        model_card, _ = describe_model(store, library, adapters, local, adapter)
    if html is None:
        out.print(render_model_card_markdown(model_card), markup=False, highlight=False, soft_wrap=True)
        return
    write_lines(html, [render_model_card_page(model_card).encode()])
    err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)


def describe_model(
    store: Store, library: ModelLibrary, adapters: AdapterLibrary, local: LocalModel, adapter: PublishedAdapter | None
) -> tuple[ModelCard, TrainingHistory]:
    """The system card of a model, or of an adapter on it, and the training runs behind it."""
    from yearling.evals import build_model_card

    training = find_training_lineage(local, adapter, library.list(), adapters.get, store.runs)
    card = build_model_card(
        store,
        adapter.served_name(local.name) if adapter else local.name,
        local.sha256 + (f"+{adapter.sha256}" if adapter else ""),
        facts=_model_facts(local, adapter),
        training=training,
    )
    return card, training


def find_training_lineage(
    model: LocalModel,
    adapter: PublishedAdapter | None,
    installed: Iterable[LocalModel],
    adapter_of: Callable[[str], PublishedAdapter],
    runs: TrainingRunStore,
) -> TrainingHistory:
    """The training runs behind a model, those that it continues included.

    `installed` are the known models; `adapter_of` returns an adapter by name or hash and may raise NotFound or Untrusted. The
    history is incomplete if some weights or adapters are unknown.
    """
    from yearling.evals import TrainingHistory

    by_hash = {candidate.sha256: candidate for candidate in installed}
    steps: dict[str, int] = {}
    unknown: list[str] = []

    def trace_weights(sha256: str) -> None:
        if (local := by_hash.get(sha256)) is None:
            unknown.append(sha256)
            return
        kind, _, rest = local.source.partition(":")
        if kind == "merge":
            base, _, merged = rest.partition("+")
            trace_weights(base)
            trace_adapter(merged)
        elif kind == "run":
            run_id, _, step = rest.partition("+")[0].rpartition("@")
            trace_run(run_id, int(step))
        elif not local.source.startswith(_PUBLISHED_SOURCES):
            unknown.append(sha256)

    def trace_adapter(name: str) -> None:
        try:
            published = adapter_of(name)
        except (NotFound, Untrusted):
            unknown.append(name)
            return
        if published.run:
            trace_run(published.run, published.step)
        else:
            unknown.append(name)

    def trace_run(run_id: str, step: int) -> None:
        if run_id in steps:
            steps[run_id] = max(step, steps[run_id])
            return
        steps[run_id] = step
        try:
            run = runs.get(run_id)
        except (NotFound, Untrusted):
            return  # the card looks the run up again and reports the error
        trace_weights(run.base_sha256)
        if earlier_adapter := run.facts.get("setup", {}).get("adapter"):
            trace_adapter(earlier_adapter)

    trace_weights(model.sha256)
    if adapter is not None:
        trace_adapter(adapter.sha256)
    return TrainingHistory(steps, is_complete=not unknown)


def _model_facts(local: LocalModel, adapter: PublishedAdapter | None) -> dict[str, str]:
    """The facts of a model for its card. The path of a local file is left out, since it may contain a person's name."""
    facts = {
        "Architecture": f"{local.architecture}, {local.parameters:,} parameters, context {local.context_tokens:,} tokens",
        "Source": local.source if not local.source.startswith("file:") else "a local file of the owner",
        "SHA-256 of the source": local.source_sha256,
        "Licence": local.licence,
        "Served as": f"{local.format}, {local.quantisation}, {format_size(local.size_bytes)}",
    }
    if adapter is not None:
        facts["Adapter"] = f"LoRA, rank {adapter.rank}, {adapter.num_parameters:,} parameters"
    return facts
