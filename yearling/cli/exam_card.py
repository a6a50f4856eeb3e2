"""`yearling exam card`: the system card of a model, with the runs behind it found through adapters, merges and bases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out
from yearling.cli.output_file import write_lines
from yearling.config import load_settings
from yearling.errors import NotFound, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from yearling.evals import TrainingHistory
    from yearling.models import LocalModel, PublishedAdapter
    from yearling.store import TrainingRunStore

_PUBLISHED_SOURCES = ("pypi:", "hf:", "https:")


def card(
    model: str | None = typer.Argument(
        None, help="A model, or an adapter on one (`model+digits`); by default the one that answers."
    ),
    html: Path | None = typer.Option(
        None, "--html", help="Write a page of its own to this file instead of Markdown to the screen."
    ),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and results live."),
) -> None:
    """Write the system card of a model: what it is, what it learnt from (counts only), every exam, the worst answers, limits."""
    from yearling.evals import build_model_card, render_model_card_markdown, render_model_card_page
    from yearling.models import AdapterLibrary, ModelLibrary
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    library, adapters = ModelLibrary(settings.models_dir), AdapterLibrary(settings.adapters_dir)
    name = model or settings.model
    local = library.get(name.partition("+")[0])
    adapter = adapters.get(name) if "+" in name else None
    with Store.open(settings) as store:
        found = build_model_card(
            store,
            adapter.served_name(local.name) if adapter else local.name,
            local.sha256 + (f"+{adapter.sha256}" if adapter else ""),
            facts=_model_facts(local, adapter),
            training=find_training_lineage(local, adapter, library.list(), adapters.get, store.runs),
        )
    if html is None:
        out.print(render_model_card_markdown(found), markup=False, highlight=False, soft_wrap=True)
        return
    write_lines(html, [render_model_card_page(found).encode()])
    err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)


def find_training_lineage(
    model: LocalModel,
    adapter: PublishedAdapter | None,
    installed: Iterable[LocalModel],
    adapter_of: Callable[[str], PublishedAdapter],
    runs: TrainingRunStore,
) -> TrainingHistory:
    """The runs behind a model, and behind what they went on from. `adapter_of` raises NotFound or Untrusted."""
    from yearling.evals import TrainingHistory

    by_hash = {one.sha256: one for one in installed}
    steps: dict[str, int] = {}
    unknown: list[str] = []

    def of_weights(sha256: str) -> None:
        if (known := by_hash.get(sha256)) is None:
            unknown.append(sha256)
            return
        kind, _, rest = known.source.partition(":")
        if kind == "merge":
            base, _, merged = rest.partition("+")
            of_weights(base)
            of_adapter(merged)
        elif kind == "run":
            run_id, _, step = rest.partition("+")[0].rpartition("@")
            of_run(run_id, int(step))
        elif not known.source.startswith(_PUBLISHED_SOURCES):
            unknown.append(sha256)

    def of_adapter(name: str) -> None:
        try:
            published = adapter_of(name)
        except (NotFound, Untrusted):
            unknown.append(name)
            return
        if published.run:
            of_run(published.run, published.step)
        else:
            unknown.append(name)

    def of_run(run_id: str, step: int) -> None:
        if run_id in steps:
            steps[run_id] = max(step, steps[run_id])
            return
        steps[run_id] = step
        try:
            run = runs.get(run_id)
        except (NotFound, Untrusted):
            return  # the card finds that out again, and says so
        of_weights(run.base_sha256)
        if earlier := run.facts.get("setup", {}).get("adapter"):
            of_adapter(earlier)

    of_weights(model.sha256)
    if adapter is not None:
        of_adapter(adapter.sha256)
    return TrainingHistory(steps, is_complete=not unknown)


def _model_facts(local: LocalModel, adapter: PublishedAdapter | None) -> dict[str, str]:
    """Where a file of the owner's came from stays with the owner: a path may hold a name."""
    facts = {
        "Architecture": f"{local.architecture}, {local.parameters:,} parameters, context {local.context_tokens:,} tokens",
        "Source": local.source if not local.source.startswith("file:") else "a file of the owner's",
        "SHA-256 of the source": local.source_sha256,
        "Licence": local.licence,
        "Served as": f"{local.format}, {local.quantisation}, {format_size(local.size_bytes)}",
    }
    if adapter is not None:
        facts["Adapter"] = f"LoRA, rank {adapter.rank}, {adapter.num_parameters:,} parameters"
    return facts
