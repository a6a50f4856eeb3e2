"""Draft releases of models that are installed here or served by an endpoint. Hashes files, so call it from a worker thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yearling
from yearling.config import Settings
from yearling.files.reading import hash_file
from yearling.inference import list_model_files
from yearling.models import AdapterLibrary, ModelLibrary, PublishedAdapter
from yearling.store import Release, ReleasedFile, new_release


def draft_release(
    settings: Settings,
    name: str,
    *,
    created_by: str,
    title: str,
    library: ModelLibrary | None = None,
    endpoint_url: str = "",
    parent: int | None = None,
) -> Release:
    """A release of what is served under `name` now: a local model, an adapter on one, or, with `endpoint_url`, a remote model.

    It names every file that an engine loads with its hash. Raises NotFound if there is no such model, Untrusted if its folder is
    damaged.
    """
    fields: dict[str, Any] = {
        "created_by": created_by,
        "title": title,
        "model": name,
        "parent": parent,
        "program_version": yearling.__version__,
    }
    if endpoint_url:
        return new_release(kind="endpoint", model_hash="", endpoint_url=endpoint_url, **fields)
    library = library or ModelLibrary(settings.models_dir)
    base_name, plus, digits = name.rpartition("+")
    if not plus or base_name not in library.names():
        model = library.get(name)
        files = _hash_files(settings.data_dir, list_model_files(model.folder))
        return new_release(kind="model", model_hash=model.sha256, files=files, **fields)
    base, adapter = library.get(base_name), _find_adapter(settings, digits)
    files = _hash_files(settings.data_dir, [adapter.weights, *list_model_files(base.folder)])
    return new_release(kind="adapter", model_hash=adapter.sha256, base_model=base.name, run_id=adapter.run, files=files, **fields)


def content_hash(settings: Settings, name: str, library: ModelLibrary) -> str:
    """The `model_hash` that a release of an installed model or adapter has; empty for a model that is not installed."""
    base_name, plus, digits = name.rpartition("+")
    if plus and base_name in library.names():
        return _find_adapter(settings, digits).sha256
    return library.get(name).sha256 if name in library.names() else ""


def _find_adapter(settings: Settings, digits: str) -> PublishedAdapter:
    return AdapterLibrary(settings.adapters_dir).get(digits)


def _hash_files(data_dir: Path, paths: list[Path]) -> tuple[ReleasedFile, ...]:
    return tuple(
        ReleasedFile(path=_released_path(data_dir, path), sha256=hash_file(path), size_bytes=path.stat().st_size)
        for path in paths
    )


def _released_path(data_dir: Path, path: Path) -> str:
    """The path of a file as a release states it: relative to the data folder, so that the folder can be moved."""
    resolved, folder = path.resolve(), data_dir.resolve()
    return resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else resolved.as_posix()
