"""The engines of one server: local models, each in its own process, and the models of remote endpoints.

A local engine opens when it is first requested (the default one at start) and stays open until another needs the memory. Use
from one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil

from yearling.config import EndpointSettings, Settings
from yearling.errors import NotFound, Unavailable, UserError
from yearling.inference.adapter_registry import AdapterRegistry
from yearling.inference.calibration import calibrate_engines, read_speeds
from yearling.inference.embedding.embedder import Embedder
from yearling.inference.embedding.embedder_slot import EmbedderSlot
from yearling.inference.endpoints.directory import MIN_REFRESH_PAUSE_S, EndpointDirectory, EndpointStatus
from yearling.inference.engine import Engine
from yearling.inference.engine_choice import ENGINE_FACTORIES, candidate_engines, choose_engine, detect_machine
from yearling.inference.engine_process import EngineSpec
from yearling.inference.guarding.file_check import FileCheck, MayLoad, list_model_files
from yearling.inference.guarding.guarded_engine import GuardedEngine
from yearling.inference.guarding.stop_watch import IsStopped, StopWatch
from yearling.inference.served_model import ListedModel, ServedModel
from yearling.inference.supervisor import SupervisedEngine

if TYPE_CHECKING:
    from yearling.models import AdapterLibrary, LocalModel, ModelLibrary

log = logging.getLogger(__name__)

MIN_IDLE_S = 10.0
"""An engine that was requested more recently than this is not closed to free memory."""


async def open_engine(
    model: LocalModel,
    *,
    kind: str,
    threads: int,
    context_tokens: int,
    max_sequences: int | None = None,
    stall_timeout_s: float = 60.0,
    file_check: FileCheck | None = None,
) -> SupervisedEngine:
    """Open an engine of that kind for a local model, in its own process; returns it when it is ready.

    `file_check` checks the model's files before they are loaded. Raises what opening the engine and the check raise.
    """
    options = {
        "folder": str(model.folder),
        "threads": threads,
        "context_tokens": context_tokens,
        "max_sequences": max_sequences,
    }
    # Threads that spin while waiting starve each other on a busy machine: torch then takes six times as long.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} if kind == "torch" else {}
    spec = EngineSpec(factory=ENGINE_FACTORIES[kind], options=options, environment=environment)
    files = await asyncio.to_thread(list_model_files, model.folder) if file_check is not None else ()
    engine = SupervisedEngine(spec, stall_timeout_s=stall_timeout_s, files=files, file_check=file_check)
    await engine.start()
    return engine


@dataclass(eq=False, slots=True)
class _OpenModel:
    served: ServedModel
    size_bytes: int = 0
    last_used_s: float = field(default_factory=time.monotonic)


class EnginePool:
    """Finds the engine for a model name, and opens it if necessary.

    `models`, `names`, `ready` and `status` read the folder of models once each: call them from a worker thread. No other method
    blocks the event loop.
    """

    def __init__(
        self,
        settings: Settings,
        library: ModelLibrary,
        *,
        notify: Callable[[str], None] = lambda message: None,
        may_load: MayLoad | None = None,
        is_stopped: IsStopped | None = None,
    ) -> None:
        """`notify` is called with a message when a start takes longer than usual.

        `may_load` is asked about every file of a model or an adapter whenever an engine is about to load it; None allows all.
        `is_stopped` ends the answers of the models that it names; None stops none.
        """
        from yearling.models import AdapterLibrary

        self.notify = notify
        self._file_check = FileCheck(may_load) if may_load is not None else None
        self._stop_watch = StopWatch(is_stopped) if is_stopped is not None else None
        self._guarded: dict[str, tuple[ServedModel, ServedModel]] = {}
        self._adapter_registry: AdapterRegistry | None = AdapterRegistry(AdapterLibrary(settings.adapters_dir))
        self._settings: Settings | None = settings
        self._library: ModelLibrary | None = library
        self._default = settings.model
        self._open_models: dict[str, _OpenModel] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._directory = EndpointDirectory(settings.all_endpoints)
        self._embedder = EmbedderSlot(settings, library)
        self._closed = False

    @classmethod
    def from_open_models(
        cls,
        served: Sequence[ServedModel],
        *,
        default: str | None = None,
        is_stopped: IsStopped | None = None,
        adapters: AdapterLibrary | None = None,
        embedder: Embedder | None = None,
    ) -> EnginePool:
        """A pool of engines that are open already. The first is the default unless `default` names one.

        `adapters` holds their readers.
        """
        pool = cls.__new__(cls)
        pool.notify = lambda message: None
        pool._settings = pool._library = None
        pool._adapter_registry = AdapterRegistry(adapters) if adapters is not None else None
        pool._file_check = None
        pool._stop_watch = StopWatch(is_stopped) if is_stopped is not None else None
        pool._guarded = {}
        pool._directory = EndpointDirectory()
        pool._embedder = EmbedderSlot(embedder=embedder)
        pool._default = default or served[0].name
        pool._open_models = {model.name: _OpenModel(model) for model in served}
        pool._locks = {}
        pool._closed = False
        return pool

    async def start(self) -> None:
        """Ask the endpoints for their models, and open the default model on the fastest engine; the first start measures the
        engines.

        Raises NotFound if the model is not installed, and what opening it raises.
        """
        self._directory.start()
        model = await self._local_chat_model(self._default.partition("+")[0])
        if model is not None:
            await self._calibrate(model)
        await self._find()

    def models(self, installed: Sequence[LocalModel] | None = None) -> list[ListedModel]:
        """The default model first, then local models, adapters on them, and the remote models that are known so far.

        `installed`: the models in the library, if the caller has read them already. Of equal names, the local model is listed.
        """
        from yearling.models import model_title

        local = self._local_chat_models(installed)
        listed = [
            ListedModel(
                name=model.name,
                title=model_title(model.name),
                owned_by="yearling",
                created_unix_s=int(model.created_utc.timestamp()),
                weights=model.name,
            )
            for model in local
        ]
        for model, adapter in self._adapter_registry.pairs(local) if self._adapter_registry else ():
            name = adapter.served_name(model.name)
            created = int(adapter.created_utc.timestamp())
            listed.append(
                ListedModel(name=name, title=model_title(name), owned_by="yearling", created_unix_s=created, weights=model.name)
            )
        for name, entry in list(self._open_models.items()):
            served = entry.served
            listed.append(
                ListedModel(name=name, title=self.title(name), owned_by=served.owned_by, created_unix_s=served.created_unix_s)
            )
        by_name: dict[str, ListedModel] = {}
        for each in (*listed, *self._directory.models()):
            by_name.setdefault(each.name, each)
        return sorted(by_name.values(), key=lambda each: each.name != self._default)

    def names(self) -> list[str]:
        """Names of the models, in the order of `models`."""
        return [model.name for model in self.models()]

    def title(self, name: str) -> str:
        """The display name of a model: what its endpoint calls it or its title in the catalogue, otherwise `name`."""
        from yearling.models import model_title

        return self._directory.title(name) or model_title(name)

    def default(self) -> str:
        """Name of the default model, which may be missing."""
        return self._default

    async def set_default(self, name: str) -> None:
        """Open a model, and answer requests that name none with it from now on. Raises as `get`; then nothing changes."""
        self._default = (await self.get(name)).name

    def use_default(self, name: str) -> None:
        """Answer requests that name no model with this one from now on, or with its error if it cannot be opened."""
        self._default = name

    async def close_refused(self) -> None:
        """Close the models whose files may not be loaded any more, and ask anew about files that were refused.

        Call it when `may_load` has changed its mind. Running answers of a closed model end with Unavailable.
        """
        file_check = self._file_check
        if file_check is None:
            return
        file_check.forget_refusals()
        if self._adapter_registry is not None:
            await self._adapter_registry.forget_refused(file_check)
        for name, entry in list(self._open_models.items()):
            engine = entry.served.engine
            if not isinstance(engine, SupervisedEngine):
                continue
            try:
                await file_check.recheck([(file.path, file.sha256) for file in engine.checked_files])
            except UserError as error:
                log.warning("The model %s is not served any more: %s", name, error)
                del self._open_models[name]
                await engine.close()

    def endpoint_url(self, name: str) -> str:
        """Address of the endpoint that serves a model; empty for a model of this machine, and for one that nothing serves."""
        listed = next((listed for listed in self._directory.models() if listed.name == name), None)
        if listed is None or name in self._open_models:
            return ""
        return next((each.settings.url for each in self._directory.statuses() if each.settings.name == listed.endpoint), "")

    def endpoints(self) -> list[EndpointStatus]:
        """The endpoints, with the models that they list."""
        return self._directory.statuses()

    async def set_endpoints(self, endpoints: Sequence[EndpointSettings]) -> None:
        """Serve the models of these endpoints from now on."""
        await self._directory.replace(endpoints)

    def ready(self) -> bool:
        """Whether the default model can answer now."""
        return not self._closed and any(row["default"] and row["state"] == "ready" for row in self.status())

    async def get(self, name: str | None = None) -> ServedModel:
        """The model of that name, or the default, ready to answer.

        Raises NotFound, which lists the available models, ModelStopped, Unavailable, and Untrusted for files that may not be
        loaded.
        """
        if self._stop_watch is not None:
            self._stop_watch.check(name or self._default)
        return self._guard(await self._find(name))

    async def get_reader(self, model_name: str) -> str | None:
        """The content hash of the newest reader of a local model, loaded into its engine; pass it as `adapter_hash`.

        None for adapters on a model and for remote models, and as `AdapterRegistry.load_reader`. Raises what opening the model
        raises.
        """
        local = await self._local_chat_model(model_name)
        if self._adapter_registry is None or (local is None and model_name not in self._open_models):
            return None
        source_sha256 = local.source_sha256 if local is not None else ""
        is_stopped = self._stop_watch.is_stopped if self._stop_watch is not None else None
        base = await self._find(model_name)
        return await self._adapter_registry.load_reader(base, source_sha256=source_sha256, is_stopped=is_stopped)

    def _guard(self, served: ServedModel) -> ServedModel:
        """The same model with an engine that a stop ends."""
        watch = self._stop_watch
        if watch is None:
            return served
        present, guarded = self._guarded.get(served.name, (None, None))
        if present is not served or guarded is None:
            guarded = replace(served, engine=GuardedEngine(served.engine, served.name, watch))
            self._guarded[served.name] = served, guarded
        return guarded

    async def _find(self, name: str | None = None) -> ServedModel:
        model_name = name or self._default
        self._check_open()
        if model_name not in self._open_models:
            local = await asyncio.to_thread(self._local_chat_models)
            model = next((model for model in local if model.name == model_name), None)
            if model is None:
                return await self._get_adapted(model_name, local) or await self._get_remote(model_name)
            async with self._locks.setdefault(model_name, asyncio.Lock()):
                if model_name not in self._open_models:
                    await self._open(model)
        entry = self._open_models[model_name]
        entry.last_used_s = time.monotonic()
        return entry.served

    def status(self) -> list[dict[str, Any]]:
        """One row per model: name, engine, state (`ready`, `starting`, `failed`, `not loaded`), why it is not ready, default,
        restarts, and the number of queued requests.
        """
        rows = []
        for model in self.models():
            engine = self._engine(model)
            rows.append(
                {
                    "name": model.name,
                    "engine": engine.name if engine else "",
                    "state": _state(engine) if engine else "not loaded",
                    "outage": engine.outage if isinstance(engine, SupervisedEngine) else "",
                    "default": model.name == self._default,
                    "restarts": engine.restarts if isinstance(engine, SupervisedEngine) else 0,
                    "queued": engine.queued if isinstance(engine, SupervisedEngine) else 0,
                }
            )
        return rows

    def has_embedder(self) -> bool:
        """Whether an embedding model is installed. Lists the folder of models."""
        return self._embedder.is_installed()

    def embedder_name(self) -> str:
        """Name of the embedding model, installed or not; empty if none is set."""
        return self._embedder.name()

    async def get_embedder(self) -> Embedder:
        """The embedding model, opened at the first call.

        Raises NotFound, which says how to install it, Untrusted for damaged files, and Unavailable.
        """
        return await self._embedder.get()

    async def close(self) -> None:
        """Stop every engine. Closing twice is harmless."""
        self._closed = True
        await self._embedder.close()
        await asyncio.gather(*(entry.served.engine.close() for entry in self._open_models.values()))
        await self._directory.close()
        if self._stop_watch is not None:
            await self._stop_watch.close()

    async def _open(self, model: LocalModel) -> None:
        await self._close_idle_engines(model.size_bytes)
        served = await self._open_local(model)
        if self._closed:
            await served.engine.close()
            self._check_open()
        self._open_models[model.name] = _OpenModel(served, model.size_bytes)

    async def _open_local(self, model: LocalModel) -> ServedModel:
        from yearling.models import ChatTemplate, Tokenizer

        settings = self._settings
        if settings is None:
            raise RuntimeError("a pool of open engines cannot open another one")
        speeds = read_speeds(settings.data_dir, detect_machine(), model.sha256)
        choice = choose_engine(settings, purpose="interactive", weights_format=model.format, speeds=speeds)
        engine = await self._open_kind(model, choice.kind)
        try:
            tokenizer, template = await asyncio.gather(
                asyncio.to_thread(Tokenizer.load, model), asyncio.to_thread(ChatTemplate.load, model)
            )
            if self._file_check is not None:
                await self._file_check.require_unchanged(engine.checked_files)
        except BaseException:
            await engine.close()
            raise
        created = int(model.created_utc.timestamp())
        return ServedModel(
            name=model.name, engine=engine, tokenizer=tokenizer, template=template, owned_by="yearling", created_unix_s=created
        )

    async def _open_kind(self, model: LocalModel, kind: str) -> SupervisedEngine:
        settings = self._settings
        if settings is None:
            raise RuntimeError("a pool of open engines cannot open another one")
        return await open_engine(
            model,
            kind=kind,
            threads=settings.threads,
            context_tokens=settings.context_tokens,
            stall_timeout_s=settings.stall_timeout_s,
            file_check=self._file_check,
        )

    async def _calibrate(self, model: LocalModel) -> None:
        """Measure the engines that could run the model, unless there is only one or they were measured before."""
        settings, machine = self._settings, detect_machine()
        if settings is None:
            return
        kinds = candidate_engines(settings, model.format, machine, "interactive")
        if len(kinds) > 1 and "interactive" not in read_speeds(settings.data_dir, machine, model.sha256):
            self.notify(f"Measuring the installed engines (first start only): {', '.join(kinds)} ...")
            opener = partial(self._open_kind, model)
            await calibrate_engines(settings.data_dir, machine, model.sha256, "interactive", kinds, opener)

    async def _close_idle_engines(self, needed_bytes: int) -> None:
        """Close idle engines, the least recently used first, while memory is short. The default model stays open."""
        from yearling.models import about_memory_bytes

        while psutil.virtual_memory().available < about_memory_bytes(needed_bytes):
            idle = [
                (entry.last_used_s, name)
                for name, entry in self._open_models.items()
                if name != self._default.partition("+")[0]
                and _is_idle(entry)
                and time.monotonic() - entry.last_used_s > MIN_IDLE_S
            ]
            if not idle:
                return
            await self._open_models.pop(min(idle)[1]).served.engine.close()

    async def _get_adapted(self, name: str, local: Sequence[LocalModel]) -> ServedModel | None:
        """A local model with the adapter that the name ends with. Raises as `AdapterRegistry.find`, unless an endpoint has a
        model of that name.
        """
        registry = self._adapter_registry
        if registry is None:
            return None
        try:
            match = await asyncio.to_thread(registry.find, name, local)
        except UserError:
            if self._directory.find(name):
                return None
            raise
        return await registry.serve(await self._find(match[0].name), match[1]) if match else None

    async def _get_remote(self, name: str) -> ServedModel:
        """The endpoints' model of that name; they are asked again if none has listed it. Raises NotFound, or Unavailable if an
        endpoint that may have the model does not answer.
        """
        if served := self._directory.find(name):
            return served
        await self._directory.refresh(min_pause_s=MIN_REFRESH_PAUSE_S)
        if served := self._directory.find(name):
            return served
        if problems := self._directory.problems():
            raise Unavailable(f"The model {name!r} is not known, and an endpoint does not answer: {problems[0]}")
        raise await asyncio.to_thread(self._unknown, name)

    def _engine(self, model: ListedModel) -> Engine | None:
        """The engine that answers for a model, if it is open."""
        if model.endpoint is not None:
            served = self._directory.find(model.name)
            return served.engine if served else None
        open_engines = {name: entry.served.engine for name, entry in list(self._open_models.items())}
        if model.name in open_engines:
            return open_engines[model.name]
        adapted = self._adapter_registry.find_base_engine(model.name) if self._adapter_registry else None
        return adapted if any(engine is adapted for engine in open_engines.values()) else None

    def _local_chat_models(self, installed: Sequence[LocalModel] | None = None) -> list[LocalModel]:
        if self._library is None:
            return []
        return [model for model in (self._library.list() if installed is None else installed) if model.kind == "chat"]

    async def _local_chat_model(self, name: str) -> LocalModel | None:
        local = await asyncio.to_thread(self._local_chat_models)
        return next((model for model in local if model.name == name), None)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The server is shutting down.")

    def _unknown(self, name: str) -> NotFound:
        from yearling.models import known_models

        if self._library is not None and name in known_models() and known_models()[name].kind == "embedding":
            return NotFound(
                f"The model {name!r} writes no answers: it turns texts into vectors.",
                advice="Name a chat model. `/v1/embeddings` uses this one.",
                param="model",
            )
        names = self.names()
        available = f"Available models: {', '.join(names)}." if names else "No model is installed."
        pull = f" Install it with: yearling model pull {name}" if self._library is not None and name in known_models() else ""
        return NotFound(f"The model {name!r} does not exist.", advice=available + pull, param="model")


def _state(engine: Engine) -> str:
    return engine.state if isinstance(engine, SupervisedEngine) else "ready"


def _is_idle(entry: _OpenModel) -> bool:
    engine = entry.served.engine
    return isinstance(engine, SupervisedEngine) and engine.active == 0
