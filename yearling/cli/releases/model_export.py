"""`yearling model export` and `verify-export`: a model with system card, ML-BOM and signature, and the check of them."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json
from yearling.cli.exam_card import describe_model
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.config import load_settings
from yearling.errors import BadInput, Conflict

if TYPE_CHECKING:
    from yearling.models import AdapterLibrary, ExportDescription, ExportedBase, LocalModel, ModelLibrary, PublishedAdapter
    from yearling.store import Store

SYSTEM_CARD_FILENAME = "system-card.md"


def export_model(
    model: str | None = typer.Argument(
        None, help="Name of a model, or of an adapter on a model (`MODEL+DIGITS`); default: the setting `model`."
    ),
    folder: Path | None = typer.Option(None, "--to", help="New folder to write; default: the name of the model."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Export a model for others: its files unchanged, a system card, an ML-BOM (CycloneDX 1.6) and a signature (OpenSSF).

    The signature is by a key of this installation. Give its fingerprint to those who get the files by another way."""
    from yearling.files.disk import require_space, translate_disk_errors
    from yearling.files.folders import publish_directory, staging_directory
    from yearling.models import (
        AdapterLibrary,
        ModelLibrary,
        attest_export,
        key_fingerprint,
        load_or_create_export_key,
        public_export_key,
        require_attestation_packages,
    )
    from yearling.store import Store

    require_attestation_packages()
    settings = load_settings(data_dir=data_dir)
    library, adapters = ModelLibrary(settings.models_dir), AdapterLibrary(settings.adapters_dir)
    name = model or settings.model
    local = library.verify(name.partition("+")[0])
    adapter = adapters.verify(adapters.get(name).sha256) if "+" in name else None
    target = folder or Path(adapter.served_name(local.name) if adapter else local.name)
    if target.exists():
        raise Conflict(f"{target} exists already.", advice="Name a new folder with `--to`.")
    source = adapter.folder if adapter else local.folder
    paths = [source / file for file in (adapter.files if adapter else local.files)]
    if any("/" in str(path.relative_to(source)) for path in paths):
        raise BadInput(f"The files of {local.name} lie in several folders.", advice="Import the model again as one flat folder.")
    size_bytes = sum(path.stat().st_size for path in paths)
    with Store.open(settings) as store:
        card, description = _describe(store, library, adapters, local, adapter)
        key, is_new = load_or_create_export_key(settings.data_dir / "export_keys")
        fingerprint = key_fingerprint(public_export_key(key))
        owner = store.people.owner().id
        if is_new:
            store.audit.append(owner, "export_key.create", fingerprint)
        with translate_disk_errors(target, size_bytes), staging_directory(target.absolute().parent) as staging:
            require_space(staging, size_bytes)
            for path in paths:
                shutil.copyfile(path, staging / path.name)
            (staging / SYSTEM_CARD_FILENAME).write_text(card, encoding="utf-8")
            attest_export(staging, description, key)
            publish_directory(staging, target.absolute())
        store.audit.append(owner, "model.export", description.model_hash, {"model": description.name, "key": fingerprint})
    if as_json:
        print_json({"path": str(target), "model": description.name, "model_hash": description.model_hash, "key": fingerprint})
        return
    out.print(f"Wrote {target}: {description.name}, with system card, ML-BOM and signature.", highlight=False, soft_wrap=True)
    out.print(f"Key fingerprint {fingerprint}", highlight=False, soft_wrap=True)
    err.print(f"Check it anywhere with `yearling model verify-export {target}`.", highlight=False, soft_wrap=True)


def verify_exported_model(
    folder: Path = typer.Argument(help="Folder that `yearling model export` wrote, on this or another installation."),
    key: Path | None = typer.Option(
        None, "--key", help="Public key that you got from its owner; default: the key that came with the files."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Check the signature and the ML-BOM of an exported model. Exit code 1 if anything was changed. Needs no data folder."""
    from yearling.models import verify_export

    result = verify_export(folder, public_key=key)
    if as_json:
        print_json({"ok": result.ok, **asdict(result)})
    elif result.ok:
        out.print(
            f"{result.name}: {result.num_files} files are as they were signed. Weights {result.model_hash}",
            highlight=False,
            soft_wrap=True,
        )
        out.print(f"Key fingerprint {result.key_fingerprint}", highlight=False, soft_wrap=True)
        if result.is_key_from_export:
            err.print("The key came with the files: compare its fingerprint with the one that the owner tells you.")
    else:
        for fault in result.faults:
            err.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if result.ok else 1)


def _describe(
    store: Store, library: ModelLibrary, adapters: AdapterLibrary, local: LocalModel, adapter: PublishedAdapter | None
) -> tuple[str, ExportDescription]:
    """The system card as Markdown, and what the ML-BOM says."""
    from yearling.evals import render_model_card_markdown
    from yearling.models import ExportDescription, ExportedBase, ExportedExamResult

    card, training = describe_model(store, library, adapters, local, adapter)
    exams = [
        ExportedExamResult(
            exam=f"{run.exam} ({run.subject})",
            metric=metric["name"],
            value=metric["value"],
            low=metric["low"],
            high=metric["high"],
            n=metric["n"],
        )
        for run in card.runs
        for metric in run.summary["measures"]
    ]
    bases = [ExportedBase(name=local.name, sha256=local.sha256, licence=local.licence)] if adapter else _bases(library, local)
    description = ExportDescription(
        name=card.model,
        model_hash=adapter.sha256 if adapter else local.sha256,
        architecture=local.architecture,
        parameters=adapter.num_parameters if adapter else local.parameters,
        licence=local.licence,
        source=card.facts["Source"] if not adapter else f"adapter on {local.name}",
        bases=bases,
        training_counts=card.training_counts,
        is_training_complete=training.is_complete,
        exams=exams,
        limits=card.limits,
    )
    return render_model_card_markdown(card), description


def _bases(library: ModelLibrary, local: LocalModel) -> list[ExportedBase]:
    """The model that a merged or trained model was made from, if its source names it and it is installed."""
    from yearling.models import ExportedBase

    kind, _, rest = local.source.partition(":")
    sha256 = rest.partition("+")[0] if kind == "merge" else rest.partition("+")[2] if kind == "run" else ""
    known = {candidate.sha256: candidate for candidate in library.list()}
    base = known.get(sha256)
    return [ExportedBase(name=base.name, sha256=base.sha256, licence=base.licence)] if base else []
