"""Applications over small installed models, signed releases and fake engines, and the people who hold keys."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.api.conftest import BASE
from tests.api.openapi_responses import check_response
from tests.release.installed_models import install_model
from yearling.api import ReleaseService, create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, ListedModel, MayLoad, ServedModel, fake_served_model, list_model_files
from yearling.inference.guarding.file_check import FileCheck
from yearling.models.local_model import LocalModel
from yearling.records import Person, Sample
from yearling.release import Change, PendingChange, ReleaseAuthority, ReleaseDecision
from yearling.store import Store

PASSPHRASE = "correct horse battery staple"
MODELS = ("first", "second", "third")


class FilePool(EnginePool):
    """Fake engines whose models have files, which are checked whenever a model is asked for, as if it were opened each time."""

    models_dir: Path
    checks: FileCheck
    remote: dict[str, str]
    """Addresses of the models of endpoints."""
    broken: set[str]

    async def _find(self, name: str | None = None) -> ServedModel:
        served = await super()._find(name)
        folder = self.models_dir / served.name
        if folder.is_dir():
            await self.checks.check(list_model_files(folder))
        return served

    def endpoint_url(self, name: str) -> str:
        return self.remote.get(name, "")

    def models(self, installed: Sequence[LocalModel] | None = None) -> list[ListedModel]:
        endpoints = dict.fromkeys(self.remote, "remote")
        return [
            ListedModel(name=each.name, title=each.title, owned_by="x", created_unix_s=0, endpoint=endpoints.get(each.name))
            for each in super().models(installed)
        ]

    async def close_refused(self) -> None:
        self.checks.forget_refusals()


def open_pool(
    settings: Settings, engines: dict[str, FakeEngine], *, may_load: MayLoad, is_stopped: Callable[[str], str]
) -> FilePool:
    models = [fake_served_model(name, engine) for name, engine in engines.items()]
    pool = FilePool.from_open_models(models, default=settings.model, is_stopped=is_stopped)
    assert isinstance(pool, FilePool)
    pool.models_dir, pool.checks, pool.remote = settings.models_dir, FileCheck(may_load), {}
    return pool


@dataclass
class Site:
    """One data folder with installed models. `percent` is the share of people in the canary."""

    settings: Settings
    store: Store
    engines: dict[str, FakeEngine] = field(default_factory=dict)
    remote: dict[str, str] = field(default_factory=dict)
    percent: float = 100.0
    in_canary: Callable[[str, int, float], bool] = lambda person_id, release, percent: True

    def __post_init__(self) -> None:
        for name in MODELS:
            if not (self.settings.models_dir / name).exists():
                install_model(self.settings.models_dir, name)
            digest = hashlib.sha256(name.encode()).hexdigest()
            self.engines.setdefault(name, FakeEngine([f"I am {name}."], model_hash=digest))

    @property
    def owner(self) -> Person:
        return self.store.people.owner()

    def weights(self, name: str) -> Path:
        return self.settings.models_dir / name / "model.gguf"

    def authority(self) -> ReleaseAuthority:
        """Another process that uses the same folder."""
        return ReleaseAuthority(self.settings.data_dir / "release", self.store)

    def service(self, **fields: Any) -> ReleaseService:
        return ReleaseService(
            self.settings,
            canary_percent=lambda store, authority, state, events: self.percent,
            is_in_canary=lambda *args: self.in_canary(*args),
            **fields,
        )

    @asynccontextmanager
    async def serving(self, service: ReleaseService | None = None) -> AsyncGenerator[Serving, None]:
        """A server of this folder from its start to its end."""
        service = service or self.service()
        pool = open_pool(self.settings, self.engines, may_load=service.may_load, is_stopped=service.is_stopped)
        pool.remote = self.remote
        try:
            await service.start(self.store, pool)
            app = create_app(self.settings, self.store, pool, releases=service)
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                async with httpx.AsyncClient(
                    transport=transport, base_url=BASE, event_hooks={"response": [check_response]}
                ) as client:
                    yield Serving(self, service, pool, app, client)
        finally:
            await service.close()
            for engine in self.engines.values():
                engine.closed = False
            await pool.close()
            for engine in self.engines.values():
                engine.closed = False

    def release(self, name: str) -> int:
        """Store a release of an installed model."""
        from yearling.api import draft_release

        return self.store.releases.create(draft_release(self.settings, self.store, name, created_by=self.owner.id)).number

    def change(self, kind: Any, release: int | None = None, **fields: Any) -> PendingChange:
        """Propose a change as another process would; the one key-holder's is in force on return."""
        if kind == "promote":
            fields = {"decision": ReleaseDecision(override="tried"), **fields}
        return self.authority().propose(Change(kind=kind, release=release, **fields), actor=self.owner.id)

    def add_holder(self, name: str) -> Person:
        """A second key-holder: both have to sign from now on."""
        authority, person = self.authority(), self.store.people.add(name)
        (first,) = authority.state().holders
        authority.protect_key(first.key_id, passphrase=PASSPHRASE, actor=first.person_id)
        key = authority.create_key(person, passphrase=PASSPHRASE)
        pending = authority.propose(
            Change(kind="keys", add=(authority.holder_key(key.key_id),), threshold=2), actor=self.owner.id
        )
        for holder in (first, key):
            if not pending.is_published:
                pending = authority.sign_with_stored_key(pending.id, holder.key_id, passphrase=PASSPHRASE, actor=holder.person_id)
        assert pending.is_published
        return person


@dataclass
class Serving:
    """A running server."""

    site: Site
    service: ReleaseService
    pool: FilePool
    app: Any
    client: httpx.AsyncClient

    async def ask(self, **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": "Who are you?"}]
        return await self.client.post("/v1/chat/completions", json={"messages": messages, **fields})

    async def model_asked(self, **fields: Any) -> str:
        """The model that answers."""
        response = await self.ask(**fields)
        assert response.status_code == 200, response.text
        return str(response.json()["model"])

    async def eventually(self, check: Callable[[], bool], timeout_s: float = 5.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not check():
            assert time.monotonic() < deadline_s, "it did not happen in time"
            await asyncio.sleep(0.02)

    def samples(self) -> list[Sample]:
        return self.site.store.samples.list(self.site.owner.id)[::-1]
