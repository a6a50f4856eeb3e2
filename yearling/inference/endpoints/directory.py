"""The models that endpoints list, and what kept an endpoint from listing any.

The directory asks every endpoint at start and then at intervals, so that its models can be chosen without being typed. A failing
endpoint keeps the models that it listed before, and never delays the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from yearling.config import EndpointSettings
from yearling.errors import UserError
from yearling.inference.remote import RemoteEndpoint, RemoteEngine
from yearling.inference.served_model import ListedModel, ServedModel

REFRESH_INTERVAL_S = 60.0
MIN_REFRESH_PAUSE_S = 2.0
"""A request for an unknown model asks the endpoints again, at most this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """An endpoint, the names of the models that it listed last, and the problem with its last answer, empty if none."""

    settings: EndpointSettings
    models: tuple[str, ...]
    problem: str
    checked: bool
    """Whether the endpoint has been asked yet."""


@dataclass(eq=False, slots=True)
class _Listed:
    settings: EndpointSettings
    endpoint: RemoteEndpoint | None
    """None if its address or key is invalid, which is its `problem`."""
    models: dict[str, ServedModel] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    checked: bool = False


class EndpointDirectory:
    """Use from one event loop."""

    def __init__(self, endpoints: Sequence[EndpointSettings] = ()) -> None:
        self._wanted = tuple(endpoints)
        self._listed: dict[str, _Listed] = {}
        self._retired: list[RemoteEndpoint] = []
        """Endpoints that were removed. Answers can still come from them, so they stay open."""
        self._models: dict[str, tuple[ServedModel, ListedModel]] = {}
        self._refreshing = asyncio.Lock()
        self._refreshed_s = -float("inf")
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask every endpoint now and then at intervals, in the background: one that does not answer delays nothing."""
        if self._wanted and self._watch is None:
            self._watch = asyncio.create_task(self._refresh_at_intervals())

    async def close(self) -> None:
        """Stop asking, and close all connections."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait({watch})
        endpoints = [*self._retired, *(listed.endpoint for listed in self._listed.values() if listed.endpoint)]
        self._retired, self._listed = [], {}
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints))

    async def replace(self, endpoints: Sequence[EndpointSettings]) -> None:
        """Use these endpoints from now on, and ask them. Answers that are running end normally."""
        self._wanted = tuple(endpoints)
        await self.refresh()
        self.start()

    async def refresh(self, *, min_pause_s: float = 0.0) -> None:
        """Ask every endpoint for its models, unless they were asked within the last `min_pause_s`."""
        async with self._refreshing:
            if time.monotonic() - self._refreshed_s < min_pause_s:
                return
            await asyncio.to_thread(self._open_wanted)  # a client reads the certificates of all authorities
            await asyncio.gather(*(self._list_models(listed) for listed in list(self._listed.values())))
            self._refreshed_s = time.monotonic()
            self._name_models()

    def problems(self) -> list[str]:
        """Why endpoints did not list their models when they were last asked."""
        return [listed.problem for listed in self._listed.values() if listed.problem]

    def models(self) -> list[ListedModel]:
        """The models, in the order of the endpoints. The second of two equal names starts with its endpoint's name."""
        return [listed for _, listed in self._models.values()]

    def find(self, name: str) -> ServedModel | None:
        """The model of that name."""
        served, _ = self._models.get(name, (None, None))
        return served

    def title(self, name: str) -> str:
        """The display name of the model of that name; empty if no endpoint has it."""
        _, listed = self._models.get(name, (None, None))
        return listed.title if listed else ""

    def statuses(self) -> list[EndpointStatus]:
        """Every endpoint, in order."""
        statuses = []
        for settings in self._wanted:
            listed = self._listed.get(settings.name)
            if listed is None or listed.settings != settings:
                statuses.append(EndpointStatus(settings=settings, models=(), problem="", checked=False))
            else:
                models = tuple(listed.models)
                statuses.append(EndpointStatus(settings=settings, models=models, problem=listed.problem, checked=listed.checked))
        return statuses

    def _name_models(self) -> None:
        models: dict[str, tuple[ServedModel, ListedModel]] = {}
        for endpoint_name, endpoint in self._listed.items():
            for model_id, served in endpoint.models.items():
                name = model_id
                while name in models:
                    name = f"{endpoint_name}/{name}"
                listed = ListedModel(
                    name=name,
                    title=endpoint.titles.get(model_id) or name,
                    owned_by=served.owned_by,
                    created_unix_s=served.created_unix_s,
                    endpoint=endpoint_name,
                )
                models[name] = (served if name == served.name else replace(served, name=name), listed)
        self._models = models

    def _open_wanted(self) -> None:
        listed = {}
        for settings in self._wanted:
            present = self._listed.pop(settings.name, None)
            if present is not None and present.settings == settings:
                listed[settings.name] = present
                continue
            if present is not None and present.endpoint:
                self._retired.append(present.endpoint)
            try:
                endpoint = RemoteEndpoint(settings.url, settings.api_key.get_secret_value())
            except UserError as error:
                listed[settings.name] = _Listed(settings, None, problem=str(error), checked=True)
            else:
                listed[settings.name] = _Listed(settings, endpoint)
        self._retired += [present.endpoint for present in self._listed.values() if present.endpoint]
        self._listed = listed

    async def _list_models(self, listed: _Listed) -> None:
        endpoint = listed.endpoint
        if endpoint is None:
            return
        try:
            models = await endpoint.list_models()
        except UserError as error:
            listed.problem = str(error)
        else:
            known = listed.models
            listed.models = {
                model.id: known.get(model.id)
                or ServedModel(
                    name=model.id,
                    engine=RemoteEngine(endpoint, model),
                    tokenizer=None,
                    template=None,
                    owned_by=model.owned_by,
                    created_unix_s=model.created_unix_s,
                )
                for model in models
            }
            listed.titles = {model.id: model.title for model in models}
            listed.problem = "" if models else f"{listed.settings.url} lists no models."
        listed.checked = True

    async def _refresh_at_intervals(self) -> None:
        while True:
            await self.refresh(min_pause_s=MIN_REFRESH_PAUSE_S)
            await asyncio.sleep(REFRESH_INTERVAL_S)
