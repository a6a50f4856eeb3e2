"""What a list of models costs, and that it names the endpoint of each model."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import BASE
from tests.inference.test_remote import Answer, serving
from tests.models.artefacts import tiny_gguf
from yearling.api.app import create_app
from yearling.config import EndpointSettings, Settings
from yearling.inference import EnginePool
from yearling.models import LocalModel, ModelLibrary, model_library
from yearling.models.local_model import read_manifest
from yearling.store import Store

INSTALLED = ("one", "three", "two")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of an installation with three models."""
    settings = Settings(data_dir=tmp_path / "data", model="one")
    for name in INSTALLED:
        ModelLibrary(settings.models_dir).import_path(tiny_gguf(tmp_path / f"{name}.gguf"), name=name)
    return settings


@asynccontextmanager
async def client_of(settings: Settings, pool: EnginePool) -> AsyncGenerator[httpx.AsyncClient, None]:
    store = Store.open(settings)
    app = create_app(settings, store, pool)
    async with app.router.lifespan_context(app):
        yield httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)
    await pool.close()
    store.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/models", 200), ("/v1/models/two", 200), ("/v1/models/four", 404), ("/v1/model-library", 200), ("/readyz", 503)],
)
async def test_each_manifest_is_read_once_and_off_the_event_loop(
    settings: Settings, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    threads = set()

    def counted(folder: Path) -> LocalModel:
        read[folder.name] += 1
        threads.add(threading.current_thread())
        return read_manifest(folder)

    async with client_of(settings, EnginePool(settings, ModelLibrary(settings.models_dir))) as client:
        monkeypatch.setattr(model_library, "read_manifest", counted)
        assert (await client.get(path)).status_code == status
    limit = 2 if path == "/readyz" else 1  # whether the server is ready, and why not
    assert read == dict.fromkeys(INSTALLED, limit)
    assert threading.current_thread() not in threads


async def test_each_row_has_the_endpoint_that_lists_the_model(settings: Settings) -> None:
    def listing(*names: str) -> Answer:
        return Answer(body=json.dumps({"data": [{"id": name} for name in names]}))

    async with serving(listing("one", "b/own", "both", "b/both")) as (a, _), serving(listing("both", "a/own")) as (b, _):
        endpoints = [EndpointSettings(name="a", url=a.url), EndpointSettings(name="b", url=b.url)]
        pool = EnginePool(settings, ModelLibrary(settings.models_dir))
        async with client_of(settings, pool) as client:
            await pool.set_endpoints(endpoints)
            rows = (await client.get("/v1/model-library")).json()["data"]
    found = {row["name"]: (row["state"], row["endpoint"]) for row in rows if row["state"] != "available"}
    assert found == {
        **dict.fromkeys(INSTALLED, ("installed", None)),
        **dict.fromkeys(("b/own", "both", "b/both"), ("served", "a")),
        **dict.fromkeys(("b/b/both", "a/own"), ("served", "b")),
    }
