"""An API over scripted engines and a store in a temporary folder, entered through the application or through a real socket."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.api.live import KEY
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeChatTemplate, FakeEngine, fake_served_model
from yearling.models import LocalModel
from yearling.records import Sample
from yearling.store import Store

BASE = "http://127.0.0.1"


@dataclass
class Bench:
    """One application and what it stands on. `engine` is that of the default model `fake-model`."""

    settings: Settings
    store: Store
    engine: FakeEngine
    app: Any
    client: httpx.AsyncClient

    async def chat(self, content: Any = "Hello", **fields: Any) -> httpx.Response:
        messages = fields.pop("messages", [{"role": "user", "content": content}])
        return await self.client.post("/v1/chat/completions", json={"model": "fake-model", "messages": messages, **fields})

    def samples(self) -> list[Sample]:
        """All that is stored, oldest first."""
        return self.store.samples.list(self.store.people.owner().id)[::-1]


@dataclass
class Maker:
    """Makes benches; the store of each lies in a folder of its own."""

    folder: Path
    empty: Path | None = None
    """A data folder as a first start leaves it, copied for each bench: making the schema takes longer than most tests."""
    stores: list[Store] = field(default_factory=list)

    @asynccontextmanager
    async def __call__(
        self,
        engine: FakeEngine | None = None,
        *,
        template: FakeChatTemplate | None = None,
        store: Any = None,
        headers: dict[str, str] | None = None,
        **settings: Any,
    ) -> AsyncGenerator[Bench, None]:
        engine = engine or FakeEngine()
        # Comparisons are offered by chance, which is no good in tests.
        chosen = Settings(data_dir=self.folder / str(len(self.stores)), **{"comparison_rate": 0.0, **settings})
        if self.empty is not None and not chosen.database_url:
            shutil.copytree(self.empty, chosen.data_dir)
        opened = Store.open(chosen)
        self.stores.append(opened)
        pool = EnginePool.from_open_models(
            [fake_served_model("fake-model", engine, template=template), fake_served_model("other/model", FakeEngine(["Other."]))]
        )
        app = create_app(chosen, store(opened) if store else opened, pool)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
                yield Bench(chosen, opened, engine, app, client)


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which nothing was ever done."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    Store.open(Settings(data_dir=folder)).close()
    return folder


@pytest.fixture
def bench(tmp_path: Path, empty_folder: Path) -> Iterator[Maker]:
    maker = Maker(tmp_path, empty_folder)
    yield maker
    for store in maker.stores:
        store.close()


@asynccontextmanager
async def on_a_socket(app: Any) -> AsyncGenerator[str, None]:
    """The application behind a real uvicorn on a free port of loopback; yields its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else small writes wait for each other
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # who connects before the server is up waits
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", http="httptools", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture(scope="session")
def served(default_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running server, ending in /v1."""
    data = tmp_path_factory.mktemp("served")
    log = (data / "log").open("w")
    command = [sys.executable, "-m", "tests.api.real_server", str(data / "data"), str(default_model.folder.parent), KEY]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=Path(__file__).parents[2])
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        watchdog.cancel()
        assert address, (data / "log").read_text()
        yield f"{address}/v1"
    finally:
        watchdog.cancel()
        process.terminate()
        assert process.wait(60) == 0, "a stop signal ends the server cleanly"
        log.close()
