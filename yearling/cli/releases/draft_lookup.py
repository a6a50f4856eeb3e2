"""Find what a release is made of, by name: an installed model, an adapter, a training run, or a model at an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.config import Settings
from yearling.errors import NotFound, Untrusted

if TYPE_CHECKING:
    from yearling.models import AdapterLibrary, PublishedAdapter
    from yearling.store import Release, Store


def find_draft(
    settings: Settings, store: Store, name: str, *, created_by: str, title: str = "", parent: int | None = None
) -> Release:
    """A draft of a release of `name`. All of its files are hashed.

    `name` is an installed model, a published adapter, a training run whose newest adapter is meant, or `ENDPOINT/MODEL`. Raises
    NotFound, Untrusted if a file was changed after it was installed.
    """
    from yearling.models import AdapterLibrary, ModelLibrary
    from yearling.release import find_lineage, new_draft

    library, adapters = ModelLibrary(settings.models_dir), AdapterLibrary(settings.adapters_dir)
    draft = partial(new_draft, data_dir=settings.data_dir, created_by=created_by, title=title, parent=parent)
    if name in library.names():
        model = library.verify(name)
        return draft(kind="model", model=name, model_hash=model.sha256, files=_files(model.folder, model.files))
    endpoint = next((known for known in settings.all_endpoints if name.startswith(f"{known.name}/")), None)
    if endpoint is not None:
        served = name.removeprefix(f"{endpoint.name}/")
        return draft(kind="endpoint", model=served, model_hash="", files={}, endpoint_url=endpoint.url)
    adapter = adapters.verify(_find_adapter(adapters, name).sha256)
    base = library.verify(name.rpartition("+")[0] or adapter.base)
    if not adapter.fits(base):
        raise Untrusted(
            f"The adapter {adapter.sha256[:12]} was trained on other weights than those of {base.name}.",
            advice="`yearling model adapters` shows the models that an adapter fits.",
        )
    return draft(
        kind="adapter",
        model=adapter.served_name(base.name),
        model_hash=adapter.sha256,
        files={**_files(base.folder, base.files), **_files(adapter.folder, adapter.files)},
        base_model=base.name,
        lineage=find_lineage(store, adapter.run),
    )


def _find_adapter(adapters: AdapterLibrary, name: str) -> PublishedAdapter:
    """The adapter of this name, or the newest one of the run of this name."""
    of_run = [adapter for adapter in adapters.list() if name and adapter.run == name]
    if of_run:
        return max(of_run, key=lambda adapter: (adapter.step, adapter.created_utc))
    try:
        return adapters.get(name)
    except NotFound:
        raise NotFound(
            f"There is no model, adapter or training run {name!r}.",
            advice="`yearling model list` and `yearling model adapters` show what is installed. A model of another server is "
            "named ENDPOINT/MODEL.",
            param="name",
        ) from None


def _files(folder: Path, hashes: Mapping[str, str]) -> dict[Path, str]:
    return {folder / name: sha256 for name, sha256 in hashes.items()}
