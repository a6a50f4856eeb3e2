"""Opens and closes together what a command needs to chat with a model in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from yearling.chat import Assistant
from yearling.config import Settings
from yearling.inference import EnginePool
from yearling.models import ModelLibrary
from yearling.records import Person
from yearling.store import SampleWriter, Store


@dataclass(frozen=True, slots=True)
class AssistantRuntime:
    """An open assistant with the store, engines and person that it uses."""

    settings: Settings
    store: Store
    pool: EnginePool
    person: Person
    assistant: Assistant


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncGenerator[AssistantRuntime, None]:
    """Open an assistant for the owner of this installation. Raises what opening the store and the pool raises."""
    with Store.open(settings) as store:
        writer = SampleWriter(store)
        pool = EnginePool(settings, ModelLibrary(settings.models_dir))
        person = store.people.owner()
        assistant = Assistant(pool, writer, person.id)
        try:
            yield AssistantRuntime(settings, store, pool, person, assistant)
        finally:
            await assistant.close()
            await writer.close()
            await pool.close()
