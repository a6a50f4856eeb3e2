"""`yearling exam card`: the system card of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out
from yearling.cli.options import DATA_DIR
from yearling.cli.output_file import write_lines
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.evals import ModelCard, TrainingHistory
    from yearling.models import AdapterLibrary, LocalModel, ModelLibrary, PublishedAdapter
    from yearling.store import Store


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
    from yearling.loop import find_training_history

    training = find_training_history(local, adapter, library.list(), adapters.get, store.runs)
    card = build_model_card(
        store,
        adapter.served_name(local.name) if adapter else local.name,
        local.sha256 + (f"+{adapter.sha256}" if adapter else ""),
        facts=_model_facts(local, adapter),
        training=training,
    )
    return card, training


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
