"""The engines of one server: local models, each in its own process, and the models of a remote endpoint.

A local engine is opened when it is first asked for (the default one at start), and stays open until memory is needed for
another. Used from one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil

from yearling.config import Settings
from yearling.errors import NotFound, Unavailable, UserError
from yearling.inference.adapter_registry import Shelf
from yearling.inference.calibration import calibrate, read_speeds
from yearling.inference.engine import Engine
from yearling.inference.engine_choice import FACTORIES, candidates, choose_engine, this_machine
from yearling.inference.remote import Endpoint, RemoteEngine
from yearling.inference.served_model import Served
from yearling.inference.supervisor import EngineSpec, Supervised

if TYPE_CHECKING:
    from yearling.models import Library, LocalModel

SPARE_BYTES = 512 << 20
"""Memory that an engine needs besides its weights, roughly: caches and the libraries themselves."""

REST_S = 10.0
"""An engine that was asked for more recently than this is not closed to make room."""


async def open_engine(
    model: LocalModel,
    *,
    kind: str,
    threads: int,
    context_tokens: int,
    max_sequences: int | None = None,
    stall_timeout_s: float = 60.0,
) -> Supervised:
    """An engine of that kind for a local model, in a process of its own, ready. Raises what opening it raises."""
    options = {
        "folder": str(model.folder),
        "threads": threads,
        "context_tokens": context_tokens,
        "max_sequences": max_sequences,
    }
    # Threads that spin while they wait starve each other on a busy machine: torch then takes six times as long.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} if kind == "torch" else {}
    spec = EngineSpec(factory=FACTORIES[kind], options=options, environment=environment)
    engine = Supervised(spec, stall_timeout_s=stall_timeout_s)
    await engine.start()
    return engine


@dataclass(eq=False, slots=True)
class _Entry:
    served: Served
    size_bytes: int = 0
    used_s: float = field(default_factory=time.monotonic)


class EnginePool:
    """Finds, and opens where need be, the engine for a model's name. None of it blocks the event loop."""

    def __init__(self, settings: Settings, library: Library, *, notice: Callable[[str], None] = lambda words: None) -> None:
        """`notice` is told, in words, why a start takes longer than usual."""
        from yearling.models import Adapters

        self.notice = notice
        self._shelf: Shelf | None = Shelf(Adapters(settings.adapters_dir))
        self._settings: Settings | None = settings
        self._library: Library | None = library
        self._default = settings.model
        self._entries: dict[str, _Entry] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._endpoint: Endpoint | None = None
        self._remote_error: UserError | None = None
        self._closed = False

    @classmethod
    def of(cls, served: Sequence[Served], *, default: str | None = None) -> EnginePool:
        """A pool of engines that are open already; the first is the default."""
        pool = cls.__new__(cls)
        pool._settings = pool._library = pool._endpoint = pool._remote_error = pool._shelf = None
        pool._default = default or served[0].name
        pool._entries = {one.name: _Entry(one) for one in served}
        pool._locks = {}
        pool._closed = False
        return pool

    async def start(self) -> None:
        """Open the default model, on the engine that is fastest here, which the first start finds out.

        Raises NotFound when the model is not installed, and what opening it raises.
        """
        base = self._default.partition("+")[0]
        model = next((model for model in self._local() if model.name == base), None)
        if model is not None:
            await self._calibrate(model)
        await self.get(None)

    def names(self) -> list[str]:
        """The default first, then local models, adapters on them, and models of an endpoint once it has been asked (`start`, or a
        `get` of one of them)."""
        local = self._local()
        adapted = self._shelf.names(local) if self._shelf else []
        names = [*(model.name for model in local), *adapted, *self._entries]
        return list(dict.fromkeys([self._default, *names] if self._default in names else names))

    def card(self, name: str) -> tuple[str, int]:
        """(owner, creation in Unix seconds) of a model, without opening it. Raises NotFound."""
        if name in self._entries:
            served = self._entries[name].served
            return served.owned_by, served.created
        local = self._local()
        for model in local:
            if model.name == name:
                return "yearling", int(model.created_utc.timestamp())
        if self._shelf and (found := self._shelf.find(name, local)):
            return "yearling", int(found[1].created_utc.timestamp())
        raise self._unknown(name)

    def ready(self) -> bool:
        """Whether the default model answers now."""
        engine = self._engine(self._default)
        return not self._closed and engine is not None and _state(engine) == "ready"

    async def get(self, name: str | None = None) -> Served:
        """The model of that name, or the default, ready to answer. Raises NotFound, naming what there is; Unavailable."""
        wanted = name or self._default
        self._check_open()
        if wanted not in self._entries and self._shelf and (found := self._shelf.find(wanted, self._local())):
            return await self._shelf.serve(await self.get(found[0].name), found[1])
        if wanted not in self._entries:
            async with self._locks.setdefault(wanted, asyncio.Lock()):
                if wanted not in self._entries:
                    await self._open(wanted)
        entry = self._entries[wanted]
        entry.used_s = time.monotonic()
        return entry.served

    def status(self) -> list[dict[str, Any]]:
        """One entry per model: name, engine, state (`ready`, `starting`, `failed`, `not loaded`), default, restarts, and how many
        requests wait for a place."""
        rows = []
        for name in self.names():
            engine = self._engine(name)
            rows.append(
                {
                    "name": name,
                    "engine": engine.name if engine else "",
                    "state": _state(engine) if engine else "not loaded",
                    "default": name == self._default,
                    "restarts": engine.restarts if isinstance(engine, Supervised) else 0,
                    "queued": engine.queued if isinstance(engine, Supervised) else 0,
                }
            )
        return rows

    async def close(self) -> None:
        """Stop every engine. Closing twice is harmless."""
        self._closed = True
        await asyncio.gather(*(entry.served.engine.close() for entry in self._entries.values()))
        if self._endpoint is not None:
            await self._endpoint.close()

    async def _open(self, name: str) -> None:
        model = next((model for model in self._local() if model.name == name), None)
        if model is None:
            await self._find_remote()
            if name not in self._entries:
                raise self._unknown(name)
            return
        await self._make_room(model.size_bytes)
        served = await self._open_local(model)
        if self._closed:
            await served.engine.close()
            self._check_open()
        self._entries[name] = _Entry(served, model.size_bytes)

    async def _open_local(self, model: LocalModel) -> Served:
        from yearling.models import ChatTemplate, Tokenizer

        settings = self._settings
        if settings is None:
            raise RuntimeError("a pool of given engines opens none")
        speeds = read_speeds(settings.data_dir, this_machine(), model.sha256)
        choice = choose_engine(settings, purpose="interactive", format=model.format, speeds=speeds)
        tokenizer, template, engine = await asyncio.gather(
            asyncio.to_thread(Tokenizer.load, model),
            asyncio.to_thread(ChatTemplate.load, model),
            self._open_kind(model, choice.kind),
        )
        created = int(model.created_utc.timestamp())
        return Served(
            name=model.name, engine=engine, tokenizer=tokenizer, template=template, owned_by="yearling", created=created
        )

    async def _open_kind(self, model: LocalModel, kind: str) -> Supervised:
        settings = self._settings
        if settings is None:
            raise RuntimeError("a pool of given engines opens none")
        return await open_engine(
            model,
            kind=kind,
            threads=settings.threads,
            context_tokens=settings.context_tokens,
            stall_timeout_s=settings.stall_timeout_s,
        )

    async def _calibrate(self, model: LocalModel) -> None:
        """Measure the engines that could run the model, unless one only could or they were measured before."""
        settings, machine = self._settings, this_machine()
        if settings is None:
            return
        kinds = candidates(settings, model.format, machine, "interactive")
        if len(kinds) > 1 and "interactive" not in read_speeds(settings.data_dir, machine, model.sha256):
            self.notice(f"Measuring the engines that are installed, once: {', '.join(kinds)} ...")
            opener = partial(self._open_kind, model)
            await calibrate(settings.data_dir, machine, model.sha256, "interactive", kinds, opener)

    async def _make_room(self, needed_bytes: int) -> None:
        """Close engines that rest, the longest resting first, while memory is short. The default stays."""
        while psutil.virtual_memory().available < needed_bytes + SPARE_BYTES:
            resting = [
                (entry.used_s, name)
                for name, entry in self._entries.items()
                if name != self._default.partition("+")[0] and _rests(entry) and time.monotonic() - entry.used_s > REST_S
            ]
            if not resting:
                return
            await self._entries.pop(min(resting)[1]).served.engine.close()

    async def _find_remote(self) -> None:
        """Ask the endpoint what it serves. What it answered before stays known."""
        if self._settings is None or not self._settings.remote_url:
            return
        if self._endpoint is None:
            self._endpoint = Endpoint(self._settings.remote_url, self._settings.remote_api_key.get_secret_value())
        for model in await self._endpoint.models():
            if model.id not in self._entries:
                engine = RemoteEngine(self._endpoint, model)
                self._entries[model.id] = _Entry(
                    Served(
                        name=model.id,
                        engine=engine,
                        tokenizer=None,
                        template=None,
                        owned_by=model.owned_by,
                        created=model.created,
                    )
                )

    def _engine(self, name: str) -> Engine | None:
        """What answers under that name, if it is open."""
        if name in self._entries:
            return self._entries[name].served.engine
        adapted = self._shelf.engine(name) if self._shelf else None
        return adapted if any(entry.served.engine is adapted for entry in self._entries.values()) else None

    def _local(self) -> list[LocalModel]:
        return [model for model in self._library.list() if model.kind == "chat"] if self._library is not None else []

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The server is shutting down.")

    def _unknown(self, name: str) -> NotFound:
        names = self.names()
        there = f"There is: {', '.join(names)}." if names else "No model is installed."
        pull = f" Fetch it with: yearling model pull {name}" if self._library is not None else ""
        return NotFound(f"The model {name!r} does not exist.", advice=there + pull, param="model")


def _state(engine: Engine) -> str:
    return engine.state if isinstance(engine, Supervised) else "ready"


def _rests(entry: _Entry) -> bool:
    engine = entry.served.engine
    return isinstance(engine, Supervised) and engine.active == 0
