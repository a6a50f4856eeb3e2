"""From a request and a person's own settings to what is asked of the assistant; and what a person said to what is remembered."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from yearling.api.conversations import schemas
from yearling.api.services import Services
from yearling.chat import (
    BUILTIN_MODES,
    NUM_RECENT_OFFERS,
    REGULAR_MODE,
    AnswerMode,
    AnswerStyle,
    LiveTurn,
    TurnInput,
    extract_memories,
    select_memories,
    should_offer_comparison,
)
from yearling.clock import now_utc
from yearling.errors import NotFound
from yearling.records import Person
from yearling.store import Store

DEFAULT_SETTINGS: dict[str, Any] = {
    "instructions": "",
    "mode": REGULAR_MODE.name,
    "length": "normal",
    "bluntness": "normal",
    "language": "auto",
    "memory": True,
    "comparisons": True,
}
_random = random.SystemRandom()


def get_personal_settings(store: Store, person_id: str) -> dict[str, Any]:
    """A person's settings, those that were never set included. A mode that was retired meanwhile is the regular one."""
    stored = store.personal_settings.get(person_id)
    chosen = {name: stored.get(name, default) for name, default in DEFAULT_SETTINGS.items()}
    if chosen["mode"] not in available_modes(store):
        chosen["mode"] = REGULAR_MODE.name
    return chosen


def available_modes(store: Store) -> dict[str, AnswerMode]:
    """The modes that can be chosen, by name: those that came along, then those that were defined, each in its newest version."""
    modes = {mode.name: mode for mode in BUILTIN_MODES}
    for record in store.modes.list_newest():
        if not record.retired:
            modes[record.name] = AnswerMode(name=record.name, version=record.version, title=record.title, text=record.text)
    return modes


def get_mode(store: Store, name: str) -> AnswerMode:
    """Raises NotFound."""
    found = available_modes(store).get(name)
    if found is None:
        raise NotFound(f"There is no mode {name[:64]!r}.", advice="List them with GET /v1/modes.", param="mode")
    return found


async def build_turn_input(services: Services, person: Person, body: schemas.ConversationTurnRequest) -> TurnInput:
    """What a person asks in a conversation, with what the model is reminded of. Raises NotFound for an unknown mode."""
    return await asyncio.to_thread(_build_turn_input, services, person, body)


async def build_temporary_turn_input(services: Services, person: Person, body: schemas.TemporaryTurnRequest) -> TurnInput:
    """What a person asks in a temporary chat: in their manner, but nothing of their past comes into it."""

    def work() -> TurnInput:
        manner = _answer_style(services.store, get_personal_settings(services.store, person.id), body)
        return TurnInput(models=(body.model,), effort=body.effort, sampling=_sampling(body), style=manner)

    return await asyncio.to_thread(work)


async def remember_from_turn(services: Services, live: LiveTurn, said: str) -> None:
    """Remember what a person said of themselves in a turn, where they have memory switched on."""

    def work() -> None:
        store = services.store
        if get_personal_settings(store, live.person_id)["memory"]:
            facts = extract_memories(said)
            if facts:
                store.memories.add_extracted(live.person_id, live.question_id or "", [(fact.text, fact.topic) for fact in facts])

    await asyncio.to_thread(work)


def _build_turn_input(services: Services, person: Person, body: schemas.ConversationTurnRequest) -> TurnInput:
    store = services.store
    settings = get_personal_settings(store, person.id)
    offered = (
        body.compare is None and body.kind == "send" and settings["comparisons"] and _should_offer_comparison(services, person)
    )
    twice = bool(body.compare) or offered
    reminded: tuple[tuple[str, str], ...] = ()
    question = body.text if body.kind == "send" else _question(store, person.id, body.message)
    if settings["memory"] and question:
        memories = store.memories.list(person.id, active_only=True)
        chosen = select_memories(memories, question, budget_tokens=services.settings.memory_tokens)
        reminded = tuple((memory.id, memory.text) for memory in chosen)
    return TurnInput(
        kind=body.kind,
        text=body.text,
        message_id=body.message,
        models=(body.model, _comparison_model(services, body)) if twice else (body.model,),
        comparison_offered=offered,
        effort=body.effort,
        sampling=_sampling(body),
        style=_answer_style(store, settings, body),
        memories=reminded,
    )


def _question(store: Store, person_id: str, message_id: str | None) -> str | None:
    """The question above a message that is asked for anew. Raises NotFound."""
    branch = store.conversations.list_branch(message_id, person_id) if message_id else []
    return next((message.content for message in reversed(branch) if message.role == "user"), None)


def _answer_style(store: Store, settings: dict[str, Any], body: schemas.AnswerOptions) -> AnswerStyle:
    return AnswerStyle(
        mode=get_mode(store, body.mode or settings["mode"]),
        length=settings["length"],
        bluntness=settings["bluntness"],
        language=settings["language"],
        instructions=settings["instructions"],
    )


def _should_offer_comparison(services: Services, person: Person) -> bool:
    rate = services.settings.comparison_rate
    draw = _random.random()
    if draw >= rate or services.settings.retention == "none":
        return False
    return should_offer_comparison(
        rate, draw, services.store.comparisons.list_offered(person.id, limit=NUM_RECENT_OFFERS), now_utc()
    )


def _comparison_model(services: Services, body: schemas.ConversationTurnRequest) -> str | None:
    """The other model of a comparison: the one that was named, one of the setting's, or the same once more."""
    if body.against is not None:
        return body.against
    models = services.settings.comparison_models
    return _random.choice(models) if models else body.model


def _sampling(body: schemas.AnswerOptions) -> dict[str, Any]:
    said = {"temperature": body.temperature, "max_tokens": body.max_tokens, "seed": body.seed}
    return {name: value for name, value in said.items() if value is not None}
