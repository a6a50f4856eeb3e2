"""The API over scripted engines and a store in a temporary folder, in process or through a real socket."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.api.live import KEY
from tests.api.openapi_responses import check_response
from tests.loop_watchdog import WATCHDOG, LoopWatchdog, expected_to_burn
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeChatTemplate, FakeEmbedder, FakeEngine, fake_served_model
from yearling.models import LocalModel
from yearling.records import Sample
from yearling.store import Store

BASE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def watched_loops() -> Iterator[LoopWatchdog]:
    with WATCHDOG.watching():
        yield WATCHDOG


@pytest.fixture(autouse=True)
def no_callback_burns(
    request: pytest.FixtureRequest, watched_loops: LoopWatchdog, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    """Fail each test of a server that keeps its event loop busy, but those that tests/loop_watchdog.py lists."""
    watched_loops.burns.clear()
    watched_loops.longest_stall_s = 0
    yield
    record_property("longest_stall_s", round(watched_loops.longest_stall_s, 3))
    burns = [burn for burn in watched_loops.burns if not expected_to_burn(request.node.nodeid)]
    assert not burns, "\n".join(map(str, burns))


@dataclass
class RunningApi:
    """A running application and its parts. `engine` is the engine of the default model `fake-model`."""

    settings: Settings
    store: Store
    engine: FakeEngine
    app: Any
    client: httpx.AsyncClient

    async def chat(self, content: Any = "Hello", **fields: Any) -> httpx.Response:
        messages = fields.pop("messages", [{"role": "user", "content": content}])
        return await self.client.post("/v1/chat/completions", json={"model": "fake-model", "messages": messages, **fields})

    def samples(self) -> list[Sample]:
        """All stored samples of the owner, oldest first."""
        return self.store.samples.list(self.store.people.owner().id)[::-1]


@dataclass
class ApiFactory:
    """Starts applications, each with a store in its own folder."""

    folder: Path
    template_dir: Path | None = None
    """A data folder after the first start, copied for each application: creating the schema takes longer than most tests."""
    stores: list[Store] = field(default_factory=list)

    @asynccontextmanager
    async def __call__(
        self,
        engine: FakeEngine | None = None,
        *,
        template: FakeChatTemplate | None = None,
        store: Any = None,
        headers: dict[str, str] | None = None,
        embedder: FakeEmbedder | None = None,
        **settings: Any,
    ) -> AsyncGenerator[RunningApi, None]:
        engine = engine or FakeEngine()
        # Comparisons are offered at random; tests must be deterministic.
        api_settings = Settings(data_dir=self.folder / str(len(self.stores)), **{"comparison_rate": 0.0, **settings})
        if self.template_dir is not None and not api_settings.database_url:
            shutil.copytree(self.template_dir, api_settings.data_dir)
        opened_store = Store.open(api_settings)
        self.stores.append(opened_store)
        pool = EnginePool.from_open_models(
            [
                fake_served_model("fake-model", engine, template=template),
                fake_served_model("other/model", FakeEngine(["Other."])),
            ],
            embedder=embedder,
        )
        app = create_app(api_settings, store(opened_store) if store else opened_store, pool)
        WATCHDOG.restart_callback()
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            hooks = {"response": [check_response]}
            async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, event_hooks=hooks) as client:
                yield RunningApi(api_settings, opened_store, engine, app, client)


@pytest.fixture(scope="session")
def fresh_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty store."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    Store.open(Settings(data_dir=folder)).close()
    return folder


@pytest.fixture
def start_api(tmp_path: Path, fresh_data_dir: Path) -> Iterator[ApiFactory]:
    maker = ApiFactory(tmp_path, fresh_data_dir)
    yield maker
    for store in maker.stores:
        store.close()


@asynccontextmanager
async def on_a_socket(app: Any) -> AsyncGenerator[str, None]:
    """Serve the application with uvicorn on a free loopback port; yields its address."""
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # otherwise Nagle's algorithm delays small writes
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # early connections wait until the server is up
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
    """The base URL of a running server with the real model, ending in /v1."""
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
