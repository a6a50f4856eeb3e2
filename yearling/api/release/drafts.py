"""Draft releases of models that are installed here or served by an endpoint. Hashes files, so call it from a worker thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yearling.config import Settings
from yearling.files.reading import hash_file
from yearling.inference import list_model_files
from yearling.models import AdapterLibrary, ModelLibrary, model_title
from yearling.release import find_lineage, new_draft
from yearling.store import Release, Store


def draft_release(
    settings: Settings, store: Store, name: str, *, created_by: str, endpoint_url: str = "", parent: int | None = None
) -> Release:
    """A draft of what is served under `name` now: a local model, an adapter on one, or, with `endpoint_url`, a remote model.

    It names every file that an engine loads with its hash. Raises NotFound if there is no such model, Untrusted if its folder is
    damaged, BadInput if it lies outside the data folder.
    """
    data_dir = settings.data_dir
    if endpoint_url:
        return new_draft(
            kind="endpoint",
            model=name,
            model_hash="",
            files={},
            data_dir=data_dir,
            created_by=created_by,
            endpoint_url=endpoint_url,
            parent=parent,
        )
    library = ModelLibrary(settings.models_dir)
    base_name, plus, digits = name.rpartition("+")
    if not plus or base_name not in library.names():
        model = library.get(name)
        return new_draft(
            kind="model",
            model=name,
            model_hash=model.sha256,
            files=_hash_files(list_model_files(model.folder)),
            data_dir=data_dir,
            created_by=created_by,
            title=model_title(name),
            parent=parent,
        )
    base, adapter = library.get(base_name), AdapterLibrary(settings.adapters_dir).get(digits)
    return new_draft(
        kind="adapter",
        model=name,
        model_hash=adapter.sha256,
        files=_hash_files([adapter.weights, *list_model_files(base.folder)]),
        data_dir=data_dir,
        created_by=created_by,
        base_model=base.name,
        lineage=find_lineage(store, adapter.run),
        parent=parent,
    )


def _hash_files(paths: Sequence[Path]) -> dict[Path, str]:
    return {path: hash_file(path) for path in paths}
