"""Opens and closes together what a command needs to chat with a model in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yearling.chat import CHALLENGER, CHAMPION, Assistant, CorrectionMemory
from yearling.config import Settings
from yearling.errors import NotFound
from yearling.inference import EnginePool, ServedModel
from yearling.models import ModelLibrary
from yearling.records import Person
from yearling.release import ReleaseAuthority, ServingChecks
from yearling.store import SampleWriter, Store

if TYPE_CHECKING:
    from yearling.release import ReleaseState


class ReleasedModels:
    """The names of the released models for one process that is used by one person, who gets the champion."""

    def __init__(self, state: ReleaseState | None) -> None:
        self._state = state

    @property
    def champion(self) -> str | None:
        """The champion's name; None before the first release."""
        state = self._state
        return state.releases[state.champion].model if state is not None and state.champion is not None else None

    async def route(self, requested: str | None, person_id: str) -> str | None:
        """As `ModelRouter.route`."""
        if requested is None or requested == CHAMPION:
            return self.champion
        if requested != CHALLENGER:
            return requested
        state = self._state
        if state is None or state.served_challenger is None:
            raise NotFound("No model is in a canary now.", advice="Leave out --model to get the champion.", param="model")
        return state.releases[state.served_challenger].model


@dataclass(frozen=True, slots=True)
class AssistantRuntime:
    """An open assistant with the store, engines and person that it uses."""

    settings: Settings
    store: Store
    pool: EnginePool
    person: Person
    assistant: Assistant
    released: ReleasedModels

    async def get_model(self, name: str | None) -> ServedModel:
        """A model by its name, or `champion` or `challenger`; None stands for the champion. Raises as `EnginePool.get`."""
        return await self.pool.get(await self.released.route(name, self.person.id))


def open_pool(settings: Settings, store: Store) -> EnginePool:
    """A pool like the server's: the champion is the default, files of released models are verified, and stops are obeyed.

    Raises Untrusted if the signed releases cannot be verified.
    """
    authority = ReleaseAuthority(settings.data_dir / "release", store)
    checks = ServingChecks(authority, store.people.get, settings.data_dir)
    pool = EnginePool(settings, ModelLibrary(settings.models_dir), may_load=checks.may_load, is_stopped=checks.is_stopped)
    champion = ReleasedModels(authority.state() if authority.exists() else None).champion
    if champion is not None:
        pool.use_default(champion)
    return pool


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncGenerator[AssistantRuntime, None]:
    """Open an assistant for the owner of this installation, who gets the released model, or the setting's before there is one.

    Files are verified and stops are obeyed as by the server. Raises what opening the store and the pool raises, and Untrusted if
    the signed releases cannot be verified.
    """
    with Store.open(settings) as store:
        writer = SampleWriter(store)
        authority = ReleaseAuthority(settings.data_dir / "release", store)
        released = ReleasedModels(await asyncio.to_thread(authority.state) if authority.exists() else None)
        pool = open_pool(settings, store)
        person = store.people.owner()
        corrections = CorrectionMemory(store, pool)
        assistant = Assistant(pool, writer, person.id, router=released, corrections=corrections)
        try:
            yield AssistantRuntime(settings, store, pool, person, assistant, released)
        finally:
            await assistant.close()
            await corrections.close()
            await writer.close()
            await pool.close()
