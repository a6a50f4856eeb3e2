"""Views of models, pulls and endpoints as JSON."""

from __future__ import annotations

from dataclasses import asdict

import psutil

from yearling.api.http.json_response import JsonObject
from yearling.api.model_library.pulls import ModelPull
from yearling.api.services import ApiEnginePool, Services
from yearling.config import REMOTE_ENDPOINT
from yearling.files.disk import free_bytes, nearest_existing
from yearling.inference import ENDPOINT_PRESETS, EndpointCheck, EndpointStatus, ListedModel
from yearling.models import CatalogueEntry, LocalModel, ModelLibrary, about_memory_bytes, known_models

_NO_FACTS: JsonObject = {
    "purpose": "",
    "endpoint": None,
    "licence": "",
    "terms_url": "",
    "homepage": "",
    "source": "",
    "parameters": None,
    "context_tokens": None,
    "quantisation": "",
    "size_bytes": None,
    "size_is_estimate": False,
    "memory_bytes": None,
    "fits_memory": None,
    "problem": "",
}


def library_view(library: ModelLibrary, services: Services) -> JsonObject:
    """A `ModelLibraryView`. Reads the models' manifests, each once."""
    pool, releases = services.pool, services.releases
    default = pool.default()
    installed, damaged = library.scan()
    rows = [_installed_row(model) for model in installed]
    rows += [_row(name, name, "damaged", problem=str(error)) for name, error in damaged.items()]
    by_name = {model.name: model for model in installed}
    for listed in pool.models(installed):
        if listed.name not in by_name and listed.name not in damaged:
            weights = by_name.get(listed.weights or "")
            facts = _local_facts(weights) if weights else {}
            state = "installed" if weights else "served"
            rows.append(_row(listed.name, listed.title, state, can_be_default=True, **facts, endpoint=listed.endpoint))
    present = {row["name"] for row in rows}
    rows += [_available_row(entry) for entry in known_models().values() if entry.name not in present]
    for row in rows:
        row["is_default"] = row["name"] == default
        listed = ListedModel(name=row["name"], title=row["title"], owned_by="", created_unix_s=0, endpoint=row["endpoint"])
        row |= asdict(services.mark_model(listed))
        if row["memory_bytes"] is not None:
            row["fits_memory"] = row["memory_bytes"] <= psutil.virtual_memory().total
    return {
        "object": "list",
        "data": rows,
        "default": default,
        "memory_bytes": psutil.virtual_memory().total,
        "free_disk_bytes": free_bytes(nearest_existing(library.models_dir)),
        "release_problem": " ".join([*releases.problems(), releases.metadata_problem()]).strip() if releases else "",
    }


def pull_view(pull: ModelPull) -> JsonObject:
    """A `PullView`."""
    return {"object": "model_pull", **asdict(pull)}


def endpoint_list_view(pool: ApiEnginePool) -> JsonObject:
    """An `EndpointList`."""
    presets = [asdict(preset) for preset in ENDPOINT_PRESETS]
    return {"object": "list", "data": [endpoint_view(status) for status in pool.endpoints()], "presets": presets}


def endpoint_view(status: EndpointStatus) -> JsonObject:
    """An `EndpointView`."""
    return {
        "object": "endpoint",
        "name": status.settings.name,
        "url": status.settings.url,
        "has_api_key": bool(status.settings.api_key.get_secret_value()),
        "is_removable": status.settings.name != REMOTE_ENDPOINT,
        "state": "failing" if status.problem else "working" if status.checked else "checking",
        "models": list(status.models),
        "problem": status.problem,
    }


def endpoint_test_view(check: EndpointCheck) -> JsonObject:
    """An `EndpointTestResult`."""
    return {"object": "endpoint_test", "ok": not check.problem, **asdict(check)}


def _row(name: str, title: str, state: str, *, can_be_default: bool = False, **facts: object) -> JsonObject:
    return {"name": name, "title": title, "state": state, "can_be_default": can_be_default, **_NO_FACTS, **facts}


def _installed_row(model: LocalModel) -> JsonObject:
    entry = known_models().get(model.name)
    title = entry.title if entry else model.name
    can_be_default = model.kind == "chat" and not model.problem
    return _row(model.name, title, "installed", can_be_default=can_be_default, problem=model.problem, **_local_facts(model))


def _local_facts(model: LocalModel) -> JsonObject:
    entry = known_models().get(model.name)
    return {
        "purpose": entry.purpose if entry else "",
        "licence": model.licence,
        "homepage": entry.homepage if entry else "",
        "source": model.source,
        "parameters": model.parameters or None,
        "context_tokens": model.context_tokens or None,
        "quantisation": model.quantisation,
        "size_bytes": model.size_bytes,
        "memory_bytes": about_memory_bytes(model.size_bytes),
    }


def _available_row(entry: CatalogueEntry) -> JsonObject:
    return _row(
        entry.name,
        entry.title,
        "available",
        purpose=entry.purpose,
        licence=entry.licence,
        terms_url=entry.terms_url,
        homepage=entry.homepage,
        source=entry.source,
        parameters=entry.parameters,
        context_tokens=entry.context_tokens,
        size_bytes=entry.about_size_bytes,
        size_is_estimate=entry.size_bytes is None,
        memory_bytes=about_memory_bytes(entry.about_size_bytes),
    )
